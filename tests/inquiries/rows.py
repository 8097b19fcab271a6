"""Rows of files that questions are about."""

import csv
from pathlib import Path

from tests import tiny


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def new_rows(n: int = 400) -> list[dict[str, str]]:
    return [{**row, "id": f"new {row['id']}"} for row in tiny.sentences(n, seed=7)]
