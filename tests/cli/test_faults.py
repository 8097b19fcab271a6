"""What a command says of an environment that is against it; nothing crashes."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.ledger.events import ConfigEvent, NoteEvent
from dal_nlp.ledger.ledger import GRACE, Ledger, read_events
from dal_nlp.ledger.lines import write_lines
from dal_nlp_cli.command import own_code
from dal_nlp_cli.status import is_running
from tests import tiny
from tests.cli.conftest import PATH, Files, invoke
from tests.tiny import write


@pytest.fixture
def read_only(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run, in which nothing can be written."""
    opened, write, folder = os.open, Path.write_bytes, str(finished)

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if str(path).startswith(folder) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return opened(path, flags, *more, **named)

    def written(path: Path, content: bytes) -> int:
        if str(path).startswith(folder):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return write(path, content)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "write_bytes", written)
    return finished


def test_a_read_only_folder_is_read(read_only: Path, tmp_path: Path) -> None:
    assert "finished: the one round is done" in invoke("status", str(read_only)).output
    assert invoke("log", str(read_only)).exit_code == 0
    assert invoke("report", str(read_only), "--out", str(tmp_path / "report")).exit_code == 0
    assert (tmp_path / "report" / "report.html").is_file() and (tmp_path / "report" / "metrics.csv").is_file()
    assert invoke("export", str(read_only), "--out", str(tmp_path / "x.csv")).exit_code == 0


def test_what_cannot_be_written_there_is_a_sentence(read_only: Path) -> None:
    done = invoke("report", str(read_only))
    assert done.exit_code == 2 and "could not be written (Read-only file system; " in done.stderr
    assert "--out" in done.stderr and "crashed" not in done.stderr


