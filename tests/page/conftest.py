"""A run that the page serves."""

from collections.abc import Callable
from pathlib import Path

import pytest

Waiting = Callable[[str], Path]


@pytest.fixture
def folder(waiting: Waiting) -> Path:
    """A run of sentiments that waits for its first answers."""
    return waiting("sentiment") / "run"
