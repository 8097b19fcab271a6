import shutil
from pathlib import Path

import pytest

from dal_nlp.ledger.ledger import Ledger
from tests.cli.conftest import invoke
from tests.ledgers import event

CONFIG = {"task": "sentiment", "model": "minilm", "strategy": "margin", "rounds": 9, "budget": 60}


def begin(folder: Path) -> Path:
    """A run folder with an audit sample of two and a query of three, of which two and one are answered."""
    query = {"scores": [1.0] * 3, "texts": ["t"] * 3, "strategy": "random", "pool_seconds": 0.0, "choose_seconds": 0.0}
    with Ledger(folder) as ledger:
        ledger.append(event("config", {"config": CONFIG, "digests": {}, "labels": ["a", "b"]}))
        ledger.append(event("audit", {"ids": ["m", "n"], "texts": ["t", "t"]}))
        for id in "mn":
            ledger.append(event("label", {"round": None, "id": id, "target": "a"}))
        ledger.append(event("query", {"round": 0, "ids": ["x", "y", "z"], "notes": {}, **query}))
        ledger.append(event("label", {"round": 0, "id": "x", "target": "b"}))
        ledger.append(event("note", {"text": "Something to know."}))
    return folder


def shown(folder: Path) -> dict[str, str]:
    """The lines of `status` by their names."""
    result = invoke("status", str(folder))
    assert result.exit_code == 0, result.stderr
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()[1:] if line[:1].strip()]
    return {words[0]: words[1].strip() for words in lines}


def test_waiting_for_answers(tmp_path: Path) -> None:
    lines = shown(begin(tmp_path / "run"))
    assert lines["State"].startswith("waiting for 2 answers")
    assert lines["Rounds"].startswith("0 done of 10")
    assert lines["Labels"] == "3 bought (2 of them the audit sample), 57 left of 60"
    assert lines["Score"] == "none yet"
    assert lines["Note"] == "Something to know."
    assert "Report" not in lines


def test_no_more_is_left_of_a_budget_than_the_pool_has(tmp_path: Path) -> None:
    with Ledger(begin(tmp_path / "run")) as ledger:
        ledger.append(event("pool", {"rows": 40}))
    assert shown(tmp_path / "run")["Labels"] == "3 bought (2 of them the audit sample), 37 left of 40"


def test_interrupted_running_and_finished(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    with Ledger(folder) as ledger:
        for id in "yz":
            ledger.append(event("skip", {"round": 0, "id": id, "reason": "unclear"}))
        assert shown(folder)["State"] == "running"
    lines = shown(folder)
    assert lines["State"].startswith("interrupted")
    assert "2 skipped" in lines["Labels"]
    with Ledger(folder) as ledger:
        ledger.append(event("stopped", {"why": "the budget is spent", "read_test": False}))
    assert shown(folder)["State"] == "finished: the budget is spent"


def test_what_waits_is_said_while_people_answer(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    with Ledger(folder):
        assert shown(folder)["State"] == "in use, and waiting for 2 answers"


def test_it_changes_nothing_and_reads_a_folder_without_a_lock(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    (folder / ".lock").unlink(missing_ok=True)
    before = sorted(path.name for path in folder.iterdir())
    shown(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_start_that_ended_in_the_checks(tmp_path: Path) -> None:
    with Ledger(tmp_path / "run"):
        pass
    lines = shown(tmp_path / "run")
    assert list(lines) == ["State"] and lines["State"].startswith("not begun")


def test_a_real_run(finished: Path) -> None:
    lines = shown(finished)
    assert lines["Rounds"].startswith("2 done of 2")
    assert lines["Labels"] == "8 bought, 0 left of 8"
    assert "accuracy" in lines["Score"] and "at 8 labels" in lines["Score"]


@pytest.mark.pictures
def test_report_is_built_again(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    names = ["metrics.csv", "queries.csv", "report.html", "curve.svg", "curve.png"]
    for name in names:
        (copy / name).unlink()
    result = invoke("report", str(copy))
    assert result.stdout == f"{copy / 'report.html'}\n"
    assert all((copy / name).read_bytes() == (finished / name).read_bytes() for name in names)


def test_no_run_folder_is_a_mistake(tmp_path: Path) -> None:
    for words in (["status"], ["report"], ["predict"]):
        result = invoke(*words, str(tmp_path), *(["x.csv"] if words == ["predict"] else []))
        assert result.exit_code == 2
        assert "is not a run folder" in result.stderr