@pytest.mark.parametrize("command", ["status", "log", "report", "export", "label", "repair", "run"])
def test_a_ledger_that_may_not_be_read_is_a_sentence(
    finished: Path, files: Files, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    opened = Path.open

    def refuse(path: Path, *more: Any, **named: Any) -> Any:
        if path.name == "ledger.jsonl":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *more, **named)

    monkeypatch.setattr(Path, "open", refuse)  # root reads what nobody may
    words = files.flags(finished) if command == "run" else [str(finished)]
    done = invoke(command, *words, *(["--as", "anna"] if command == "label" else []))
    assert done.exit_code == 2, done.output
    assert "ledger.jsonl c" in done.stderr and "Permission denied" in done.stderr and "crashed" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["label", "--as", "anna"],
        ["export"],
        ["agreement"],
        ["predict", "new.jsonl"],
        ["relabel", "x", "positive", "--as", "anna"],
        ["report"],
    ],
    ids=lambda words: words[0],
)
def test_a_task_that_a_run_folder_names_is_not_run_unless_it_is_trusted(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(finished, folder)
    config, *events = read_events(folder / "ledger.jsonl")
    assert isinstance(config, ConfigEvent)
    stranger = replace(config, config={**config.config, "task": "stranger:T"})
    (folder / "ledger.jsonl").write_bytes(write_lines([stranger, *events]))
    (tmp_path / "stranger.py").write_text(
        "open('ran', 'w').close()\nfrom dal_nlp.tasks.classification import Classification as T\n"
    )
    write(tmp_path / "new.jsonl", tiny.sentences(2))
    monkeypatch.chdir(tmp_path)
    command, *more = words
    done = invoke(command, str(folder), *more)
    assert not (tmp_path / "ran").exists() and "crashed" not in done.stderr
    assert command == "report" or (done.exit_code == 2 and "give --trust" in done.stderr)


def test_a_folder_that_is_held_is_running_and_one_that_is_not_is_not(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with Ledger(tmp_path):
        assert is_running(tmp_path)
    assert not is_running(tmp_path)


#: A process that holds the folder for as long as its parent lives, and that parent.
LEFT = """
import os, subprocess, sys, time
from pathlib import Path
child = "import sys, time; from pathlib import Path; from dal_nlp.core.distributed import end_with\\n"
child += "from dal_nlp.ledger.ledger import Ledger\\n"
child += "with Ledger(Path(sys.argv[1])): end_with(int(sys.argv[2])); print('held', flush=True); time.sleep(600)"
started = subprocess.Popen([sys.executable, "-c", child, sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE)
started.stdout.readline()
print(started.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.long
@pytest.mark.parametrize(("command", "says"), [("run", "Finished"), ("annotate", "is answered by labeled-file")])
def test_the_same_command_right_after_a_kill_waits_for_the_processes_that_are_left(
    files: Files, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, says: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    environment = {**os.environ, "PYTHONPATH": PATH}
    words = [sys.executable, "-c", LEFT, str(folder)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGSTOP)  # what is left is slow to look: it has not ended when the command wants in
        parent.kill()
    waited, sleep = [0.0], time.sleep

    def wait(seconds: float) -> None:
        sleep(seconds)
        waited.append(waited[-1] + seconds)
        if waited[-2] < 2 * GRACE <= waited[-1]:  # longer than a command waits that nobody has killed
            os.kill(child, signal.SIGCONT)

    monkeypatch.setattr(time, "sleep", wait)
    flags = files.flags(folder) if command == "run" else [str(folder), "--port", "0"]
    try:
        assert says in invoke(command, *flags).output
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
    assert waited[-1] >= 2 * GRACE


@pytest.mark.long
@pytest.mark.parametrize("command", ["status", "log", "predict"])
def test_a_terminal_without_the_letters_is_written_to(finished: Path, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "Übung-日本"
    folder.symlink_to(finished)
    poor = {**os.environ, "PYTHONPATH": PATH, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-m", "dal_nlp", command, str(folder)]
    if command == "predict":  # tokenizers opens no file of such a name there
        words[-1:] = [str(finished), write(tmp_path / "new.jsonl", [{"id": "ő", "text": "jó film 日本 good"}])]
    done = subprocess.run(words, env=poor, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout and b"crashed" not in done.stderr


def test_a_working_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import os; os.rmdir(os.getcwd()); from dal_nlp_cli.main import main; main()"]
    done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": PATH}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: the folder that you are in was deleted: change to another one.\n"


def test_a_class_that_a_run_names_is_not_run_unless_it_is_trusted(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text(
        "open('ran', 'w').close()\nfrom dal_nlp.tasks.classification import Classification as T\n"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs.yaml").write_text(
        f"task: evil:T\ndata: {files.pool}\ntest: {files.test}\nmodel: {files.model}\n"
    )
    words = ["check", "--config", "theirs.yaml"]
    done = invoke(*words)
    assert done.exit_code == 2 and "give --trust" in done.stderr
    assert not (tmp_path / "ran").exists()
    invoke(*words, "--trust")
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "query=[1"],
        ["--set", "labels=[a,b]]"],
        ["--config", "."],
        ["--config", os.devnull],
        ["--task", ".a:B"],
        ["--task", "builtins:int"],
        ["--oracle", "os:PathLike"],
        ["--oracle", "noisy:" + "a" * 300],
        ["--budget", "9" * 400],
        ["--target", "accuracy=nan"],
        ["--stop", "(" * 500],
    ],
)
def test_flags_that_are_none_are_a_sentence(files: Files, tmp_path: Path, words: list[str]) -> None:
    done = invoke("check", *files.flags(tmp_path / "out"), *words)
    assert done.exit_code == 2, done.output
    *_, last = done.stderr.splitlines()
    assert last.startswith("Error: ") and "crashed" not in last and len(last) < 1500


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["test", "RUN", "FILE", "--budget", "9" * 400], "--budget is larger than any number"),
        (["compare", "--jobs", "9" * 400], "--jobs is larger than any number"),
        (["autolabel", "RUN", "FILE", "--error", "1e-300"], "--error 1e-300 is too little"),
        (["autolabel", "RUN", "FILE", "--error", "nan"], "--error nan is no share"),
        (["status", "x" * 5000], "(File name too long; "),
    ],
)
def test_numbers_and_names_without_end_are_a_sentence(
    finished: Path, files: Files, words: list[str], says: str
) -> None:
    done = invoke(*[{"RUN": str(finished), "FILE": files.more}.get(word, word) for word in words])
    assert done.exit_code == 2 and says in done.stderr and "crashed" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["export", "RUN", "--out", "RUN/ledger.jsonl"],
        ["export", "RUN", "--out", "POOL"],
        ["export", "RUN", "--format", "hf-dataset", "--out", "RUN"],
        ["export", "RUN", "--onnx", "--out", "RUN"],
        ["predict", "RUN", "people.csv", "--out", "people.csv"],
        ["predict", "RUN", "people.csv", "--out", "RUN/config.yaml"],
        ["autolabel", "RUN", "people.csv", "--out", "."],
        ["report", "RUN", "--out", "people.csv"],
    ],
)
def test_no_command_writes_over_what_it_reads(
    files: Files, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("id,text\na,a good film\n")
    shutil.copytree(finished, "RUN")
    pool = Path(files.pool).read_bytes()
    before = {place: place.read_bytes() for place in Path().rglob("*") if place.is_file()}
    done = invoke(*[files.pool if word == "POOL" else word for word in words])
    assert done.exit_code == 2 and "give another --out" in done.stderr, done.output
    assert {place: place.read_bytes() for place in Path().rglob("*") if place.is_file()} == before
    assert Path(files.pool).read_bytes() == pool


def test_what_predict_writes_is_there_whole_or_as_it_was(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, new = tmp_path / "out.csv", tmp_path / "new.jsonl"
    out.write_text("of yesterday")
    new.write_text('{"text": "a good film"}\n' * 2000 + "broken\n")
    assert invoke("predict", str(finished), str(new), "--out", str(out)).exit_code == 2
    assert out.read_text() == "of yesterday" and sorted(tmp_path.iterdir()) == [new, out]
    os.mkfifo(tmp_path / "pipe")
    reads = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    new.write_text('{"text": "a good film"}\n')
    assert invoke("predict", str(finished), str(new), "--out", str(tmp_path / "pipe")).exit_code == 0
    assert b"a good film" in os.read(reads, 1 << 16)
    os.close(reads)


def test_a_crash_in_a_file_of_ones_own_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("import json\n\n\ndef choose():\n    return json.loads('{')\n")
    names: dict[str, Any] = {}
    exec(compile(mine.read_text(), str(mine), "exec"), names)
    with pytest.raises(ValueError) as theirs:
        names["choose"]()
    assert own_code(theirs.value) == f"{mine}, line 5, crashed"
    with pytest.raises(ValueError) as elsewhere:
        json.loads("{")
    below = elsewhere.value.__traceback__
    assert below is not None and own_code(elsewhere.value.with_traceback(below.tb_next)) == ""


def test_a_ledger_that_is_removed_while_it_is_open_takes_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.path.unlink()
        with pytest.raises(UserError, match="is gone, so nothing can be kept"):
            ledger.append(NoteEvent(text="x"))
        assert not ledger.state.notes
