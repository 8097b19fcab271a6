"""Events and their JSON."""

import json

import pytest

from dal_nlp.ledger.events import (
    EVENTS,
    AnswerEvent,
    Event,
    LabelEvent,
    MetricsEvent,
    OpinionEvent,
    SkipEvent,
    read_event,
)

#: The least that each event says.
LEAST: dict[str, dict[str, object]] = {
    "config": {"config": {"task": "sentiment"}},
    "pool": {"rows": 3},
    "audit": {"ids": ["a"]},
    "query": {"round": 0, "ids": ["a"], "scores": [0.5], "texts": ["A"], "strategy": "margin"},
    "remainder": {"round": 0, "ids": ["a"], "scores": [0.5], "texts": ["A"], "strategy": "margin"},
    "label": {"id": "a", "target": {"text": ["好"], "answer_start": [1]}},
    "skip": {"id": "a", "reason": ""},
    "answer": {"id": "a", "target": "p", "by": "anna", "final": True},
    "removed": {"id": "a", "whose": "anna"},
    "signal": {"signal": "file:llm.csv", "answers": {"a": {"key": "k", "log_probs": [-0.5, -1.0]}}},
    "suspects": {"rows": [{"id": "a"}]},
    "drafts": {"round": 0, "rows": [{"id": "a", "target": "x", "confidence": 0.5, "by": "llm:x"}]},
    "channel": {"oracle": "label-studio", "url": "http://x", "project": 4},
    "pseudo": {"round": 1, "ids": ["a"], "targets": ["p"], "weight": 0.5},
    "metrics": {"round": 0, "labels": 4, "values": {"accuracy": 0.5}, "loss": 0.25, "rules": [{"rule": "stable"}]},
    "remeasured": {"round": 0, "on": "audit", "size": 4, "values": {"accuracy": 0.5}},
    "inquiry": {"purpose": "test", "answers": "00ff", "size": 100},
    "finished": {"round": 0, "labels": 4, "values": {"accuracy": 0.5}},
    "trace": {"round": 0, "rules": []},
    "note": {"text": "x"},
    "stopped": {"why": "x"},
}


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_written_is_what_is_read(name: str) -> None:
    event = read_event({"event": name, **LEAST[name]})
    assert isinstance(event, Event) and event.name == name
    assert event.to_json() == {"event": name, **LEAST[name]}  # without defaults
    assert read_event(json.loads(json.dumps(event.to_json()))) == event
    assert read_event(event.as_dict()) == event  # and with them
    for field in LEAST[name]:
        whole = {"event": name, **LEAST[name]}
        del whole[field]
        if field not in ("target", "by", "final", "whose", "project", "loss", "rules") or name == "label":
            with pytest.raises(ValueError, match=f"its '{name}' event is not as one is: {field}"):
                read_event(whole)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "no event that this version knows"),
        ({"event": ["label"]}, "no event that this version knows"),
        ({"event": "party"}, "'party'"),
        ({"event": "label", "id": "a", "target": "p", "mood": "good"}, "mood, unexpected"),
        ({"event": "label", "id": "a", "target": "p", "reason": "x"}, "reason"),
        ({"event": "query", **LEAST["query"], "ids": 5}, "ids, input should be a valid list"),
        ({"event": "metrics", **LEAST["metrics"], "values": {"accuracy": "good"}}, "values.accuracy"),
    ],
)
def test_what_is_no_event_is_a_sentence(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_event(values)


def test_answers_are_alike_where_their_targets_are() -> None:
    one, other = LabelEvent(id="a", target={"x": 1, "y": 2}), OpinionEvent(id="a", target={"y": 2, "x": 1}, by="anna")
    assert one.key == other.key and one.answered and other.answered and other.signed and not one.signed
    refused: AnswerEvent = SkipEvent(id="a", reason="unsure")
    assert not refused.answered and refused.key == OpinionEvent(id="b", reason="unsure").key != one.key


def test_numbers_that_are_none_survive() -> None:
    event = MetricsEvent(round=0, labels=1, values={"accuracy": float("nan")}, loss=float("inf"))
    (value,) = read_event(json.loads(json.dumps(event.to_json()))).as_dict()["values"].values()
    assert value != value
