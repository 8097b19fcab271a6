"""The repair of a damaged ledger: what is kept, what is set aside, and that the run goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.ledger.events import (
    ConfigEvent,
    Event,
    LabelEvent,
    MetricsEvent,
    QueryEvent,
    SkipEvent,
    StoppedEvent,
)
from dal_nlp.ledger.ledger import Ledger, read_events, read_state
from dal_nlp.workflows.repair import repair


def query(round: int, *ids: str) -> QueryEvent:
    return QueryEvent(round=round, ids=[*ids], scores=[0.0] * len(ids), texts=[*ids], strategy="margin")


EVENTS: list[Event] = [
    ConfigEvent(config={"task": "sentiment"}, labels=["n", "p"]),
    query(0, "a", "b"),
    LabelEvent(id="a", round=0, target="p"),
    LabelEvent(id="b", round=0, target="n"),
    MetricsEvent(round=0, labels=2, values={"accuracy": 0.5}),
    query(1, "c", "d"),
    LabelEvent(id="c", round=1, target="p"),
    SkipEvent(id="d", round=1, reason="?"),
    MetricsEvent(round=1, labels=3, values={"accuracy": 0.6}),
    StoppedEvent(why="done"),
]


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    with Ledger(tmp_path) as ledger:
        ledger.extend(EVENTS)
    return (tmp_path / "ledger.jsonl").read_bytes().splitlines(keepends=True)


def without(place: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: lines[:place] + lines[place + 1 :]


def flipped(place: int, old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [line.replace(old, new) if i == place else line for i, line in enumerate(lines)]


DAMAGE = {
    "removed": (without(2), "line 3 is damaged: it was written as line 4: 1 line before it got lost"),
    "doubled": (lambda lines: [*lines[:5], lines[4], *lines[5:]], "line 6 is damaged: it was written as line 5"),
    "moved": (
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]],
        "line 3 is damaged: it was written as line 4",
    ),
    "changed": (flipped(6, b'"p"', b'"n"'), r"line 7 is damaged: it was changed .* a 'label' event of 'c'"),
    "no JSON": (flipped(4, b"{", b"["), "line 5 is damaged: it was changed"),
    "an object": (lambda lines: [*lines, b"{}\n"], "line 11 is damaged: it holds no event"),
    "a number": (lambda lines: [*lines, b"5\n"], "line 11 is damaged: it holds no event"),
    "no checksum": (flipped(3, b', "sum"', b', "som"'), "line 4 is damaged: it has lost its checksum"),
    "unknown": (lambda lines: [*lines, b'{"event": "party"}\n'], "line 11 is damaged: it holds no event .*'party'"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_an_error_that_names_the_line_and_can_be_repaired(
    tmp_path: Path, lines: list[bytes], name: str
) -> None:
    harm, said = DAMAGE[name]
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(harm(lines)))
    with pytest.raises(UserError, match=said):
        read_state(tmp_path)
    with pytest.raises(UserError, match="dal-nlp repair"), Ledger(tmp_path):
        pass
    before = path.read_bytes().splitlines(keepends=True)
    done = repair(tmp_path)
    assert done.lost
    state = read_state(tmp_path)  # whole again
    assert "was damaged and repaired" in state.notes[-1]
    kept = [event.to_json() for event in list(read_events(path))[:-1]]
    assert all(event in [one.to_json() for one in EVENTS] for event in kept)
    aside = done.aside.read_bytes().splitlines(keepends=True) if done.aside else []
    ended = state.stopped is None  # where anything is lost the run goes on
    assert len(kept) + len(aside) + ended >= len(set(before)) and all(line in before for line in aside)
    assert repair(tmp_path).lost == []


def test_what_was_only_moved_or_doubled_is_put_right_without_a_loss(tmp_path: Path, lines: list[bytes]) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b"".join([*lines[:2], lines[3], lines[2], *lines[4:], lines[4]]))
    done = repair(tmp_path)
    assert done.aside is None and done.kept == len(EVENTS)
    assert list(read_events(tmp_path / "ledger.jsonl"))[:-1] == EVENTS
    assert read_state(tmp_path).stopped == "done"


@pytest.mark.parametrize("saved", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_an_editor_or_git_does_to_line_ends_costs_no_line(
    tmp_path: Path, lines: list[bytes], saved: str, end: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines).decode().replace("\n", end).encode(saved))
    if (saved, end) == ("utf-8", "\n"):
        assert repair(tmp_path).lost == []
        return
    with pytest.raises(UserError, match="line 1 is damaged: another program, such as an editor or git"):
        read_state(tmp_path)
    done = repair(tmp_path)
    assert done.aside is None and done.kept == len(EVENTS) and len(done.lost) == 1
    assert list(read_events(path))[:-1] == EVENTS and read_state(tmp_path).stopped == "done"


def test_what_builds_on_a_lost_query_is_set_aside_and_its_model_forgotten(tmp_path: Path, lines: list[bytes]) -> None:
    for place in ("checkpoints/round-0", "checkpoints/round-1", "model"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "fit.json").write_text("{}")
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(without(5)(lines)))
    done = repair(tmp_path)
    state = read_state(tmp_path)
    assert state.answers == {"a": "p", "b": "n"} and state.round == 1 and state.stopped is None
    assert done.aside is not None
    assert [json.loads(line)["event"] for line in done.aside.read_text().splitlines()] == ["label", "skip", "metrics"]
    assert [place.parent.name for place in tmp_path.rglob("fit.json")] == ["round-0"]


def test_a_lost_label_costs_no_other_one(tmp_path: Path, lines: list[bytes]) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(without(2)(lines)))
    done = repair(tmp_path)
    state = read_state(tmp_path)
    assert state.answers == {"b": "n", "c": "p"} and state.round == 2 and state.waiting == ["a"]
    assert done.lost == ["Gone without a trace: 1 line."]


def test_without_its_settings_nothing_can_be_kept(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(UserError, match=r"line 1 is damaged: it was written as line 2"):
        read_state(tmp_path)
    with pytest.raises(UserError, match="has lost its first line, the settings"):
        repair(tmp_path)
    assert path.read_bytes() == b"".join(lines[1:])


def test_a_whole_ledger_is_left_as_it_is(tmp_path: Path, lines: list[bytes]) -> None:
    before = (tmp_path / "ledger.jsonl").read_bytes()
    assert repair(tmp_path).lost == [] and (tmp_path / "ledger.jsonl").read_bytes() == before
    with pytest.raises(UserError, match="is not a run folder"):
        repair(tmp_path / "nothing")


def old(events: list[Event]) -> bytes:
    """The lines of a ledger of format 1."""
    return b"".join(json.dumps(event.to_json()).encode() + b"\n" for event in events)


def test_an_old_ledger_gets_numbers_and_checksums_from_its_next_line_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(old(EVENTS[:6]))
    with Ledger(tmp_path) as ledger:
        for event in EVENTS[6:]:
            ledger.append(event)
    assert list(read_events(path)) == EVENTS
    assert path.read_bytes().startswith(old(EVENTS[:6]))
    written = [json.loads(line) for line in path.read_text().splitlines()][6:]
    assert [line["n"] for line in written] == [7, 8, 9, 10] and ["before" in line for line in written][:2] == [
        True,
        False,
    ]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(flipped(2, b'"p"', b'"n"')(lines)))  # a label of the old part
    with pytest.raises(UserError, match="line 7 is damaged: one of the lines before it was changed"):
        read_state(tmp_path)
    assert "one or more were changed, removed or added" in repair(tmp_path).lost[0]
    assert read_state(tmp_path).answers == {"a": "n", "b": "n", "c": "p"}
    path.write_bytes(b"".join(without(3)(lines)))
    with pytest.raises(UserError, match="line 6 is damaged: it was written as line 7"):
        read_state(tmp_path)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda lines: lines[1:], "line 1 is damaged: it holds a 'query' event before any 'config' event"),
        (without(1), "line 2 is damaged: it is about 'a', and the query or audit sample"),
        (without(5), "line 6 is damaged: it is about 'c'"),
        (
            lambda lines: [*lines[:5], lines[4], *lines[5:]],
            "line 6 is damaged: it holds the numbers of round 0 a",
        ),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "line 3 is damaged: it holds the query of round 0 a second"),
        (flipped(2, b'"p"', b'"o"'), "line 3 is damaged: its answer 'o' is none of the labels n, p"),
        (flipped(1, b'"ids"', b'"idz"'), "line 2 is damaged: its 'query' event is not as one is: ids, field required"),
        (flipped(1, b'["a", "b"]', b'["a"]'), "line 2 is damaged|line 4 is damaged"),
    ],
)
def test_what_cannot_be_is_found_in_old_ledgers_too(
    tmp_path: Path, edit: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(edit(old(EVENTS).splitlines(keepends=True))))
    with pytest.raises(UserError, match=said):
        read_state(tmp_path)


def test_a_later_version_is_said_and_nothing_is_repaired(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines) + b'{"event": "party", "n": 11, "v": 4}\n')
    for read in (read_state, repair):
        with pytest.raises(UserError, match=r"line 11 cannot be read: its format 4 is of a later dal-nlp"):
            read(tmp_path)


def test_every_flipped_bit_is_found(tmp_path: Path, lines: list[bytes]) -> None:
    path, whole = tmp_path / "ledger.jsonl", b"".join(lines)
    for place in range(0, len(whole) - 1, 7):
        for bit in (0, 3, 6):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(UserError, match="line"):
                read_state(tmp_path)
