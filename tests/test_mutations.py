"""The mistakes of ``tests.mutations`` can still be made: each text stands once in the package, and its tests exist."""

import re

import pytest

from tests.mutations import MUTATIONS, PACKAGES, ROOT, Mutation

SOURCES = [path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.tests[0])
def test_it_can_be_made(mutation: Mutation) -> None:
    assert sum(source.count(mutation.old) for source in SOURCES) == 1
    assert set(mutation.tests) <= TESTS and mutation.new != mutation.old
