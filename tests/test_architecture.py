"""The seams of the design, read off the source: who may name whom."""

import ast
import re
from pathlib import Path

import pytest

from dal_nlp.strategies import STRATEGIES
from dal_nlp.tasks import TASKS

ROOT = Path(__file__).parent.parent / "dal_nlp"


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


@pytest.mark.parametrize("path", sorted((ROOT / "strategies").glob("*.py")), ids=lambda path: path.stem)
def test_a_strategy_never_sees_a_task(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith(("dal_nlp.tasks", "transformers"))}


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*.py")), ids=lambda path: path.stem)
def test_a_task_never_names_a_strategy(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith("dal_nlp.strategies")}


@pytest.mark.parametrize(
    "module",
    [
        "session/loop",
        "session/context",
        "session/inputs",
        "learners/learner",
        "models/pool",
        "models/forward",
        "models/trainer",
    ],
)
def test_the_loop_names_neither(module: str) -> None:
    text = (ROOT / f"{module}.py").read_text(encoding="utf-8")
    named = [name for name in (*STRATEGIES, *TASKS) if re.search(rf"[\"']{name}[\"']", text)]
    assert named == []


def test_nothing_seeds_or_reads_global_chance() -> None:
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name not in ("rng.py", "mc_dropout.py"):  # these borrow torch's state and put it back
            assert not re.search(
                r"np\.random\.(seed|rand|choice|permutation)\b|torch\.manual_seed|^import random", text
            )
        assert "pickle" not in imports(path)
