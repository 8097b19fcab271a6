"""Rows of JSON: one object a line, or one document in any of the forms in which tools write tables."""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from dal_nlp.core.errors import DataError
from dal_nlp.readers.encodings import blocks, lines, read_utf8
from dal_nlp.readers.literals import literal, load_json
from dal_nlp.readers.reading import INDEX, Chunk, Chunks, NumberedRows, Reading, Source, other_names, unique_names
from dal_nlp.readers.squad import flatten, is_nested

_ROWS = 4000  # in one chunk
_PEEKED = 1000  # rows whose keys stand for the columns
_OBJECT = 'write it as {"text": "...", ...}'
_PLAIN = (str, int, float, bool, type(None))


def open_lines(source: str, path: Path, reading: Reading) -> Source:
    """Open a file of one object a line; one that is a document after all is read as that."""
    start = next(blocks(source, path, reading), b"")[:1000].lstrip()
    if start.startswith(b"["):
        first = start.split(b"\n", 1)[0].strip()
        if first == b"[" or first.endswith(b",") or re.match(rb"\[\s*\{", first):
            reading.remark(f"{source} is one list of objects, and was read as a .json file.")
            return open_document(source, path, "", reading)
    return of_rows(source, lambda: _flat(source, _lines(source, path, reading)), True, reading)


def open_document(source: str, path: Path, split: str, reading: Reading) -> Source:
    """Open a document of JSON; one with an object in each line is read as that.

    Args:
        source: For messages.
        path: The file.
        split: Which list of several is meant, "" for the only one, or ``train``.
        reading: How to read it.
    """
    data = read_utf8(source, path, reading)
    try:
        content = load_json(data.decode())
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and data.lstrip().startswith(b"{"):
            reading.remark(f"{source} has one object a line, and was read as a .jsonl file.")
            return of_rows(source, lambda: _flat(source, _lines(source, path, reading)), False, reading)
        raise DataError(f"{source}, line {error.lineno} is broken JSON ({error.msg}): correct it.") from None
    except ValueError as error:
        raise DataError(f"{source} is broken JSON ({error}): correct it.") from None
    del data
    rows = _table(source, content, split, reading)
    if is_nested(rows):
        return of_rows(source, lambda: flatten(source, rows), False, reading)
    return of_rows(source, lambda: _objects(source, rows), False, reading)


def of_rows(source: str, rows: Callable[[], NumberedRows], by_line: bool, reading: Reading) -> Source:
    """Return a source of objects; keys that are needed are found with other capitals too."""
    first = [row for _, row in islice(rows(), _PEEKED)]
    keys = list(dict.fromkeys(key for row in first for key in row))
    told = [key for key in keys if key == key.strip() or key.strip() not in keys]  # "text " is another key than "text"
    names = {
        key: name for key, name in zip(told, unique_names(source, told, reading), strict=True) if name in reading.needed
    }
    renamed = {key: name for key, name in names.items() if key != name}
    keys = [renamed.get(key, key) for key in keys]
    objects = _Objects(source, rows, renamed, list(dict.fromkeys(map(tuple, first))), reading)
    return Source(source, keys, objects, is_open=len(first) == _PEEKED, by_line=by_line, has_keys=True)


class _Objects(Chunks):
    """Objects in chunks; what is read is read whole.

    Args:
        source: For remarks.
        rows: Returns them.
        renamed: Keys that are called otherwise.
        known: The different keys of the first rows.
        reading: Names the keys that are needed; a row that lacks one may have it with other capitals. So may one that
            lacks an id where others, also of another file that is read with this one, have it.
    """

    def __init__(
        self,
        source: str,
        rows: Callable[[], NumberedRows],
        renamed: Mapping[str, str],
        known: Collection[Sequence[str]],
        reading: Reading,
    ) -> None:
        self._source, self._rows, self._renamed, self._known, self._reading = source, rows, renamed, known, reading
        self._names = lru_cache(_PEEKED)(self._names_of)

    def __call__(self, wanted: Collection[str] | None) -> Iterator[Chunk]:
        rows = self._rows()
        self._needed = frozenset(self._reading.needed).union(self._reading.there)
        while some := list(islice(rows, _ROWS)):
            objects = [self._called(row) for _, row in some]
            yield Chunk(np.array([number for number, _ in some], np.int64), objects=objects)

    def _called(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row whose keys are called as those that are needed."""
        if self._needed <= row.keys() and not self._renamed:
            return row
        names = self._names(tuple(row))
        return {names.get(key, key): value for key, value in row.items()} if names else row

    def _names_of(self, keys: tuple[str, ...]) -> dict[str, str]:
        """Return how keys of a row are called otherwise."""
        names = {key: self._renamed[key] for key in keys if key in self._renamed}
        for key, name in other_names([names.get(key, key) for key in keys], self._needed, self._known).items():
            self._reading.remark(
                f"{self._source} has {key!r} where some of its rows lack {name!r}: it was taken for it."
            )
            names[key] = name
        return names


def _lines(source: str, path: Path, reading: Reading) -> NumberedRows:
    for number, line in lines(source, path, reading):
        if not line.strip():
            continue
        try:
            row = load_json(line)
        except json.JSONDecodeError as error:
            row = literal(line.strip().rstrip(","))
            if isinstance(row, dict):
                reading.remark(f"{source} has objects as Python writes them, or commas after them, and was read so.")
                yield number, row
                continue
            mend = "put each object on one line" if line.strip() in ("{", "[") else "correct or remove it"
            raise DataError(
                f"{source}, line {number} is broken JSON ({error.msg}, column {error.colno}): {mend}."
            ) from None
        except ValueError as error:
            raise DataError(f"{source}, line {number} is broken JSON ({error}): correct or remove it.") from None
        row = _of_pair(row)
        if not isinstance(row, dict):
            raise DataError(f"{source}, line {number} is no JSON object: {_OBJECT}.")
        yield number, row


def _flat(source: str, rows: NumberedRows) -> NumberedRows:
    """Flatten lines that are paragraphs or articles of SQuAD; the number stays that of the line."""
    first = next(rows, None)
    if first is None:
        return
    everything = chain([first], rows)
    if not is_nested([first[1]]):
        yield from everything
        return
    for number, row in everything:
        yield from ((number, question) for _, question in flatten(f"{source}, line {number}", [row]))


def _objects(source: str, rows: Sequence[Any]) -> NumberedRows:
    for number, value in enumerate(rows, start=1):
        row = _of_pair(value)
        if not isinstance(row, dict):
            raise DataError(f"{source}, row {number} is no JSON object: {_OBJECT}.")
        yield number, row


def _of_pair(row: Any) -> Any:
    """Return [text, {...}], as spaCy's tools write an example, as one object; anything else as it is."""
    if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict):
        return {"text": row[0], **row[1]}
    return row


