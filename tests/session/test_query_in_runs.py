"""Near-duplicates, candidates and groups in whole runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.errors import Unsupported
from dal_nlp.core.task import Capability
from dal_nlp.ledger.events import Event, PseudoLabelsEvent
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.report import files as report
from dal_nlp.tasks.classification import Classification
from tests.session.test_loop import files, run, timeless, write  # noqa: F401 - a fixture
from tests.session.test_query import twins


@pytest.fixture
def many(files: Path) -> Path:  # noqa: F811
    write(files / "pool.jsonl", twins(15))
    return files


@pytest.mark.long
def test_a_run_asks_no_near_duplicates_and_says_how_many_it_left_out(many: Path, model_folder: str) -> None:
    changes = {"initial": 5, "query_size": 4, "rounds": 1, "strategy": "entropy"}
    result = run(many, model_folder, query={"dedupe": 0.999999}, **changes)
    state = read_state(result.folder)
    texts = [text.rsplit(" ", 1)[0] for asked in state.queries for text in asked.texts]
    assert len(set(texts)) == len(texts) == 9
    left_out = sum(asked.notes.get("near_duplicates", 0) for asked in state.queries)
    assert left_out > 0
    page = (result.folder / "report.html").read_text()
    assert f"others in the same round: {left_out}</p>" in page
    plain = run(many, model_folder, query={"dedupe": None}, out=str(many / "plain"), **changes)
    texts = [text.rsplit(" ", 1)[0] for asked in read_state(plain.folder).queries for text in asked.texts]
    assert len(set(texts)) < len(texts)
    report.write_report(plain.folder, read_state(plain.folder))
    assert "Near-duplicates" not in (plain.folder / "report.html").read_text()


def test_the_strategy_sees_the_candidates_only(many: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    forwards = Pool._batches

    def counting(self: Pool, label: str, read: Any) -> Iterator[tuple[Positions, Any]]:
        sizes.extend([len(self)] * (label == "scoring"))
        yield from forwards(self, label, read)

    monkeypatch.setattr(Pool, "_batches", counting)
    changes = {"initial": 5, "query_size": 4, "rounds": 1, "strategy": "entropy"}
    result = run(many, model_folder, query={"candidates": 20, "dedupe": None}, **changes)
    check = [3]  # a short, a middling and a long text, on which it is seen whether the model gives states
    assert sizes == [*check, 20, 20]
    assert [len(asked.ids) for asked in read_state(result.folder).queries] == [5, 4]
    run(many, model_folder, query={"candidates": 3, "dedupe": None}, out=str(many / "few"), **changes)
    assert sizes[3:] == [*check, 5, 4]


class Grouped(Classification):
    """Has a group for every length of a text."""

    capabilities = Classification.capabilities | {Capability.GROUPS}

    def read(self, row: Any) -> dict[str, Any]:
        return {**super().read(row), "group": str(len(row["text"].split()))}


def groups_of(texts: list[str]) -> list[int]:
    return [len(text.split()) for text in texts]


GROUPED = {
    "task": "tests.session.test_query_in_runs:Grouped",
    "initial": 4,
    "query_size": 20,
    "strategy": "entropy",
    "rounds": 2,
}


def test_a_run_asks_few_of_each_group_and_fewer_than_it_may_where_it_must(many: Path, model_folder: str) -> None:
    result = run(many, model_folder, **GROUPED, query={"max_per_group": 1})
    state = read_state(result.folder)
    assert len(state.queries[0].ids) == 4
    for asked in state.queries:
        groups = groups_of(asked.texts)
        assert len(set(groups)) == len(groups)
    assert [asked.notes["fewer_by_group"] for asked in state.queries[1:]] == [
        20 - len(asked.ids) for asked in state.queries[1:]
    ]
    assert [point["labels"] for point in result.curve] == np.cumsum(
        [len(asked.ids) for asked in state.queries]
    ).tolist()
    left = 44 - state.spent
    assert result.stopped == f"all 2 rounds are done, with {left} labels of the budget left: --rounds buys more"
    fewer = sum(asked.notes["fewer_by_group"] for asked in state.queries[1:])
    assert f"only full groups were left: {fewer}</p>" in (result.folder / "report.html").read_text()


@pytest.mark.long
def test_a_run_that_asked_for_fewer_resumes_with_the_same_candidates(
    many: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dies between a query and its pseudo-labels, which depend on what was drawn for the query."""
    changes = {**GROUPED, "rounds": 1, "pseudo_labels": {"policy": "ceal", "threshold": 1, "decay": 0}}
    options = {"query": {"max_per_group": 1, "candidates": 15}}  # fewer than are wanted
    append = Ledger.append

    def dying(ledger: Ledger, event: Event) -> None:
        if isinstance(event, PseudoLabelsEvent):
            raise KeyboardInterrupt
        append(ledger, event)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", dying)
        with pytest.raises(KeyboardInterrupt):
            run(many, model_folder, **changes, **options)
    assert len(read_state(many / "run").queries[1].ids) < 15
    run(many, model_folder, **changes, **options)
    run(many, model_folder, **changes, **options, out=str(many / "whole"))
    assert timeless(many / "run") == timeless(many / "whole")
    assert read_state(many / "run").pseudo[1].ids


def test_groups_are_refused_before_a_model_is_loaded(files: Path) -> None:  # noqa: F811
    with pytest.raises(Unsupported, match="counts groups"):
        run(files, "no-such-model", query={"max_per_group": 2})
