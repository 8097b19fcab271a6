"""Rows of csv, tsv, jsonl and json files, with the checks that need the text: UTF-8, quoting, JSON.

The first three are read line by line, so a file may be larger than the memory.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dal_nlp.core.errors import UserError
from dal_nlp.core.text import counted
from dal_nlp.readers.squad import flatten, is_nested

Rows = Iterator[tuple[int, dict[str, Any]]]

LONGEST_CELL = 2**24  # characters; Python's own limit of 131,072 is less than a long report
_BY_LINE = (".csv", ".tsv", ".jsonl")


def place(source: str, number: int) -> str:
    """Return where a row is, for a message: "pool.csv, line 3" or "pool.parquet, row 3"."""
    return f"{source}, {'line' if source.lower().endswith(_BY_LINE) else 'row'} {number}"


def _lines(source: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of a UTF-8 file, its byte order mark left out."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                raise _not_utf8(source, number) from None
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def _not_utf8(source: str, line: int) -> UserError:
    return UserError(f"{source}, line {line} is not UTF-8: save it as UTF-8.")


def _jsonl(source: str, path: Path) -> Rows:
    for number, line in _lines(source, path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"{place(source, number)} is broken JSON ({error.msg}, column {error.colno}): correct or remove it."
            ) from None
        if not isinstance(row, dict):
            raise UserError(f'{place(source, number)} is no JSON object: write it as {{"text": "...", ...}}.')
        yield number, row


def _json(source: str, path: Path) -> Rows:
    data = path.read_bytes()
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _not_utf8(source, data.count(b"\n", 0, error.start) + 1) from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{source}, line {error.lineno} is broken JSON ({error.msg}): correct it, or name the "
            "file .jsonl if it has one object a line."
        ) from None
    rows = content.get("data") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise UserError(f'{source} is no list of objects: write it as [{{"text": "...", ...}}, ...].')
    if is_nested(rows):
        yield from flatten(source, rows)
        return
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UserError(f'{place(source, number)} is no JSON object: write it as {{"text": "...", ...}}.')
        yield number, row


def _csv(source: str, path: Path) -> Rows:
    return _cells(source, path, ",")


def _tsv(source: str, path: Path) -> Rows:
    return _cells(source, path, "\t")


def _cells(source: str, path: Path, delimiter: str) -> Rows:
    """Read a table whose first row names the columns; blank lines are passed over."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    reader = csv.reader((line for _, line in _lines(source, path)), delimiter=delimiter, strict=True)
    records = _records(source, reader)
    number, header = next(records, (1, []))
    _check_header(source, header, delimiter)
    for number, cells in records:
        if len(cells) != len(header):
            raise UserError(
                f"{place(source, number)} has {counted(len(cells), 'cell')} and the header {len(header)}: put a text "
                "that holds the separator or a line break in double quotes."
            )
        yield number, dict(zip(header, cells, strict=True))


def _records(source: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of each record of a ``csv.reader``."""
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UserError(
                f"{place(source, number)} cannot be read ({error}): close every quoted cell and double the "
                "quotation marks inside it."
            ) from None
        if cells is None:
            return
        if cells:
            yield number, cells


def _check_header(source: str, header: list[str], delimiter: str) -> None:
    """Refuse a name that is there twice, and a header that another separator would cut."""
    for name in header:
        if header.count(name) > 1:
            raise UserError(f"{place(source, 1)} names the column {name!r} twice: rename one of the two.")
    if len(header) == 1:
        for other in {",", ";", "\t"} - {delimiter}:
            if other in header[0]:
                raise UserError(
                    f"{place(source, 1)} has its columns separated by {other!r}: save the file with "
                    f"{delimiter!r} (.csv has commas, .tsv has tabs)."
                )


TEXT_READERS: Mapping[str, Callable[[str, Path], Rows]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".json": _json,
}
