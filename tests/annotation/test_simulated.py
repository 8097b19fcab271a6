"""The labeled file with mistakes in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dal_nlp import Label, Oracle, Query, RunConfig, Unsupported, UserError
from dal_nlp.annotation import make_oracle
from dal_nlp.answer_formats.label import LabelFormat
from dal_nlp.tasks.metrics import KAPPA
from tests import waiting_runs as asking

N = 2000
LABELS = ["negative", "neutral", "positive"]


def answers(how: str, truth: dict[str, str], seed: int = 0, ids: list[str] | None = None) -> dict[str, str]:
    oracle: Any = make_oracle(how)
    task = SimpleNamespace(answer_format=LabelFormat(LABELS, KAPPA))
    oracle.open(SimpleNamespace(task=task, answers=truth, config=SimpleNamespace(seed=seed)))
    return {label.id: label.target for label in oracle.label([Query(id, "") for id in ids or truth])}


@pytest.fixture(scope="module")
def truth() -> dict[str, str]:
    return {f"e{i}": LABELS[i % 3] for i in range(N)}


def test_a_share_is_wrong_and_all_other_labels_are_equally_likely(truth: dict[str, str]) -> None:
    given = answers("noisy:0.3", truth)
    wrong = [given[id] for id in truth if given[id] != truth[id]]
    assert abs(len(wrong) / N - 0.3) < 4 * np.sqrt(0.3 * 0.7 / N)
    counts = [wrong.count(label) for label in LABELS]
    assert min(counts) > len(wrong) / 3 - 4 * np.sqrt(len(wrong) * 2 / 9)
    assert answers("noisy:0", truth) == truth
    assert not [id for id, label in answers("noisy:1", truth).items() if label == truth[id]]


def test_a_mistake_depends_on_the_seed_and_the_example_alone(truth: dict[str, str]) -> None:
    given, few = answers("noisy:0.3", truth), list(truth)[50:10:-3]
    assert answers("noisy:0.3", truth, ids=few) == {id: given[id] for id in few}
    assert answers("noisy:0.3", truth, seed=1) != given


def test_a_confusion_matrix(truth: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "confusion.csv"
    path.write_text("true;positive;negative;neutral\nneutral;0;0;5\nnegative;10;90;0\npositive;1;1;2\n")
    given = answers(f"noisy:{path}", truth)
    of = {true: [given[id] for id in truth if truth[id] == true] for true in LABELS}
    assert set(of["neutral"]) == {"neutral"} and set(of["negative"]) == {"negative", "positive"}
    assert abs(of["negative"].count("positive") / len(of["negative"]) - 0.1) < 0.05
    assert abs(of["positive"].count("neutral") / len(of["positive"]) - 0.5) < 0.08


@pytest.mark.parametrize("table", ["true,negative,neutral\n", "true,negative,neutral,positive\nnegative,1,0,0\n"])
def test_a_matrix_without_a_label(truth: dict[str, str], tmp_path: Path, table: str) -> None:
    (tmp_path / "c.csv").write_text(table)
    with pytest.raises(UserError, match=r"no columns|no row for the true label 'neutral'"):
        answers(f"noisy:{tmp_path / 'c.csv'}", truth)


@pytest.mark.parametrize("row", ["x,0,0", "-1,1,1", "0,0,0", "nan,1,1"])
def test_a_matrix_with_a_row_that_is_no_distribution(truth: dict[str, str], tmp_path: Path, row: str) -> None:
    rows = "".join(f"{label},{row}\n" for label in LABELS)
    (tmp_path / "c.csv").write_text(f"true,{','.join(LABELS)}\n{rows}")
    with pytest.raises(UserError, match=r"no number|no distribution"):
        answers(f"noisy:{tmp_path / 'c.csv'}", truth)


def test_names_are_checked_with_the_settings() -> None:
    for name, part in {"noisy:2": "from 0 to 1", "noisy:x": "neither a share nor a file", "fil": "'file'"}.items():
        with pytest.raises(UserError, match=part):
            RunConfig(task="sentiment", data="pool.csv", oracle=name)


def test_a_run_with_mistakes_and_a_task_without_labels(tmp_path: Path) -> None:
    result = asking.run("sentiment", tmp_path / "run", oracle="noisy:1", rounds=0)
    truth = asking.gold("sentiment")
    assert all(label != truth[id] for id, label in result.labels.items()) and len(result.labels) == 4
    with pytest.raises(Unsupported, match="labeled-file"):
        asking.run("summarization", tmp_path / "other", oracle="noisy:0.1")


def test_annotators_are_checked_with_the_settings() -> None:
    for settings, part in (
        ({"annotators": "a,../b"}, "cannot name a sheet"),
        ({"annotators": "7,b"}, "cannot name a sheet"),
        ({"annotators": "a,conflicts"}, "neither conflicts"),
        ({"annotators": "a,A"}, "twice"),
        ({"overlap": "10%"}, "--annotators"),
        ({"annotators": "a,b", "overlap": "110%"}, "overlap"),
    ):
        with pytest.raises(UserError, match=part):
            RunConfig.load(flags={"task": "sentiment", "data": "pool.csv", **settings})


@dataclass
class Every(Oracle):
    """An oracle of a user's own: one label for all, but each so many queries nothing."""

    label_of_all: str
    nothing_at: int = 0

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        for number, query in enumerate(queries, 1):
            if not self.nothing_at or number % self.nothing_at:
                yield Label(query.id, self.label_of_all)


def test_an_oracle_of_the_users_own_takes_options() -> None:
    named = {"task": "sentiment", "oracle": f"{__name__}:Every"}
    settings = ["oracle_options.label_of_all=positive", "oracle_options.nothing_at=2"]
    config = RunConfig.load(flags=named, settings=settings)
    oracle = make_oracle(config.oracle, config.oracle_options)
    assert list(oracle.label([Query(id, "") for id in "abc"])) == [Label("a", "positive"), Label("c", "positive")]
    for wrong, said in (
        ([], "cannot be built without options: missing a required argument: 'label_of_all'"),
        ([*settings, "oracle_options.nothing=2"], r"has no option 'nothing' \(did you mean 'nothing_at'\?\)"),
        ([*settings, "oracle_options.nothing_at=often"], "oracle option nothing_at = 'often' is not right"),
    ):
        with pytest.raises(UserError, match=said):
            RunConfig.load(flags=named, settings=wrong)
