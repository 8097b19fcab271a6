"""Pseudo-labels: which ones, for how long, what they never count as, and what a resumed run makes of them."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from numpy.typing import NDArray

from dal_nlp import RunConfig, Session, Unsupported, UserError
from dal_nlp.core.config import PseudoLabelsConfig
from dal_nlp.core.targets import decode
from dal_nlp.learners.learner import FullLearner, Learner
from dal_nlp.ledger.events import PseudoLabelsEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.pool import Pool
from dal_nlp.models.trainer import Fit
from dal_nlp.strategies import ALIASES, STRATEGIES, make_strategy, probes
from dal_nlp.strategies.ceal import Ceal
from dal_nlp.strategies.pseudo_labels import PSEUDO_LABELS, Policy, PseudoTargets
from dal_nlp.tasks.classification import Classification
from tests import tiny
from tests.ledgers import copies_after_every_write
from tests.models.test_pool import passes
from tests.reference import pseudo_labels as reference
from tests.session.test_loop import files, run, settings, timeless  # noqa: F401 - a fixture

#: All but the exact middle is sure enough, so that tiny untrained models give some.
GENEROUS = {"policy": "ceal", "threshold": 1.0, "decay": 0.0, "max_per_class": 5, "weight": 0.25}


def planted(probs: NDArray[np.float64]) -> Pool:
    """A pool that has measured these predictions already."""
    pool = tiny.pool(n=len(probs))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_probs = np.log(probs)
        entropies = -np.nansum(probs * log_probs, axis=1)
    pool._measured = {probes.class_log_probs: log_probs, probes.entropy: entropies}
    return pool


def choose(pool: Pool, asked: Sequence[int] = (), round: int = 1, seed: int = 0, **options: Any) -> PseudoTargets:
    config = PseudoLabelsConfig(policy="ceal", **options)
    return Ceal(config).choose(pool, np.array(asked, dtype=np.int64), round, np.random.default_rng(seed))


@pytest.mark.long
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_confident_remainder_is_the_brute_force_one(classes: int) -> None:
    rng = np.random.default_rng(classes)
    found = 0
    for _ in range(20):
        logits = rng.normal(size=(30, classes)) * 8
        logits[:, 0] += rng.normal() * 4
        probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        asked = rng.permutation(30)[:5].tolist()
        decay, round, cap = float(rng.random() * 0.05), int(rng.integers(1, 5)), int(rng.integers(1, 9))
        guesses = choose(planted(probs), asked, round, threshold=0.1, decay=decay, max_per_class=cap)
        want = reference.ceal(probs.tolist(), asked, 0.1, decay, round, cap)
        assert list(zip(guesses.positions.tolist(), guesses.outcomes.tolist(), strict=True)) == want
        found += len(want)
    assert found > 50


def test_the_threshold_falls_and_never_below_zero() -> None:
    pool = planted(np.array([[1.0, 0.0], [0.999, 0.001], [0.5, 0.5]]))
    guesses = choose(pool, round=1, threshold=0.05, decay=0.01)
    assert guesses.threshold == pytest.approx(0.04) and guesses.positions.tolist() == [0, 1]
    assert choose(pool, round=4, threshold=0.05, decay=0.01).positions.tolist() == [0]
    none = choose(pool, round=900, threshold=0.05, decay=0.01)
    assert none.threshold == 0 and none.positions.tolist() == []


def test_saturated_and_equal_predictions_come_by_lot() -> None:
    pool = planted(np.tile([[1.0, 0.0]], (12, 1)))
    firsts = [set(choose(pool, seed=seed, max_per_class=3).positions.tolist()) for seed in range(20)]
    assert all(len(first) == 3 for first in firsts) and len(set.union(*firsts)) > 8


def test_nothing_is_sure_everything_is_asked() -> None:
    assert choose(planted(np.full((6, 4), 0.25))).positions.tolist() == []
    assert choose(planted(np.tile([[1.0, 0.0]], (4, 1))), asked=[0, 1, 2, 3]).positions.tolist() == []


@pytest.mark.parametrize(
    "given",
    [
        {"strategy": "ceal"},
        {"strategy": "entropy", "pseudo_labels": "ceal"},
        {"strategy": "entropy", "pseudo_labels": {"policy": "ceal"}},
        {"strategy": "ceal", "pseudo_labels": "none"},  # as a file of `dal-nlp init` has it
    ],
)
def test_ceal_is_entropy_with_pseudo_labels(given: dict[str, Any]) -> None:
    config = RunConfig(task="sentiment", **given)
    assert (config.strategy, config.pseudo_labels.policy) == ("entropy", "ceal")
    assert config.fingerprint() == RunConfig(task="sentiment", strategy="ceal").fingerprint()


def test_the_layers_of_a_configuration_keep_each_other_options(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("task: sentiment\npseudo_labels: {policy: none, threshold: 0.2}\n")
    config = RunConfig.load(file, {"pseudo_labels": "ceal", "strategy": "badge"}, ["pseudo_labels.weight=0.5"])
    assert config.strategy == "badge"
    assert config.pseudo_labels == PseudoLabelsConfig(policy="ceal", threshold=0.2, weight=0.5)
    file.write_text("task: sentiment\nstrategy: ceal\n")
    assert RunConfig.load(file, {"strategy": "badge"}).pseudo_labels.policy == "none"
    assert RunConfig(task="sentiment").pseudo_labels.policy == "none"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"pseudo_labels": "seal"}, r"no pseudo-label policy 'seal' \(did you mean 'ceal'\?\)"),
        ({"strategy": "ceall"}, r"no strategy 'ceall' \(did you mean 'ceal'\?\)"),
        ({"initial_strategy": "ceal"}, "use entropy here"),
        ({"pseudo_labels": {"threshhold": 1}}, "'threshold'"),
        ({"pseudo_labels": {"weight": 0}}, "pseudo_labels.weight"),
        ({"pseudo_labels": {"threshold": -0.1}}, "pseudo_labels.threshold"),
        ({"query": {"dedupe": 2}}, "query.dedupe"),
        ({"query": {"skip_top_quantile": 1}}, "query.skip_top_quantile"),
        ({"query": {"candidates": 0}}, "query.candidates"),
    ],
)
def test_wrong_settings_are_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        RunConfig.load(flags={"task": "sentiment", **given})


def test_an_alias_stands_for_what_there_is() -> None:
    for name, alias in ALIASES.items():
        assert name not in STRATEGIES and alias["strategy"] in STRATEGIES
        assert alias["pseudo_labels"]["policy"] in PSEUDO_LABELS
    with pytest.raises(UserError, match="use entropy here"):
        make_strategy("ceal", {})


def test_a_task_without_shared_outcomes_is_refused_before_a_model_loads(
    files: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Classification, "capabilities", frozenset())
    with pytest.raises(Unsupported, match="'ceal' need shared outcomes"):
        Session(settings(files, "no/such/model", strategy="ceal")).run()


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str], list[str], list[float]]]:
    """Round, ids, targets and weights of every fit."""
    seen: list[tuple[int, list[str], list[str], list[float]]] = []
    fit = FullLearner.fit

    def keeping(self: Learner, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        seen.append((round, examples["id"][:], [decode(t) for t in examples["target"]], weights.tolist()))
        return fit(self, round, examples, weights, attempt)

    monkeypatch.setattr(FullLearner, "fit", keeping)
    return seen


@pytest.mark.long
def test_pseudo_labels_train_in_one_round_and_count_as_nothing(
    files: Path,  # noqa: F811
    model_folder: str,
    fits: list[tuple[int, list[str], list[str], list[float]]],
) -> None:
    result = run(files, model_folder, strategy="margin", pseudo_labels=GENEROUS, query_size=20)
    state = read_state(result.folder)
    assert [point["labels"] for point in result.curve] == [6, 26, 46]
    assert state.spent == len(result.labels) == 46
    assert sorted(state.pseudo) == [1, 2]
    for round, ids, targets, weights in fits:
        known = [id for query in state.queries[: round + 1] for id in query.ids]
        guessed = state.pseudo.get(round, PseudoLabelsEvent(round=round, ids=[], targets=[], weight=1))
        assert ids == known + guessed.ids
        assert targets == [result.labels[id] for id in known] + guessed.targets
        assert weights == [1.0] * len(known) + [0.25] * len(guessed.ids)
        assert not set(known) & set(guessed.ids)
    assert 0 < len(state.pseudo[1].ids) <= 10 and state.pseudo[1].threshold == 1.0
    assert set(state.pseudo[1].ids) & set(state.queries[2].ids)  # they stayed in the pool
    events = [event["event"] for event in timeless(result.folder)]
    assert [events[i + 1] for i, event in enumerate(events) if event == "query"] == ["label", "pseudo", "pseudo"]
    page = (result.folder / "report.html").read_text()
    assert "<h2>Pseudo-labels</h2>" in page and f'<td class="n">{len(state.pseudo[1].ids)}</td>' in page


def test_classes_are_balanced_by_the_labels_alone(
    files: Path,  # noqa: F811
    model_folder: str,
    fits: list[tuple[int, list[str], list[str], list[float]]],
) -> None:
    training = {"mode": "full", "min_steps": 2, "epochs": 1, "class_weights": "balanced"}
    run(files, model_folder, pseudo_labels=GENEROUS, rounds=1, training=training)
    round, ids, targets, weights = fits[-1]
    assert round == 1 and len(ids) > 10
    assert weights[:10] == tiny.task().weights(targets[:10])
    assert set(weights[10:]) == {0.25}


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["badge", "entropy", "random"])
def test_pseudo_labels_need_no_pass_of_their_own(
    files: Path,  # noqa: F811
    model_folder: str,
    strategy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = passes(monkeypatch)
    run(files, model_folder, strategy=strategy, pseudo_labels=GENEROUS, rounds=1, initial_strategy="random")
    assert seen.count(54) == 1  # 60 less the 6 of round 0
    assert max(seen) == 54


@pytest.mark.long
def test_a_run_that_died_between_the_query_and_its_pseudo_labels_ends_as_if_it_had_not(
    files: Path,  # noqa: F811
    model_folder: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes: dict[str, Any] = {
        "strategy": "badge",
        "pseudo_labels": GENEROUS,
        "query": {"candidates": 30, "skip_top_quantile": 0.1},
    }
    with monkeypatch.context() as patch:
        written = copies_after_every_write(patch, files)
        run(files, model_folder, **changes)
    want, copies = timeless(files / "run"), [copy for copy in written if copy[0] in ("query", "pseudo")]
    assert [event for event, _ in copies] == ["query", "query", "pseudo", "query", "pseudo"]
    for _, folder in copies[1:]:
        run(files, model_folder, out=str(folder), **changes)
        assert timeless(folder) == want


@pytest.mark.long
def test_they_may_be_switched_on_and_off_between_starts(files: Path, model_folder: str) -> None:  # noqa: F811
    run(files, model_folder, rounds=1)
    run(files, model_folder, rounds=2, pseudo_labels=GENEROUS)
    run(files, model_folder, rounds=3)
    assert sorted(read_state(files / "run").pseudo) == [2]


class AllOfThem(Policy):
    """Believes everything."""

    def choose(self, pool: Pool, asked: Any, round: int, rng: np.random.Generator) -> PseudoTargets:
        positions = np.setdiff1d(np.arange(len(pool)), asked)
        return PseudoTargets(positions, np.zeros(len(positions), dtype=np.int64), 0.0)


@pytest.mark.long
def test_a_policy_of_ones_own(files: Path, model_folder: str) -> None:  # noqa: F811
    run(files, model_folder, rounds=1, pseudo_labels=f"{__name__}:AllOfThem")
    guessed = read_state(files / "run").pseudo[1]
    assert len(guessed.ids) == 50 and set(guessed.targets) == {"negative"}


@pytest.mark.long
def test_a_guess_whose_row_has_gone_from_the_pool_trains_no_more(
    files: Path,  # noqa: F811
    model_folder: str,
    fits: list[tuple[int, list[str], list[str], list[float]]],
) -> None:
    run(files, model_folder, rounds=1, pseudo_labels=GENEROUS)
    ledger, state = files / "run" / "ledger.jsonl", read_state(files / "run")
    lines = ledger.read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if json.loads(line)["event"] == "pseudo")
    ledger.write_text("".join(lines[: cut + 1]))
    shutil.rmtree(files / "run" / "model")
    gone = state.pseudo[1].ids[0]
    rows = [
        line for line in (files / "pool.jsonl").read_text().splitlines(keepends=True) if json.loads(line)["id"] != gone
    ]
    (files / "pool.jsonl").write_text("".join(rows))
    fits.clear()
    run(files, model_folder, rounds=1, pseudo_labels=GENEROUS)
    (_, ids, _, weights) = fits[-1]
    assert gone not in ids and len(weights) == len(ids) == 10 + len(state.pseudo[1].ids) - 1
