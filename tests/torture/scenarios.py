"""The commands that are struck."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import tiny, waiting_runs
from tests.torture.processes import command, fork, wait

#: Seconds after which a command that was not struck is stuck.
PATIENCE = 900
FAST = ["--set", "training.min_steps=3", "--set", "training.epochs=1", "--initial-strategy", "random", "--quiet"]


@dataclass(frozen=True)
class Scenario:
    """A command that is struck.

    Attributes:
        words: The command line, of a folder.
        base: The folder that a trial starts with a copy of; None for none.
        has_children: Whether it starts processes that can be struck alone.
        answers: What fills the sheets, of a folder, where the command ends because answers are missing.
        page: Whether the command serves a page, on which a client answers.
        asks_in: The folder whose sheets are filled.
    """

    name: str
    words: Callable[[Path], list[str]]
    base: Path | None = None
    has_children: bool = False
    answers: Mapping[str, str] = field(default_factory=dict)
    page: bool = False
    asks_in: str = "run"


def scenarios(folder: Path) -> list[Scenario]:
    """Return the commands that are struck; what they read is made in a folder."""
    folder.mkdir(parents=True)
    pool, test = (
        tiny.write(folder / "pool.jsonl", tiny.sentences(60)),
        tiny.write(folder / "test.jsonl", tiny.sentences(16, seed=1)),
    )
    more = tiny.write(folder / "more.jsonl", tiny.sentences(30, seed=2))
    model = tiny.save_model(folder / "model")
    common = ["--task", "sentiment", "--data", pool, "--model", model, "--initial", "6", "--query-size", "4", *FAST]

    def run(*words: str, rounds: int = 2) -> Callable[[Path], list[str]]:
        return lambda out: ["run", *common, "--rounds", str(rounds), *words, "--out", str(out / "run")]

    def of_task(task: str) -> Callable[[Path], list[str]]:
        values = waiting_runs.flags(task, folder / task)
        options = [f"task_options.{name}={value}" for name, value in values["task_options"].items()]
        given = ["task", "data", "test", "model", "max_length", "initial", "strategy", "query_size", "rounds"]
        words = [word for name in given for word in (f"--{name.replace('_', '-')}", str(values[name]))]
        words = [word for word in words if word not in ("--max-length", "24")] + ["--set", "max_length=24"]
        sets = [word for option in options for word in ("--set", option)]
        return lambda out: ["run", *words, *sets, *FAST, "--out", str(out / "run")]

    # Not here: a process that has trained cannot be forked from.
    wait(fork(lambda: waiting_runs.run("sentiment", folder / "asked"), folder / "asked.txt"), PATIENCE)
    typed = waiting_runs.typed("sentiment")
    answers = folder / "answers.csv"
    waiting_runs.write_csv(answers, [{"id": id, "answer": text} for id, text in typed.items()])
    done = folder / "done"
    if code := wait(command(run("--test", test, "--audit", "12")(done), folder / "done.txt"), PATIENCE):
        raise RuntimeError(f"the run that others start from ended with {code}: {(folder / 'done.txt').read_text()}")
    audited = folder / "audited"
    if code := wait(command(run("--audit", "8", "--train", "head")(audited), folder / "audited.txt"), PATIENCE):
        raise RuntimeError(f"the audited run ended with {code}: {(folder / 'audited.txt').read_text()}")
    asked, finished = folder / "asked" / "run", done / "run"
    warm = ["--set", "training.warm_start=true"]
    right = {row["id"]: row["label"] for row in tiny.sentences(60)}
    right_more = {row["id"]: row["label"] for row in tiny.sentences(30, seed=2)}
    small = ["--strategies", "margin", "--seeds", "1", "--jobs", "2", "--full-score", "none", "--rounds", "1"]
    return [
        Scenario("full", run("--test", test, "--train", "full")),
        Scenario("head", lambda out: [*run("--test", test, "--train", "head")(out), "--cache", str(folder / "cache")]),
        Scenario(
            "audit, stop, ceal",
            run("--audit", "6", "--strategy", "ceal", "--stop", "stable or labels=14", "--train", "full"),
        ),
        Scenario("audit that grows", run("--audit", "20", "--train", "head"), audited / "run"),
        Scenario("active audit", run("--audit", "12", "--audit-design", "active", "--train", "head")),
        Scenario(
            "warm, noisy, learning_loss",
            run("--test", test, "--oracle", "noisy:0.1", "--strategy", "learning_loss", "--train", "full", *warm),
        ),
        Scenario("qa", of_task("qa")),
        Scenario("summarization", of_task("summarization")),
        Scenario(
            "sheets",
            run("--test", test, "--oracle", "file"),
            answers=right,
        ),
        Scenario("ingest", lambda out: ["ingest", str(out / "run"), str(answers), "--as", "anna"], asked),
        Scenario("export", lambda out: ["export", str(out / "run"), "--out", str(out / "export.csv")], finished),
        Scenario("autolabel", lambda out: ["autolabel", str(out / "run"), more, "--quiet"], finished),
        Scenario(
            "autolabel --error",
            lambda out: [
                "autolabel",
                str(out / "run"),
                more,
                "--error",
                "0.3",
                "--draws",
                "12",
                "--quiet",
                "--out",
                str(out / "questions"),
            ],
            finished,
            answers=right_more,
            asks_in="questions",
        ),
        Scenario(
            "test",
            lambda out: ["test", str(out / "run"), more, "--budget", "10", "--quiet", "--out", str(out / "questions")],
            finished,
            answers=right_more,
            asks_in="questions",
        ),
        Scenario(
            "compare",
            lambda out: ["compare", *common, "--test", test, *small, "--out", str(out / "run")],
            has_children=True,
        ),
        Scenario(
            "annotate",
            lambda out: ["annotate", str(out / "run"), "--port", "0", "--ahead", "0"],
            asked,
            has_children=True,
            answers=typed,
            page=True,
        ),
    ]
