"""Every family, task and way to train: `make test-models` runs them, `make test` does not."""

from pathlib import Path

import pytest

from tests.models import matrix


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("family", "task", "mode"), list(matrix.cells()))
def test_it_is_right_or_refused_before_the_first_query(family: str, task: str, mode: str, tmp_path: Path) -> None:
    found = matrix.outcome(family, task, mode, tmp_path)
    assert found == "ok" or found.startswith("refused: ")
    assert (found == "ok") == ((family, task, mode) not in matrix.REFUSED), found
