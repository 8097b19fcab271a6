"""The ledger: append-only, torn lines, damage, one writer, folding."""

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from dal_nlp.core.errors import Locked, UserError
from dal_nlp.ledger.events import read_event
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.ledger.state import State
from tests.ledgers import event, lines_of

QUERY = {
    "round": 0,
    "ids": ["a", "b"],
    "scores": [1.0, 0.5],
    "texts": ["A", "B"],
    "strategy": "margin",
    "pool_seconds": 0.1,
    "choose_seconds": 0.2,
    "notes": {},
}
EVENTS = [
    ("config", {"config": {"task": "sentiment"}, "digests": {}, "labels": ["n", "p"]}),
    ("pool", {"rows": 9, "digest": "d"}),
    ("query", QUERY),
    ("label", {"round": 0, "id": "a", "target": "p"}),
    ("skip", {"round": 0, "id": "b", "reason": "unreadable"}),
    ("metrics", {"round": 0, "labels": 1, "values": {"accuracy": 0.5}, "attempts": 1}),
]
WRITTEN = [event(name, values) for name, values in EVENTS]


def write(folder: Path) -> State:
    with Ledger(folder) as ledger:
        ledger.extend(WRITTEN)
        return ledger.state


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    written = write(tmp_path)
    read = read_state(tmp_path)
    assert read == written
    assert read.round == 1
    assert read.training_ids == ["a"]
    assert read.spent == 1
    assert read.pending(["a", "b", "c"]) == ["c"]


