"""The measures against scikit-learn and scipy, and their edges."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from dal_nlp.tasks import metrics
from dal_nlp.tasks.multilabel.measures import bootstrap_scores

LABELS = ["neg", "neutral", "pos", "未", "never seen"]


def answers(seed: int, n: int = 60) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    targets = rng.choice(LABELS[:4], size=n, p=[0.6, 0.2, 0.15, 0.05]).tolist()
    noise = rng.choice(LABELS[:3], size=n).tolist()
    return [given if rng.random() < 0.6 else other for given, other in zip(targets, noise, strict=True)], targets


@pytest.mark.parametrize("seed", range(5))
def test_functions_agree_with_sklearn(seed: int) -> None:
    predictions, targets = answers(seed)
    assert metrics.accuracy(predictions, targets) == pytest.approx(accuracy_score(targets, predictions))
    assert metrics.macro_f1(predictions, targets) == pytest.approx(f1_score(targets, predictions, average="macro"))


@pytest.mark.parametrize("seed", range(3))
def test_per_class_agrees_with_sklearn(seed: int) -> None:
    predictions, targets = answers(seed)
    rows = metrics.per_class(predictions, targets, LABELS)
    wanted = precision_recall_fscore_support(targets, predictions, labels=LABELS, zero_division=0)
    assert [row["label"] for row in rows] == LABELS
    for name, column in zip(("precision", "recall", "f1", "count"), wanted, strict=True):
        assert [row[name] for row in rows] == pytest.approx(column.tolist())
    assert [row["predicted"] for row in rows] == [predictions.count(label) for label in LABELS]


def test_absent_classes_do_not_count_and_missed_ones_are_zero() -> None:
    # a: 2/3; b: never predicted, 0; a class that is nowhere cannot be known to the function at all.
    assert metrics.macro_f1(["a", "a"], ["a", "b"]) == pytest.approx((2 / 3 + 0) / 2)
    # c: predicted and never right, 0.
    assert metrics.macro_f1(["a", "c"], ["a", "a"]) == pytest.approx((2 / 3 + 0) / 2)
    assert metrics.macro_f1([], []) == metrics.accuracy([], []) == 0.0


def test_lengths_must_agree() -> None:
    for measure in (metrics.accuracy, metrics.macro_f1):
        with pytest.raises(ValueError, match=r"longer|shorter"):
            measure(["a"], ["a", "b"])


def test_evaluate_metrics_take_strings_and_leave_no_files(tmp_path, monkeypatch) -> None:
    import evaluate

    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "cache"))
    predictions, targets = answers(0)
    first, second = metrics.Accuracy(), metrics.MacroF1()
    assert isinstance(first, evaluate.Metric) and isinstance(second, metrics.MacroF1)
    for start in (0, 30):  # two used side by side, in batches
        for metric in (first, second):
            metric.add_batch(predictions=predictions[start:][:30], references=targets[start:][:30])
    assert first.compute() == {"accuracy": pytest.approx(accuracy_score(targets, predictions))}
    assert second.compute() == {"macro_f1": pytest.approx(f1_score(targets, predictions, average="macro"))}
    assert not list(tmp_path.iterdir())


def test_evaluate_is_imported_only_when_asked_for() -> None:
    code = (
        "import sys; from dal_nlp.tasks.metrics import wilson; assert not {'evaluate', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_errors() -> None:
    with pytest.raises(AttributeError, match="Acuracy"):
        _ = metrics.Acuracy


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (1, 3), (83, 100), (249, 300), (0, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_agrees_with_scipy(successes: int, n: int, level: float) -> None:
    wanted = binomtest(successes, n).proportion_ci(level, method="wilson")
    low, high = metrics.wilson(successes, n, level)
    assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_ends_exactly_at_certainty() -> None:
    assert {metrics.wilson(0, n)[0] for n in range(1, 300)} == {0.0}
    assert {metrics.wilson(n, n)[1] for n in range(1, 300)} == {1.0}


@pytest.mark.parametrize("score", [0.0, 1 / 3, 1.0])
def test_scores_that_no_resample_changes_have_an_interval_of_a_width(score: float) -> None:
    low, high = metrics.percentile_interval([score, score + 1e-16, score], 4)
    assert (low, high) == pytest.approx(metrics.wilson(4 * score, 4)) and low <= score <= high and high - low > 0.4
    assert metrics.percentile_interval([4.0, 4.0], 4) == (4.0, 4.0)  # a length
    assert metrics.percentile_interval([0.5, 0.5, 0.7], 4) == pytest.approx((0.5, 0.69))


def test_wilson_without_observations_and_with_impossible_ones() -> None:
    assert metrics.wilson(0, 0) == (0.0, 1.0)
    for successes, n in ((-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="cannot be"):
            metrics.wilson(successes, n)


def test_bootstrap_is_close_to_the_known_interval_of_an_accuracy() -> None:
    predictions, targets = ["a"] * 200, ["a"] * 150 + ["b"] * 50
    low, high = metrics.bootstrap(predictions, targets, metrics.accuracy, np.random.default_rng(0))
    half = 1.96 * (0.75 * 0.25 / 200) ** 0.5
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.015)


def test_bootstrap_keeps_pairs_together_and_draws_from_its_generator() -> None:
    predictions = targets = ["a", "b", "c"] * 5
    assert metrics.bootstrap(predictions, targets, metrics.accuracy, np.random.default_rng(0)) == metrics.wilson(15, 15)
    noisy, truth = answers(1)
    first, again, other = (
        metrics.bootstrap(noisy, truth, metrics.macro_f1, np.random.default_rng(seed), n=50) for seed in (3, 3, 4)
    )
    assert first == again != other


def test_where_all_are_right_or_all_wrong_the_interval_has_a_width() -> None:
    truth, wrong = ["a", "b"] * 20, ["b", "a"] * 20
    rng, right, none = np.random.default_rng(0), metrics.wilson(40, 40), metrics.wilson(0, 40)
    assert right[0] < 0.92 < right[1] == 1 and none[0] == 0 < 0.08 < none[1]
    assert metrics.bootstrap_macro_f1(truth, truth, rng) == right
    assert metrics.bootstrap_macro_f1(wrong, truth, rng) == none
    assert metrics.mean_interval([1.0] * 40, rng) == right
    labels = [(label,) for label in truth]
    assert set(map(tuple, bootstrap_scores(labels, labels, rng).values())) == {right}


@pytest.mark.parametrize("classes", ["ab", "abc", "a"])
def test_the_fast_bootstrap_of_macro_f1_is_the_slow_one(classes: str) -> None:
    rng = np.random.default_rng(5)
    truth, given = ([classes[i] for i in rng.integers(len(classes), size=40)] for _ in range(2))
    given[0] = "never a target"
    slow = metrics.bootstrap(given, truth, metrics.macro_f1, np.random.default_rng(1), n=60)
    assert metrics.bootstrap_macro_f1(given, truth, np.random.default_rng(1), n=60) == pytest.approx(slow, abs=1e-12)
    with pytest.raises(ValueError, match="cannot be resampled"):
        metrics.bootstrap_macro_f1([], [], np.random.default_rng(0))


def test_bootstrap_widens_with_the_level() -> None:
    noisy, truth = answers(2)
    narrow = metrics.bootstrap(noisy, truth, metrics.accuracy, np.random.default_rng(0), level=0.5)
    wide = metrics.bootstrap(noisy, truth, metrics.accuracy, np.random.default_rng(0), level=0.99)
    assert wide[0] < narrow[0] <= narrow[1] < wide[1]


def test_bootstrap_of_nothing_is_an_error() -> None:
    for predictions, targets in (([], []), (["a"], ["a", "b"])):
        with pytest.raises(ValueError, match="cannot be resampled"):
            metrics.bootstrap(predictions, targets, metrics.accuracy, np.random.default_rng(0))


def test_the_difference_of_two_predictions_is_resampled_in_pairs() -> None:
    targets = [0, 1] * 30
    first, second = list(targets), [1 - targets[0], *targets[1:]]
    value, low, high = metrics.paired_difference(metrics.accuracy, first, second, targets, np.random.default_rng(0))
    assert value == pytest.approx(-1 / 60) and low <= value <= high <= 0
    assert metrics.paired_difference(metrics.accuracy, first, first, targets, np.random.default_rng(0)) == (0, 0, 0)
