"""What people go on with while a model trains: chosen with each round, and part of the next one once it is answered."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dal_nlp import Label, Oracle, Query, RunConfig, Session, Skip
from dal_nlp.annotation import Setting
from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.ledger.events import RemovedEvent, read_event
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report.summary import contents
from dal_nlp.session.loop import Result
from tests import waiting_runs as asking
from tests.ledgers import event
from tests.session.test_loop import files as files  # the fixture
from tests.session.test_loop import settings


class Eager(Oracle):
    """Answers what is asked, and so many examples of the overflow of that round; ``skipped`` of them are skips."""

    def __init__(self, ahead: int, count: int = 0, skipped: int = 0, until: int | None = None) -> None:
        self.prefetch_limit, self.count, self.skipped, self.until = ahead, count, skipped, until

    def open(self, setting: Setting) -> None:
        self.setting = setting

    def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
        if self.until is not None and queries and queries[0].round == self.until:
            return
        for query in queries:
            yield self.say(query.id)
        state = self.setting.state
        rest = state.overflow(len(state.queries) - 1)
        for place, id in enumerate(rest[: self.count]):
            yield Skip(id, "unsure") if place < self.skipped else self.say(id)

    def say(self, id: str) -> Label:
        return Label(id, self.setting.answers[id])


def go(config: RunConfig, oracle: Oracle) -> Result:
    return Session(config, oracle=oracle).run()


def asked(result: Result) -> list[list[str]]:
    return [query.ids for query in read_state(result.folder).queries]


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["margin", "badge", "coreset", "weighted_kmeans"])
def test_choosing_a_remainder_changes_no_round(files: Path, model_folder: str, strategy: str) -> None:
    results = [
        go(settings(files, model_folder, strategy=strategy, out=str(files / str(ahead)), budget=60), Eager(ahead))
        for ahead in (0, 7)
    ]
    assert asked(results[0]) == asked(results[1])
    without, having = (read_state(result.folder).overflows for result in results)
    assert not without
    for round, remainder in having.items():
        assert len(set(remainder.ids)) == len(remainder.ids) == 7
        assert not set(remainder.ids) & {id for ids in asked(results[1])[: round + 1] for id in ids}


def test_a_ranking_goes_on_where_the_round_ended(files: Path, model_folder: str) -> None:
    config = settings(files, model_folder, strategy="margin", budget=60)
    state = read_state(go(config, Eager(5)).folder)
    query, remainder = state.queries[1], state.overflows[1]
    scores = [*query.scores, *remainder.scores]
    assert scores == sorted(scores, reverse=True)
    assert len(remainder.predictions) == 5 and not state.overflows[0].predictions


def test_what_is_answered_ahead_belongs_to_the_next_round(files: Path, model_folder: str) -> None:
    result = go(settings(files, model_folder, budget=60), Eager(6, count=3, skipped=1))
    state = read_state(result.folder)
    for round in (1, 2):
        query = state.queries[round]
        assert query.ids[:3] == state.overflow(round - 1)[:3] and query.prefetched == 3
        assert len(query.ids) == len(query.texts) == len(query.scores) == len(query.predictions) == 4
        assert state.asked[round] == query.ids[3:]
    assert result.curve[1]["labels"] == 6 + 3 and result.curve[2]["labels"] == 6 + 3 + 3  # a skip trains nothing
    assert not state.prefetched and state.stopped


def test_more_answers_than_a_round_has_make_a_round_of_their_own(files: Path, model_folder: str) -> None:
    result = go(settings(files, model_folder, budget=60, rounds=2), Eager(9, count=9))
    assert [len(ids) for ids in asked(result)] == [6, 9, 9]
    assert [point["labels"] for point in result.curve] == [6, 15, 24]


def test_the_budget_is_kept_and_the_last_round_has_no_remainder(files: Path, model_folder: str) -> None:
    result = go(settings(files, model_folder, budget=20, rounds=9), Eager(50, count=50))
    state = read_state(result.folder)
    assert state.spent == 20 == result.curve[-1]["labels"]
    assert len(state.overflow(0)) == 20 - 6 - 4  # a whole round is left to be chosen by what was learnt
    assert max(state.overflows) < len(state.queries) - 1


@pytest.mark.long
def test_the_first_round_is_chosen_before_the_audit_sample_is_answered(files: Path, model_folder: str) -> None:
    config = settings(files, model_folder, test=None, audit=10, budget=40)
    seen: list[int] = []

    class Looks(Eager):
        def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
            seen.append(len(self.setting.state.queries))
            yield from super().label(queries)

    go(config, Looks(4))
    assert seen[0] == 1
    lazy = go(config.model_copy(update={"out": str(files / "lazy")}), Eager(0))
    assert asked(lazy) == asked(Session(config).run())  # the same round, whenever it was chosen


@pytest.mark.long
def test_a_run_cut_before_its_remainder_chooses_it_then(files: Path, model_folder: str) -> None:
    config = settings(files, model_folder, budget=60)
    whole = read_state(go(config, Eager(5, count=2)).folder)
    cut = config.model_copy(update={"out": str(files / "cut")})
    go(cut, Eager(5, count=2, until=1))
    path = files / "cut" / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    (place,) = [i for i, line in enumerate(lines) if json.loads(line)["event"] == "remainder" and '"round": 1' in line]
    path.write_text("".join(lines[:place]))
    again = read_state(go(cut, Eager(5, count=2)).folder)
    assert again.overflows == {
        round: type(one)(**{**vars(one), "choose_seconds": again.overflows[round].choose_seconds})
        for round, one in whole.overflows.items()
    }
    assert [query.ids for query in again.queries] == [query.ids for query in whole.queries]


def test_what_was_answered_ahead_trains_even_if_nothing_is_left_to_buy(files: Path, model_folder: str) -> None:
    class Late(Eager):
        """Answers the last overflow in the last round, as a slow browser does."""

        def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
            for query in queries:
                yield self.say(query.id)
            state = self.setting.state
            if len(state.queries) == 2:
                rest = [id for id in state.overflow(0) if id not in state.queries[1].ids]
                yield from map(self.say, rest)

    result = go(settings(files, model_folder, budget=14, rounds=9), Late(4))
    assert result.curve[-1]["labels"] == read_state(result.folder).spent >= 14


def test_an_answer_ahead_that_is_taken_back_is_no_part_of_the_next_round(files: Path, model_folder: str) -> None:
    config = settings(files, model_folder, budget=60, rounds=4)
    result = go(config, Eager(5, count=3, until=2))
    state = read_state(result.folder)
    event = RemovedEvent(id=state.queries[1].ids[1], by="a", via="page")
    state.apply(event)
    assert state.queries[1].prefetched == 2 and len(state.queries[1].ids) == 3
    assert event.id not in state.training_ids
    ahead = state.overflow(2)[0]
    state.apply(read_event({"event": "label", "id": ahead, "target": "positive"}))
    assert state.prefetched == [ahead]
    bought = contents(state)["bought"]
    assert bought["ahead of the next round"] == 1 and sum(bought.values()) == state.spent
    state.apply(replace(event, id=ahead))
    assert state.prefetched == []


def test_a_correction_during_a_fit_is_no_part_of_it(files: Path, model_folder: str) -> None:
    state = read_state(go(settings(files, model_folder), Eager(0)).folder)
    assert not state.late
    fit = state.metrics[-1]
    state.apply(read_event({"event": "label", "id": state.queries[0].ids[0], "target": "positive"}))
    state.apply(replace(fit, round=fit.round + 1))  # the fit had begun before that
    assert state.late == {state.queries[0].ids[0]}
    state.apply(replace(fit, round=fit.round + 2, seen=len(state.decided)))
    assert not state.late


def test_a_sheet_takes_what_was_answered_ahead_and_taken_back(waiting: Callable[[str], Path]) -> None:
    folder = waiting("sentiment")
    asking.run("sentiment", folder, rounds=9)
    typed = asking.typed("sentiment")
    with open_answer_store(folder / "run") as store:
        ids = list(store.state.waiting)
        (ahead,) = [id for id in typed if id not in ids][:1]
        for id in ids:
            store.write(store.read(id, typed[id], store.origin("anna", "page")))
        values = {"round": 0, "ids": [ahead], "scores": [0.5], "texts": ["t"], "strategy": "random", "guesses": []}
        store._ledger.append(event("remainder", {**values, "pool_seconds": 0.0, "choose_seconds": 0.0}))  # type: ignore
        store.write(store.read(ahead, typed[ahead], store.origin("anna", "page")))
    asking.run("sentiment", folder, rounds=9)
    with open_answer_store(folder / "run") as store:
        assert store.state.queries[1].ids[0] == ahead
        store.remove(ahead, "anna", "page", whose="anna")
    asking.run("sentiment", folder, rounds=9)
    sheets = sorted((folder / "run" / "queries").glob("round-001*.csv"))
    assert ahead in {row["id"] for sheet in sheets for row in asking.read_csv(sheet)}
    for sheet in sheets:
        asking.fill(sheet, typed)
    assert not asking.run("sentiment", folder, rounds=1).pending
    assert asking.state(folder).answers[ahead] == typed[ahead]
