"""The public names: all there, nothing else in sight, and loaded without torch where nothing is trained."""

import subprocess
import sys

import dal_nlp

NAMES = [
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


def test_a_configuration_loads_neither_torch_nor_what_needs_it() -> None:
    code = (
        "import sys, dal_nlp\n"
        "dal_nlp.RunConfig(task='sentiment', data='x.csv', stop='plateau', oracle='file')\n"
        "print([name for name in ('torch', 'transformers', 'datasets', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