def _table(source: str, content: Any, split: str, reading: Reading) -> list[Any]:
    """Return the rows of a document: a list, or an object that holds one in one of the usual ways."""
    if isinstance(content, list):
        return content
    if isinstance(content, Mapping):
        lists = {key: value for key, value in content.items() if isinstance(value, list)}
        if "columns" in lists and isinstance(content.get("data"), list):  # pandas, orient="split"
            names = [str(name) for name in lists["columns"]]
            rows = [dict(zip(names, cells, strict=False)) for cells in lists["data"] if isinstance(cells, list)]
            return _with_index(lists.get("index", []), rows)
        if is_nested([content]):
            return [content]
        if "data" in lists and not split:
            return lists["data"]
        if set(content) == {"data"}:
            return _table(source, content["data"], split, reading)
        if lists and len(lists) == len(content) and _are_columns(lists, reading.needed):
            return _of_columns(lists)
        tables = {key: value for key, value in lists.items() if value and all(isinstance(v, dict) for v in value)}
        if tables:
            return _chosen(source, tables, split, reading)
        whole = all(isinstance(value, dict) for value in content.values())
        if whole and (len(content) > 1 or _hits(content, reading.needed)):
            return _of_objects(source, content, reading)
    raise DataError(f'{source} is no list of objects: write it as [{{"text": "...", ...}}, ...].')


def _chosen(source: str, lists: Mapping[str, list[Any]], split: str, reading: Reading) -> list[Any]:
    """Return one of several lists by name."""
    name = split or next((key for key in ("train",) if key in lists), next(iter(lists)))
    if name not in lists or (not split and len(lists) > 1 and name != "train"):
        example = f"{source}:{next(iter(lists))}" if lists else source
        raise DataError(f"{source} has the lists {', '.join(lists)}: choose one, as in {example}.")
    if len(lists) > 1 and not split:
        reading.remark(f"{source} has the lists {', '.join(lists)}, and {name!r} was read.")
    return lists[name]


def _are_columns(lists: Mapping[str, list[Any]], needed: Collection[str]) -> bool:
    """Tell whether lists under names are columns: as long as each other, without objects, and no splits of lists."""
    lengths, hits = {len(value) for value in lists.values()}, _hits(lists, needed)
    kinds = {type(cell) for value in lists.values() for cell in value[:10]}
    splits = "train" in lists and hits == 0 and kinds == {list}
    return len(lengths) == 1 and (len(lists) > 1 or hits > 0) and dict not in kinds and not splits


def _of_columns(lists: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]


def _of_objects(source: str, content: Mapping[str, Mapping[str, Any]], reading: Reading) -> list[dict[str, Any]]:
    """Return the rows of {column: {index: cell}} or {index: {column: cell}}, as pandas writes both.

    Columns are those keys among which more are needed, or the inner ones, unless these alone are numbers.
    """
    inner = list(dict.fromkeys(key for value in content.values() for key in value))
    counted = all(key.isdecimal() for key in inner) and not all(key.isdecimal() for key in content)
    more = _hits(content, reading.needed) - _hits(inner, reading.needed)
    if more > 0 or (more == 0 and counted):
        index, rows = inner, [{name: column.get(key) for name, column in content.items()} for key in inner]
    else:
        index, rows = list(content), list(map(dict, content.values()))
    if all(map(str.isdecimal, index)) or any("id" in {name.casefold() for name in row} for row in rows[:1]):
        return _with_index(index, rows)
    reading.remark(f"{source} has no column 'id', and its index was taken for it.")
    return [{"id": key, **row} for key, row in zip(index, rows, strict=True)]


def _hits(names: Iterable[str], needed: Collection[str]) -> int:
    return len({name.casefold() for name in names} & {name.casefold() for name in needed})


def _with_index(index: Sequence[Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with their index as a further column, unless it only counts; it may repeat, or be of lists."""
    counts = [str(key) for key in index] == [str(number) for number in range(len(rows))]
    if counts or len(index) != len(rows):
        return rows
    return [{INDEX: key, **row} for key, row in zip(index, rows, strict=True)]
