import io
import re
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import pytest
import typer

from dal_nlp.core.config import OF_FLAGS, Settings
from dal_nlp.core.errors import UserError
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import TASKS, recipe_of
from dal_nlp_cli import terminal
from dal_nlp_cli.flag_help import help_of
from dal_nlp_cli.flags import Flags
from dal_nlp_cli.main import app
from tests.cli.conftest import invoke

CONTRACT = """--task --data --test --text-column --label-column --id-column --model --strategy --initial-strategy
    --initial --query-size --rounds --budget --target --seed --out --config --set --quiet --labels --labeled
    --validation --audit --answers --oracle --pseudo-labels --strict --debug"""
HEAVY = {"torch", "transformers", "datasets", "accelerate", "numpy", "pandas", "sklearn", "matplotlib"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from dal_nlp_cli.main import app\n"
        "assert not any(CliRunner().invoke(app, words).exit_code for words in (['--help'], ['run', '--help']))\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "typer" in done.stdout.split()
    assert HEAVY.isdisjoint(done.stdout.split())


def test_version_and_help_of_all_commands() -> None:
    assert invoke("--version").stdout == f"dal-nlp {version('dal-nlp')}\n"
    shown = invoke("--help").stdout
    for command in ("run", "check", "init", "status", "report", "predict", "strategies"):
        assert command in shown
        assert invoke(command, "--help").exit_code == 0


@pytest.mark.parametrize("command", ["run", "check"])
def test_flags_are_the_contract(command: str) -> None:
    assert set(re.findall(r"--[a-z-]+", invoke(command, "--help").stdout)) >= set(CONTRACT.split())


@pytest.mark.parametrize("command", ["run", "check", "compare"])
def test_every_flag_tells_its_default(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    for line in invoke(command, "--help").stdout.splitlines():
        assert not re.match(r"\W+--", line) or "Default: " in line or re.search("--(debug|help) ", line), line


def test_every_setting_with_a_flag_is_described_where_it_is_defined() -> None:
    written = {field.name for field in fields(Flags)}
    for name in written - {"config", "settings", "quiet", "trust", "debug"}:
        assert vars(Flags())[name] is None  # so that a configuration file counts
        assert name in Settings.model_fields or name in OF_FLAGS
    assert help_of("stop").startswith(str(Settings.model_fields["stop"].description)[1:], 1)
    assert help_of("out") == "The run folder. Default: runs/TASK-N."
    assert help_of("initial").endswith("Labels of round 0. Default: 20, or 0 with labels you already have.")


@pytest.mark.parametrize(
    "name", ["train", "model", "strategy", "query_size", "label_column", "initial_strategy", "prior"]
)
def test_help_tells_the_defaults_that_a_run_really_has(name: str) -> None:
    default = help_of(name).partition("Default: ")[2].removesuffix(".")
    first, *others = default.split(", in ")
    named = {task: other.rpartition(" ")[2] for other in others for task in other.rpartition(" ")[0].split(" and ")}
    for task in TASKS:
        value: object = RunConfig(task=task, data="x.csv")
        for key in OF_FLAGS.get(name, name).split("."):
            value = getattr(value, key)
        assert str(value) == named.get(recipe_of(task), first), task


def test_wrong_words_name_the_nearest() -> None:
    for words, near in ((["run", "--querysize", "3"], "--query-size"), (["rum"], "run")):
        result = invoke(*words)
        assert result.exit_code == 2
        assert near in result.stderr


def test_a_crash_is_one_sentence_and_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(self: Flags) -> None:
        raise ZeroDivisionError("by\nnothing")

    monkeypatch.setattr(Flags, "load", crash)
    result = invoke("run", "--quiet")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "ZeroDivisionError: by nothing" in result.stderr and "--debug" in result.stderr
    assert "Traceback" in invoke("run", "--quiet", "--debug").stderr


def test_a_mistake_is_one_sentence_and_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistake(self: Flags) -> None:
        raise UserError("This is wrong: mend it.")

    monkeypatch.setattr(Flags, "load", mistake)
    result = invoke("run", "--quiet")
    assert (result.exit_code, result.stderr) == (2, "Error: This is wrong: mend it.\n")
    result = invoke("run", "--quiet", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr and result.stderr.endswith("Error: This is wrong: mend it.\n")


def test_what_users_texts_hold_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mistake(self: Flags) -> None:
        raise UserError("The label \x1b[2J is wrong:\nmend it.")

    monkeypatch.setattr(Flags, "load", mistake)
    assert invoke("run", "--quiet").stderr == "Error: The label ␛[2J is wrong:\nmend it.\n"
    terminal.say("an id \r\x07")
    terminal.table(["id"], [["\x1b[2J"]])
    shown = capsys.readouterr().out
    assert shown.startswith("an id ␍␇\n") and "␛[2J" in shown and "\x1b" not in shown


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Flags) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Flags, "load", interrupt)
    for command in ("run", "check"):
        result = invoke(command, "--quiet")
        assert result.exit_code == 130
        assert result.stderr.startswith("Interrupted")


def test_only_the_first_of_several_processes_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    terminal.say("a")
    terminal.complain("b")
    terminal.table(["c"], [["d"]])
    terminal.figures(["c"], [["1"]])
    terminal.progress(quiet=False).say("e")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("RANK", "0")
    terminal.say("a")
    terminal.complain("b")
    assert capsys.readouterr() == ("a\n", "b\n")


def test_sentences_wrap_on_a_screen_and_paths_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = "/a-path" * 5, "some words " * 4
    monkeypatch.setenv("COLUMNS", "20")
    terminal.say(f"{text}{path}")
    assert capsys.readouterr().out == f"{text}{path}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal.say(f"{text}{path}")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == path
    assert lines[:-1] == ["some words some", "words some words", "some words"]
    terminal.say(text.strip(), hang=2)
    assert capsys.readouterr().out.splitlines() == ["some words some", "  words some words", "  some words"]


def test_sentences_are_in_a_pipe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="utf-8"))
    terminal.say("Answer at http://127.0.0.1:8765/#token")
    assert pipe.getvalue().endswith(b"#token\n")


def test_figures_leave_out_what_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    header, rows = ["round", "validation score", "train"], [["0", "0.5", "1.0 s"], ["1", "0.6", "2.0 s"]]
    terminal.figures(header, rows)
    assert [line.split() for line in capsys.readouterr().out.splitlines()[-3:-1]] == rows_as_words(rows)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal.figures(header, rows)
    lines = capsys.readouterr().out.splitlines()
    assert "─" * len("round  validation") in lines
    assert [line.split() for line in lines if line[:5].strip() in ("0", "1")] == [["0", "0.5"], ["1", "0.6"]]
    assert " ".join(lines).endswith("Columns for which this screen is too narrow: train.")


def rows_as_words(rows: list[list[str]]) -> list[list[str]]:
    return [" ".join(row).split() for row in rows]


def test_no_flag_is_spelt_as_what_stands_for_its_value() -> None:
    # typer 0.27 takes the spelling of such a metavar for the flag's: --test TEST became --TEST.
    command: Any = typer.main.get_command(app)
    for name, one in command.commands.items():
        options = [
            p for sub in getattr(one, "commands", {"": one}).values() for p in sub.params if p.opts[0][:2] == "--"
        ]
        assert options, name
        for parameter in options:
            assert f"--{parameter.metavar}".lower() not in parameter.opts, name
