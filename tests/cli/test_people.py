"""The commands around people's answers: relabel, log, agreement, suspects, export, ingest."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dal_nlp_cli.log import log
from tests.cli.conftest import invoke
from tests.ledgers import event
from tests.waiting_runs import events, fill, run, state, typed

Waiting = Callable[[str], Path]


@pytest.fixture
def folder(waiting: Waiting) -> Path:
    """A run whose first round is answered and which waits for the second."""
    folder = waiting("sentiment")
    fill(folder / "run" / "queries" / "round-000.csv", typed("sentiment"))
    run("sentiment", folder)
    return folder


def test_a_correction_counts_in_the_next_round_and_the_history_says_who(folder: Path) -> None:
    (id, label), *_ = state(folder).answers.items()
    other = {"positive": "negative", "negative": "positive"}[label]
    done = invoke("relabel", str(folder / "run"), id, other, "--as", "ben", "--note", "a slip")
    assert done.exit_code == 0 and f"{id} is now {other}" in done.stdout
    fill(folder / "run" / "queries" / "round-001.csv", typed("sentiment"))
    assert run("sentiment", folder).labels[id] == other
    lines = invoke("log", str(folder / "run"), id).stdout.splitlines()
    assert len(lines) == 2
    assert f"round-000.csv: labeled '{label}'" in lines[0]
    assert f"ben (relabel): corrected, for good '{other}'; note: a slip" in lines[1]
    assert all(event["at"].endswith("+00:00") for event in events(folder, "label"))
    assert len(invoke("log", str(folder / "run")).stdout.splitlines()) == 9


def test_the_history_fits_a_screen(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    log(folder / "run")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert len([line for line in lines if not line.startswith("    ")]) == 4


def test_a_correction_after_the_end_says_what_it_takes(folder: Path) -> None:
    fill(folder / "run" / "queries" / "round-001.csv", typed("sentiment"))
    assert run("sentiment", folder).stopped
    one, two, *_ = state(folder).answers
    said = invoke("relabel", str(folder / "run"), one, "skip").stdout
    assert f"{one} has no label now" in said and "raise --rounds or --budget" in said
    assert "is back in the pool" in invoke("relabel", str(folder / "run"), two, "--remove").stdout
    again = invoke("relabel", str(folder / "run"), two, "positive")
    assert again.exit_code == 2 and "is back in the pool and not asked about now" in again.stderr


def test_a_removed_label_is_back_in_the_pool(folder: Path) -> None:
    from dal_nlp.ledger.ledger import Ledger

    id, *_ = state(folder).answers
    assert invoke("relabel", str(folder / "run"), id, "--remove").stdout.strip().endswith("is back in the pool.")
    now = state(folder)
    assert id not in now.answers and id not in now.training_ids and id not in now.waiting
    assert [len(query.ids) for query in now.queries] == [3, 4]
    fill(folder / "run" / "queries" / "round-001.csv", typed("sentiment"))
    end = run("sentiment", folder, rounds=2, query_size=20, budget=40)
    assert id in end.pending  # 24 rows, so everything that is left is asked about
    with Ledger(folder / "run") as ledger:
        ledger.append(event("label", {"round": 2, "id": id, "target": "positive"}))
        assert ledger.state.training_ids.count(id) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["s0-999", "positive"], "has not asked about 's0-999'"),
        (["ID", "positiv"], "did you mean 'positive'"),
        (["ID"], "or --remove"),
        (["ID", "positive", "--remove"], "or --remove"),
    ],
)
def test_mistakes(folder: Path, words: list[str], part: str) -> None:
    id, *_ = state(folder).answers
    before = (folder / "run" / "ledger.jsonl").read_bytes()
    done = invoke("relabel", str(folder / "run"), *[id if word == "ID" else word for word in words])
    assert done.exit_code == 2 and part in done.stderr and done.stderr.count("\n") == 1
    assert (folder / "run" / "ledger.jsonl").read_bytes() == before


def test_labels_that_look_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dal_nlp.workflows import label_errors as suspects

    ids = list(state(folder).answers)[:2]
    rows = [{"id": id, "target": "x\x1b", "confidence": 0.9, "doubt": 0.8, "round": -1, "answers": 1} for id in ids]
    monkeypatch.setattr(suspects, "find_suspects", lambda store, progress: (rows, 4))
    done = invoke("suspects", str(folder / "run"), "--quiet")
    assert done.exit_code == 0 and "Labels that look wrong: 2 of 4." in done.stdout and "\x1b" not in done.stdout
    assert (folder / "run" / "queries" / "suspects.csv").is_file()
    monkeypatch.setattr(suspects, "find_suspects", lambda store, progress: ([], 4))
    assert "None of 4 labels looks wrong." in invoke("suspects", str(folder / "run")).stdout


def test_export_and_ingest(folder: Path) -> None:
    target = folder / "out" / "labels.csv"
    assert "4 examples" in invoke("export", str(folder / "run"), "--out", str(target)).stdout
    done = invoke("ingest", str(folder / "run"), str(target))
    assert done.exit_code == 0 and "New answers: 0; known already: 4; not taken: 0." in done.stdout
    assert "Answers still missing: 4." in done.stdout
    assert invoke("export", str(folder / "run"), "--format", "xml").exit_code == 2
    assert invoke("ingest", str(folder / "run"), str(folder / "nowhere.csv")).exit_code == 2


def test_nothing_is_taken_while_the_run_is_going(folder: Path) -> None:
    from dal_nlp.ledger.ledger import Ledger

    id, *_ = state(folder).answers
    with Ledger(folder / "run"):
        done = invoke("relabel", str(folder / "run"), id, "positive")
    assert done.exit_code == 2 and "in use by another dal-nlp process" in done.stderr


def test_agreement_without_two_people(folder: Path) -> None:
    assert "Nothing has been answered by two people" in invoke("agreement", str(folder / "run")).stdout
