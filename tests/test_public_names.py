"""The public names: all there, nothing else in sight, and loaded without torch where nothing is trained."""

import re
import subprocess
import sys
from pathlib import Path

import dal_nlp

NAMES = [
    "AsyncSession",
    "run",
    "RunConfig",
    "Session",
    "Result",
    "select",
    "Picked",
    "Pool",
    "Strategy",
    "Selection",
    "Task",
    "Oracle",
    "Query",
    "Label",
    "Skip",
    "Origin",
    "Setting",
    "UserError",
    "Unsupported",
    "DalNlpError",
    "ConfigError",
    "DataError",
    "ModelError",
    "RunFolderError",
    "BrokenModelError",
]


def test_the_public_names_and_nothing_else_are_in_sight() -> None:
    assert sorted(dal_nlp.__all__) == sorted(NAMES) == sorted(dir(dal_nlp))
    for name in NAMES:
        assert getattr(dal_nlp, name).__name__ == name


def test_every_public_name_has_a_docstring_that_begins_with_a_noun_and_runs_an_example() -> None:
    without = ("Picked", "Origin", "Setting", "Skip", "Selection")  # what others return or are given, and show
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    for name in NAMES:
        value = getattr(dal_nlp, name)
        first = (value.__doc__ or "").strip().split(maxsplit=1)[0]
        assert first in ("A", "An", "Any", "N", "One", "The", "Whoever"), f"{name}: {value.__doc__}"
        if isinstance(value, type) and issubclass(value, Exception):
            continue
        assert name in without or ">>>" in value.__doc__, name
        place = value.__module__.removeprefix("dal_nlp.").replace(".", "/")
        assert re.search(rf"^EXAMPLES :=.* {place}( |$)", makefile, re.MULTILINE) or name == "Setting", place


def test_a_configuration_loads_neither_torch_nor_what_needs_it() -> None:
    code = (
        "import sys, dal_nlp\n"
        "dal_nlp.RunConfig(task='sentiment', data='x.csv', stop='plateau', oracle='file')\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
