"""Run folders that commit 4f29dfd wrote, one a task, with people's answers: they open and go on as they did then.

``old_runs/TASK`` holds the files of a run (``flags.json`` is the command line, ``answers.json`` what a person would
type), the run folder without weights, and ``expected.json``: what that commit printed and wrote from there on. It is
never recorded with a later one; where printed words were changed on purpose since, they were changed in it. Weights
that it had trained are stood in for by the random ones of ``tiny``.

* classification: two annotators of an audit sample and a round, one dispute settled, one label corrected and one taken
  back, pseudo-labels, a stopping rule, label issues, half of the second round answered at the terminal.
* qa: a finished run, answered in a sheet and at the terminal, and corrected after its end.
* head: one round of ``--train head``, labels of the file; the ledger and the configuration alone.
* summarization: answered in a sheet and on the page, two answers ahead of the round, one corrected.
"""

import csv
import io
import json
import math
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from dal_nlp.ledger.ledger import read_state
from tests import tiny, tiny_summaries
from tests import waiting_runs as asking
from tests.cli.conftest import invoke

OLD = Path(__file__).parent / "old_runs"
TASKS = ("classification", "qa", "summarization")
#: What `asking` calls them.
NAMES = {"classification": "sentiment", "qa": "qa", "summarization": "summarization"}


def rows_of_table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


#: Formats, files, and what reads them.
EXPORTS: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("csv", "answers.csv", rows_of_table),
    ("jsonl", "answers.jsonl", lambda text: [json.loads(line) for line in text.splitlines()]),
    ("label-studio", "tasks.json", json.loads),
)
#: Which start of the run adds how many rounds to the one that the folder was made with.
STARTS = (("again", 0, False), ("answered", 0, True), ("longer", 1, False), ("longer, answered", 1, True))


def weights(task: str) -> PreTrainedModel:
    """A model of the kind that the run trains."""
    return {"classification": tiny.classifier, "qa": tiny.reader, "summarization": tiny_summaries.writer}[task]()


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of a task, which is the current directory: the paths in it are relative."""
    return prepare(request.param, tmp_path / "old", monkeypatch)


def prepare(task: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(OLD / task, folder)
    asking.save_model(NAMES[task], folder / "model")
    for note in folder.glob("run/**/fit.json"):
        weights(task).save_pretrained(folder / "stand-in")
        shutil.copy(folder / "stand-in" / "model.safetensors", note.parent)
        tiny.tokenizer().save_pretrained(note.parent)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")  # lines are not wrapped
    return folder


def looked_at() -> dict[str, Any]:
    """What the commands that change nothing say of the run in the current directory."""
    shown: dict[str, Any] = {name: lines(name) for name in ("status", "log", "agreement", "report")}
    for form, name, read in EXPORTS:
        done = invoke("export", "run", "--format", form, "--which", "all", "--out", f"out/{name}")
        shown[f"export {form}"] = [done.exit_code, read(Path("out", name).read_text())]
    shown["export interface"] = Path("out/tasks.xml").read_text().splitlines()
    return shown | tables()


def lines(command: str) -> list[Any]:
    done = invoke(command, "run")
    return [done.exit_code, *(line.rstrip() for line in done.stdout.splitlines())]


def tables() -> dict[str, Any]:
    """The tables of the report, without times."""
    found = {}
    for name in ("metrics.csv", "queries.csv"):
        rows = csv.DictReader(io.StringIO(Path("run", name).read_text()))
        found[name] = [{key: cell for key, cell in row.items() if not key.endswith("seconds")} for row in rows]
    return found


def started(more_rounds: int) -> dict[str, Any]:
    """What a start of the run does."""
    words = json.loads(Path("flags.json").read_text())
    place = words.index("--rounds") + 1
    words[place] = str(int(words[place]) + more_rounds)
    done = invoke(*words)
    # Without the time, by which they are sorted.
    history = sorted(line[27:] for line in invoke("log", "run").stdout.splitlines())
    said = [line for line in done.stdout.splitlines() if line[:1].isupper()]  # without the table and its times
    return {"code": done.exit_code, "said": said, "status": lines("status"), "log": history, **tables()}


def fill_in() -> None:
    """Fill in all sheets, as far as they are empty."""
    answers = json.loads(Path("answers.json").read_text())
    for path in sorted(Path("run", "queries").glob("*.csv")):
        rows = asking.read_csv(path)
        asking.write_csv(path, [{**row, "answer": row["answer"] or answers[row["id"]]} for row in rows])


def gone_on() -> dict[str, Any]:
    """What starts of the run do, one after the other."""
    found = {}
    for name, rounds, answered in STARTS:
        if answered:
            fill_in()
        found[name] = started(rounds)
    return found


def expected(task: str) -> dict[str, Any]:
    """What is recorded of a task; the table of the export as rows, as it has all columns of the pool since then."""
    found: dict[str, Any] = json.loads((OLD / task / "expected.json").read_text())
    code, table = found["looked at"]["export csv"]
    found["looked at"]["export csv"] = [code, rows_of_table("\n".join(table))]
    return found


#: How lines begin that later versions have beside those of then.
LATER = ("Note ", "People ", "Model: ")


def check(shown: Any, wanted: Any, *place: Any) -> None:
    """Compare what is there with what is wanted; there may be more columns and notes, and numbers are a machine's."""
    if isinstance(wanted, Mapping):
        for key, part in wanted.items():
            check(shown[key], part, *place, key)
    elif isinstance(wanted, list):
        shown = [row for row in shown if row in wanted or not str(row).startswith(LATER)]
        assert len(shown) == len(wanted), (place, shown)
        for number, part in enumerate(wanted):
            check(shown[number], part, *place, number)
    else:
        if _spoken(shown):
            shown = re.sub(r"\d\.\d{3}(?= \[| at )", lambda found: f"{float(found[0]):.2f}", shown)
        assert shown == wanted or _number(shown) == pytest.approx(_number(wanted), rel=1e-3, abs=1e-4), place


