"""The structure of the package, read off the source: which folder may import which, and who may name whom."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from dal_nlp.strategies import STRATEGIES
from dal_nlp.tasks import TASKS

REPOSITORY = Path(__file__).parent.parent
ROOT = REPOSITORY / "dal_nlp"
#: The folders, from the ground floor up: an import goes down, or stays inside its folder. Folders of one floor import
#: each other in one direction at most.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"core"}),
    frozenset({"ledger"}),
    frozenset({"downloads"}),
    frozenset({"readers"}),
    frozenset({"data", "pretrained"}),
    frozenset({"joins", "models", "report"}),
    frozenset({"learners", "answer_formats"}),
    frozenset({"strategies", "tasks", "signals", "span_witnesses", "measuring", "word_heads"}),
    frozenset({"annotation"}),
    frozenset({"page"}),
    frozenset({"session"}),
    frozenset({"workflows", "compare", "publishing"}),
    frozenset({"inquiries"}),
    frozenset({"cli", "dal_nlp"}),  # the commands, and the public names
)
MOST_MODULES, MOST_LINES = 14, 350
#: The file that is copied beside a saved model with what it imports, to where this package is not.
COPIED = ROOT / "pretrained" / "head_model.py"


def modules() -> dict[str, Path]:
    """Every module of the package and of the command line by its dotted name."""
    there = {
        path: path.relative_to(REPOSITORY) for top in ("dal_nlp", "cli") for path in (REPOSITORY / top).rglob("*.py")
    }
    names = {path: ".".join(place.with_suffix("").parts) for path, place in there.items()}
    return {re.sub(r"^cli\b", "dal_nlp_cli", name).removesuffix(".__init__"): path for path, name in names.items()}


MODULES = modules()


def test_every_folder_is_in_the_wheel() -> None:
    listed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in MODULES.items()}
    assert sorted(listed) == sorted(there | {"dal_nlp_configs"})


def folder(module: str) -> str:
    parts = module.split(".")
    if parts[0] == "dal_nlp_cli" or module == "dal_nlp.__main__":
        return "cli"
    return parts[1] if len(parts) > 1 and (ROOT / parts[1]).is_dir() else "dal_nlp"


def floor(name: str) -> int:
    return next(level for level, names in enumerate(FLOORS) if name in names)


def imports(path: Path) -> set[str]:
    """What a file imports anywhere: at its top, for type checkers only, inside functions, and by name in a table.

    Of `from dal_nlp.strategies import probes` that is the module and not its folder, unless something of the folder's
    own is imported too.
    """
    return named_in(ast.parse(path.read_text(encoding="utf-8")), str(path), relative=path == COPIED)


def named_in(tree: ast.AST, place: str = "", relative: bool = False) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 or relative, f"{place} imports relatively"
            module = f"dal_nlp.pretrained.{node.module}" if node.level else node.module or ""
            inner = {f"{module}.{alias.name}" for alias in node.names}
            names |= inner if inner <= MODULES.keys() else {module, *inner}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= set(re.findall(r"\A(dal_nlp(?:_cli)?(?:\.\w+)+)(?::\w+)?\Z", node.value))
    return names


def arrows() -> dict[str, set[str]]:
    """The modules of ours that each module imports."""
    return {
        name: {each for each in imports(path) if each in MODULES and each != name} for name, path in MODULES.items()
    }


ARROWS = arrows()


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("from dal_nlp import RunConfig", "dal_nlp"),
        ("import dal_nlp", "dal_nlp"),
        ("from dal_nlp.strategies import probes", "dal_nlp.strategies.probes"),
        ("def later():\n    from dal_nlp.session.config import RunConfig", "dal_nlp.session.config"),
        ("TABLE = {'run': 'dal_nlp.session.config:RunConfig'}", "dal_nlp.session.config"),
        ("import_module('dal_nlp.session.config')", "dal_nlp.session.config"),
    ],
)
def test_whatever_imports_is_seen(line: str, module: str) -> None:
    assert module in named_in(ast.parse(line))
    assert named_in(ast.parse("from dal_nlp.strategies import probes")) == {"dal_nlp.strategies.probes"}


def test_every_folder_has_a_floor() -> None:
    assert {folder(name) for name in MODULES} <= {name for names in FLOORS for name in names}


@pytest.mark.parametrize("module", sorted(ARROWS))
def test_imports_point_down(module: str) -> None:
    here = folder(module)
    wrong = [other for other in ARROWS[module] if folder(other) != here and floor(folder(other)) > floor(here)]
    assert wrong == []


def test_what_is_copied_beside_a_model_imports_nothing_else_of_the_package() -> None:
    assert ARROWS["dal_nlp.pretrained.head_model"] == {
        "dal_nlp.pretrained.head_config",
        "dal_nlp.pretrained.pooling",
    }
    assert ARROWS["dal_nlp.pretrained.pooling"] == set()
    assert ARROWS["dal_nlp.pretrained.head_config"] == set()


def test_there_is_no_circle_between_folders() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, others in ARROWS.items():
        graph[folder(module)] |= {folder(other) for other in others} - {folder(module)}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of folders: {' -> '.join(error.args[1])}")


def too_long(paths: Iterable[Path]) -> dict[str, int]:
    """The lines of each of these modules that has more than it may."""
    lines = {str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8").count("\n") for path in paths}
    return {name: n for name, n in lines.items() if n > MOST_LINES}


def test_folders_and_modules_stay_small() -> None:
    counts: dict[str, int] = defaultdict(int)
    for path in MODULES.values():
        if path.name != "__init__.py":
            counts[str(path.parent.relative_to(REPOSITORY))] += 1
    many = {name: n for name, n in counts.items() if n > MOST_MODULES and name not in ("dal_nlp/strategies", "cli")}
    assert many == {}
    assert too_long(MODULES.values()) == {}


def test_modules_of_tests_stay_small() -> None:
    assert too_long((REPOSITORY / "tests").rglob("*.py")) == {}


@pytest.mark.parametrize("path", sorted((ROOT / "strategies").glob("*.py")), ids=lambda path: path.stem)
def test_a_strategy_never_sees_a_task(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith(("dal_nlp.tasks", "transformers"))}


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_task_never_names_a_strategy(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith("dal_nlp.strategies")}


@pytest.mark.parametrize(
    "module",
    [
        *("session.loop", "session.context", "session.inputs", "session.choosing", "session.query"),
        *("learners.learner", "models.pool", "models.forward"),
    ],
)
def test_the_loop_names_neither(module: str) -> None:
    lines = MODULES[f"dal_nlp.{module}"].read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith((">>>", "...")))  # an example names a task
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
