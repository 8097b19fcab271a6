"""The folded state is what one would work out anew from all events."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.ledger.events import (
    AnswerEvent,
    AuditEvent,
    ConfigEvent,
    DraftsEvent,
    Event,
    LabelEvent,
    MetricsEvent,
    OpinionEvent,
    OverflowEvent,
    QueryEvent,
    RemovedEvent,
    SkipEvent,
)
from dal_nlp.ledger.state import State


def asks(kind: type[QueryEvent], round: int, ids: list[str], ahead: int = 0) -> QueryEvent:
    predictions = [{"target": f"{id}@{round}", "confidence": 0.5, "marks": []} for id in ids] if round else []
    scores = [float(i + round) for i in range(len(ids))]
    return kind(round=round, ids=ids, scores=scores, texts=ids, strategy="s", predictions=predictions, prefetched=ahead)


def history(rng: np.random.Generator, steps: int) -> list[Event]:
    """A run of a few rounds in which people answer, correct themselves, disagree and take back, at any time."""
    events, state = list[Event](), State()
    pool = [f"e{i}" for i in range(60)]

    def add(event: Event) -> None:
        events.append(event)
        state.apply(event)

    def free(k: int) -> list[str]:
        held = {id for query in state.queries for id in query.ids} | set(state.audit or []) | set(state.prefetched)
        return [str(id) for id in rng.permutation([id for id in pool if id not in held])[:k]]

    add(AuditEvent(ids=pool[:4], texts=pool[:4]))
    add(asks(QueryEvent, 0, pool[4:8]))
    for _ in range(steps):
        open_ids, by = state.waiting, str(rng.choice(["anna", "ben", "", MAJORITY]))
        some = str(rng.choice(sorted(state.ever_asked)))
        match int(rng.integers(8)):
            case 0 | 1 | 2 if open_ids:
                add(LabelEvent(id=open_ids[0], target=str(rng.choice(["p", "n"])), by=by))
            case 3:
                add(LabelEvent(id=some, target="p", by=by, final=bool(rng.integers(2))))
            case 4:
                add(
                    SkipEvent(id=some, reason="?", by=by)
                    if rng.integers(2)
                    else OpinionEvent(id=some, target="n", by=by)
                )
            case 5 if state.given:
                said = str(rng.choice(sorted(state.given)))
                add(RemovedEvent(id=said, by="x", whose=str(rng.choice(["anna", "ben"])) if rng.integers(2) else None))
            case 6 if state.round < len(state.queries) and state.round not in state.overflows and rng.integers(2):
                add(asks(OverflowEvent, state.round, free(3)))
            case _ if state.round < len(state.queries) and not open_ids:
                add(MetricsEvent(round=state.round, labels=1, values={"a": 0.5}))
                ahead = state.prefetched
                add(asks(QueryEvent, state.round, ahead + free(3), len(ahead)))
    return events


def last(events: Sequence[Event], id: str) -> dict[str, AnswerEvent]:
    found: dict[str, AnswerEvent] = {}
    for event in events:
        if isinstance(event, RemovedEvent) and event.id == id:
            found = {by: answer for by, answer in found.items() if event.whose not in (None, by)}
        elif isinstance(event, AnswerEvent) and event.id == id and event.signed and not event.final:
            found[event.by] = event
    return found


@pytest.mark.parametrize("seed", range(40))
def test_folded_is_worked_out_anew(seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = history(rng, 150)
    state = State()
    for event in events:
        state.apply(event)
    audit, remainders = state.audit or [], list(state.overflows.values())
    rounds = [(None, audit), *((e.round, e.ids[e.prefetched :]) for e in events if type(e) is QueryEvent)]
    asked = [ids for _, ids in rounds] + [r.ids for r in remainders]
    assert state.ever_asked == {id for ids in asked for id in ids}
    held = [id for query in state.queries for id in query.ids]
    assert max(Counter(held).values()) == 1
    for id in state.ever_asked:
        here = id in audit or id in held or any(id in r.ids for r in remainders)
        assert state.asks(id) == here, id
        assert state.asked_by(id) == next(
            n for n, ids in reversed(rounds) if id in ids or (n is not None and id in state.overflow(n))
        )
        query = next((q for q in state.queries if id in q.ids), None)
        assert state.query_of(id) == query
        guess = None
        for one in (*reversed(state.queries), *reversed(remainders)):
            if id in one.ids and one.predictions:
                target = one.predictions[one.ids.index(id)]["target"]
                guess = {"target": target, "confidence": 0.5, "round": one.round - 1}
                break
        assert state.suggestion(id) == (None if id in audit else guess), id
        assert state.opinions.get(id, {}) == last(events, id)
    open_audit = [id for id in audit if id not in state.answers and id not in state.skipped]
    open_ids = [id for id in held if id not in state.answers and id not in state.skipped]
    assert state.waiting == (open_audit or open_ids)
    assert state.prefetch_limit(1000, 99, 3) == 1000 - len(state.answers) - len(open_audit) - len(open_ids) - 3
    settled = {*state.answers, *state.skipped}
    spare = dict.fromkeys(id for r in reversed(remainders) for id in r.ids)
    assert state.prefetched == [id for id in spare if id in settled and id not in held and id not in audit]
    scores = {id: score for r in remainders for id, score in zip(r.ids, r.scores, strict=True)}
    assert state.overflow_scores(list(scores)) == list(scores.values())
    assert state.training_ids == [id for id in held if id in state.answers]
    assert state.trained_by(0) == [id for id in state.queries[0].ids if id in state.answers]


def test_what_is_out_of_turn_changes_nothing() -> None:
    state = State()
    state.apply(asks(QueryEvent, 0, ["a"]))
    before = repr(state)
    for event in (asks(QueryEvent, 0, ["b"]), asks(QueryEvent, 2, ["b"]), MetricsEvent(round=1, labels=1, values={})):
        with pytest.raises(ValueError, match="round"):
            state.apply(event)
    with pytest.raises(ValueError, match="equally many"):
        state.apply(QueryEvent(round=1, ids=["b"], scores=[], texts=["b"], strategy="s"))
    assert repr(state) == before


def test_what_was_guessed_or_drafted_of_an_example_is_not_shown_once_the_audit_sample_draws_it() -> None:
    state, rows = State(), [{"id": id, "target": "words", "confidence": 0.8, "by": "file:drafts"} for id in "ab"]
    for event in (
        ConfigEvent(config={"suggest": True}, digests={}, labels=[]),
        asks(QueryEvent, 0, ["q"]),
        asks(QueryEvent, 1, ["r"]),
        asks(OverflowEvent, 1, ["a", "b", "c", "d"]),
        DraftsEvent(round=1, rows=rows),
    ):
        state.apply(event)
    assert [bool(state.suggestion(id)) for id in "abcd"] == [True] * 4
    state.apply(AuditEvent(ids=["a", "c"], texts=["a", "c"], probabilities=[0.5, 0.5]))
    assert [(state.suggestion(id) or {}).get("target") for id in "abcd"] == [None, "words", None, "d@1"]