def _spoken(shown: Any) -> bool:
    """Tell the line with a run's score, which had two decimal places then and has three now."""
    return isinstance(shown, str) and " labels" in shown


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return math.nan


@pytest.mark.parametrize("folder", TASKS, indirect=True)
def test_what_is_looked_at(folder: Path, request: pytest.FixtureRequest) -> None:
    ledger = (folder / "run" / "ledger.jsonl").read_bytes()
    shown = looked_at()
    check(shown, expected(request.node.callspec.params["folder"])["looked at"])
    assert (folder / "run" / "ledger.jsonl").read_bytes() == ledger
    page = (folder / "run" / "report.html").read_text()
    assert all(row["id"] in page for row in shown["queries.csv"])


@pytest.mark.long
@pytest.mark.parametrize("folder", TASKS, indirect=True)
def test_a_run_goes_on(folder: Path, request: pytest.FixtureRequest) -> None:
    ledger = (folder / "run" / "ledger.jsonl").read_bytes()
    check(gone_on(), expected(request.node.callspec.params["folder"])["gone on"])
    now = (folder / "run" / "ledger.jsonl").read_bytes()
    assert now.startswith(ledger) and len(now) > len(ledger)  # nothing that is there is ever rewritten


def test_a_run_of_the_first_head_goes_on_with_that_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder was left after one round of ``--train head``; ``expected.json`` is what that commit did in three."""
    folder = tmp_path / "old"
    shutil.copytree(OLD / "head", folder)
    tiny.save_model(folder / "model")
    monkeypatch.chdir(folder)
    want = json.loads(Path("expected.json").read_text())
    files = "--task classification --data pool.jsonl --test test.jsonl --model model --out run"
    recipe = "--train head --set training.head_c=10 --strategy entropy --initial 8 --query-size 4 --rounds 3"
    done = invoke("run", *files.split(), *recipe.split())
    assert done.exit_code == 0, done.output
    state = read_state(Path("run"))
    assert [query.ids for query in state.queries] == [query["ids"] for query in want["queries"]]
    for query, old in zip(state.queries, want["queries"], strict=True):
        assert query.scores == pytest.approx(old["scores"], abs=0.005)  # features are kept in half precision now
    for event, old in zip(state.metrics, want["metrics"], strict=True):
        assert event.values == pytest.approx(old["values"]) and event.loss == pytest.approx(old["loss"], rel=0.01)