@pytest.mark.long
def test_a_file_cut_anywhere_folds_to_a_prefix_and_goes_on(tmp_path: Path) -> None:
    write(tmp_path)
    whole = (tmp_path / "ledger.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        (tmp_path / "ledger.jsonl").write_bytes(whole[:cut])
        done = sum(end <= cut for end in ends)
        with Ledger(tmp_path) as ledger:
            for further in WRITTEN[done:]:
                ledger.append(further)
        assert (tmp_path / "ledger.jsonl").read_bytes() == whole


def test_damage_before_the_last_line_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    lines = (tmp_path / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2][:20] + b"\n"
    (tmp_path / "ledger.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=r"ledger.jsonl, line 3 is damaged"):
        read_state(tmp_path)


def test_a_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    script = (
        "import sys; from dal_nlp.ledger.ledger import Ledger; from pathlib import Path\n"
        "with Ledger(Path(sys.argv[1])): pass"
    )
    with Ledger(tmp_path):
        other = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
        assert "Locked" in other.stderr and "is in use by another dal-nlp process" in other.stderr
        with pytest.raises(Locked), Ledger(tmp_path):
            pass
    with Ledger(tmp_path):
        pass


def test_corrections_are_later_lines() -> None:
    state = State()
    for id, target in (("a", "n"), ("a", "p")):
        state.apply(read_event({"event": "label", "id": id, "target": target}))
    state.apply(read_event({"event": "skip", "id": "b", "reason": "?"}))
    state.apply(read_event({"event": "label", "id": "b", "target": "n"}))
    assert state.answers == {"a": "p", "b": "n"}
    assert state.skipped == {}
    assert state.spent == 2


def test_a_new_configuration_or_pool_takes_up_a_stopped_run() -> None:
    state = State()
    state.apply(read_event({"event": "stopped", "why": "x", "read_test": False}))
    assert state.stopped == "x"
    state.apply(read_event({"event": "pool", "rows": 2}))
    assert state.stopped is None


def test_unicode_stays_readable(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.append(event("label", {"round": 0, "id": "ü", "target": "好"}))
    assert "好" in (tmp_path / "ledger.jsonl").read_text(encoding="utf-8")
    assert lines_of(tmp_path)[0]["id"] == "ü"


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another folder"), Ledger(tmp_path / "file" / "run"):
        pass


def test_queries_of_older_versions_have_no_guesses_and_load(tmp_path: Path) -> None:
    guesses = [{"target": "p", "confidence": 0.5, "marks": [[0, 1]]}, {"target": "n", "confidence": 0.9, "marks": []}]
    with Ledger(tmp_path) as ledger:
        ledger.append(WRITTEN[0])
        ledger.append(event("query", QUERY))
        ledger.append(event("query", {**QUERY, "round": 1, "guesses": guesses}))
    assert [query.predictions for query in read_state(tmp_path).queries] == [[], guesses]


def test_a_full_disk_refuses_an_event_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger(tmp_path) as ledger:
        state = ledger.state.answers.copy()
        try:
            # The disk takes the beginning of the line and no more.
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
            with pytest.raises(UserError, match="was not kept: make room"):
                ledger.append(event("label", {"round": 0, "id": "b", "target": "p" * 100}))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert ledger.state.answers == state
        assert (tmp_path / "ledger.jsonl").read_bytes() == before
        ledger.append(event("label", {"round": 0, "id": "b", "target": "p"}))
    assert read_state(tmp_path).answers == {**state, "b": "p"}


def test_corrections_removals_and_what_does_not_decide(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.extend(WRITTEN[:4])
        ledger.append(event("answer", {"round": 0, "id": "b", "target": "n", "by": "anna"}))
        assert ledger.state.answers == {"a": "p"} and ledger.state.waiting == ["b"]
        ledger.append(event("label", {"round": 0, "id": "a", "target": "n"}))
        ledger.append(event("skip", {"round": 0, "id": "a", "reason": "unsure"}))
        assert not ledger.state.answers and ledger.state.skipped == {"a": "unsure"}
        ledger.append(event("removed", {"id": "a", "by": "anna"}))
        assert ledger.state.waiting == ["a", "b"]  # the round is under way: it is asked about again
        ledger.append(event("label", {"round": 0, "id": "a", "target": "p"}))
        ledger.append(event("label", {"round": 0, "id": "b", "target": "p"}))
        ledger.append(WRITTEN[5])
        ledger.append(event("stopped", {"why": "done", "read_test": False}))
        ledger.append(event("removed", {"id": "a", "by": "anna"}))
        state = ledger.state
    assert state.waiting == [] and state.answers == {"b": "p"} and state.stopped is None
    (query,) = state.queries  # the round is over: it is as if it had not been asked about
    assert (query.ids, query.scores, query.texts) == (["b"], [0.5], ["B"])
    assert [event.name for event in state.given["a"]] == ["label", "label", "skip", "removed", "label", "removed"]
    assert read_state(tmp_path) == state


def test_a_subscriber_hears_of_each_event_once_it_is_on_the_disk(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    with Ledger(tmp_path) as ledger:
        ledger.append(WRITTEN[0])
        ledger.subscribe(lambda event: heard.append((event.name, len(lines_of(tmp_path)), len(ledger.state.answers))))
        ledger.append(WRITTEN[1])
        ledger.extend(WRITTEN[2:4])
    assert heard == [("pool", 2, 0), ("query", 4, 0), ("label", 4, 1)]


def test_events_that_are_written_together_are_flushed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    with Ledger(tmp_path) as ledger:
        monkeypatch.setattr(os, "fsync", lambda number: flushed.append(len(lines_of(tmp_path))))
        ledger.extend(WRITTEN)
        assert flushed == [len(WRITTEN)]
        for id in ("a", "b"):
            ledger.append(event("label", {"round": 0, "id": id, "target": "p"}))
    assert flushed == [6, 7, 8]


def test_asking_is_linear() -> None:
    """Counts what folding an answer looks at: as much with many asked ids as with few."""

    def operations(n: int) -> int:
        state, ids = State(), [f"e{i}" for i in range(n)]
        values = {"round": 0, "ids": ids, "scores": [0.0] * n, "texts": ids, "strategy": "s"}
        state.apply(event("query", values))
        answers = [event("label", {"id": id, "target": "p"}) for id in ids[-20:]]
        steps = 0

        def count(*_: object) -> None:
            nonlocal steps
            steps += 1

        def trace(frame: object, what: str, _: object) -> object:
            count()
            return trace

        gc.collect()
        gc.disable()  # what other tests have left would be counted when it goes
        before = sys.gettrace()
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            for answer in answers:
                state.apply(answer)
                assert answer.id in state.ever_asked and state.asks(answer.id)  # type: ignore[attr-defined]
                state.asked_by(answer.id), state.suggestion(answer.id)  # type: ignore[attr-defined]
                state.prefetch_limit(n, 9, 1)
        finally:
            sys.settrace(before)
            gc.enable()
        return steps

    assert operations(4000) == operations(200)
