"""What the shell completes behind flags and commands: names of the tables, and run folders; no model is loaded."""

from pathlib import Path

#: Where runs are made that name no folder.
RUNS = Path("runs")


def strategies(incomplete: str) -> list[str]:
    """Return the names of strategies that begin so; behind a comma those of the last one."""
    from dal_nlp.strategies import ALIASES, STRATEGIES

    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in (*STRATEGIES, *ALIASES) if name.startswith(last)]


def tasks(incomplete: str) -> list[str]:
    """Return the names of tasks that begin so."""
    from dal_nlp.tasks import TASKS

    return [name for name in TASKS if name.startswith(incomplete)]


def oracles(incomplete: str) -> list[str]:
    """Return the names of oracles that begin so."""
    from dal_nlp.annotation import MACHINES, NOISY, ORACLES

    return [name for name in (*ORACLES, NOISY, MACHINES) if name.startswith(incomplete)]


def run_folders(incomplete: str) -> list[str]:
    """Return the run folders that begin so, and folders on the way to one; without a beginning those in ``RUNS``."""
    start = incomplete or f"{RUNS}/"
    parent, _, beginning = start.rpartition("/")
    folder = Path(parent or ("/" if start.startswith("/") else "."))
    try:
        folders = sorted(path for path in folder.iterdir() if path.name.startswith(beginning) and path.is_dir())
    except OSError:
        return []
    runs = [path for path in folders if (path / "ledger.jsonl").is_file()]
    return [f"{start[: len(start) - len(beginning)]}{path.name}" for path in runs or folders]
