"""The files in which people answer: ``queries/round-003.csv`` and the same as ``.jsonl``.

A sheet is written once and never touched again: from then on it is its annotator's. What is missing in the sheets that
are there goes into a further one, ``round-003.2.csv``. What a browser, a drive or a spreadsheet makes of a sheet,
``round-003 (1).csv`` or ``round-003.xlsx``, is read as a copy of it.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dal_nlp.core.errors import RowError, UserError
from dal_nlp.core.files import replace_file
from dal_nlp.core.text import counted
from dal_nlp.joins.row_matching import RowMatcher, texts_in
from dal_nlp.joins.tool_rows import ANSWER, ID, NOTE
from dal_nlp.readers.encodings import decode
from dal_nlp.readers.reading import Reading, in_other_capitals, other_names
from dal_nlp.readers.sources import open_source
from dal_nlp.readers.spreadsheets import DOUBLED, SAVED, TAKE_OUT, Broken, header_of, read_table, refuse, write_table
from dal_nlp.readers.values import id_of, is_missing

#: The folder of sheets in a run folder.
FOLDER = "queries"
#: Names that are no annotator's: what people disagree about, and labels that may be wrong.
CONFLICTS, SUSPECTS = "conflicts", "suspects"
_WRITTEN = (".csv", ".jsonl")  # endings of the sheets that are written here
_SHOWN = 80  # characters of a list of ids in a message
#: How often a file is read again that changes while it is read.
_TRIES = 5
#: Files that programs put beside an open one.
_LOCKS = (".", "~$")
_NAME = re.compile(r"(?P<stem>(round-\d+|audit|suspects)(\.(?P<annotator>[\w@+-]+))??)(\.(?P<part>\d+))?")


class SheetEntry(NamedTuple):
    """One row of answers.

    Attributes:
        file: The file's name.
        place: What to call the place in a message.
        id: As the row has it, "" for none.
        answer: As it was typed, "" for none.
        note: What was written beside it.
        by: Who answered, where the row says so.
        texts: By the task's column, what the row has of the texts that were answered about.
        refused: Whether the answer is a refusal, also where a label is called so.
    """

    file: str
    place: str
    id: str
    answer: str
    note: str
    by: str = ""
    texts: Mapping[str, str] = MappingProxyType({})
    refused: bool = False


class Checked(NamedTuple):
    """The rows of a file that can be used, and the ids of those that were found by their texts."""

    entries: list[SheetEntry]
    by_text: list[str]


@dataclass(frozen=True)
class Sheet:
    """A file of answers.

    Attributes:
        path: Where it is.
        stem: What it shares with its further parts, such as "round-003.anna".
        annotator: Whose it is, "" where it is anybody's.
        base: The name, without its ending, of the sheet that it is or is a copy of.
    """

    path: Path
    stem: str
    annotator: str
    base: str

    @property
    def is_copy(self) -> bool:
        """Whether somebody else has given it its name."""
        return self.path.stem != self.base or self.path.suffix not in _WRITTEN

    @property
    def round(self) -> int | None:
        """The round that asked, None for the audit sample."""
        match = re.match(r"round-(\d+)", self.stem)
        return int(match[1]) if match else None


def stem_of(round: int | None, annotator: str = "") -> str:
    """Return the name of a round's sheet, or the audit sample's, without its ending."""
    name = "audit" if round is None else f"round-{round:03}"
    return f"{name}.{annotator}" if annotator else name


def find_sheets(folder: Path) -> list[Sheet]:
    """Return the sheets of a run folder, those of earlier rounds first, and each before what are copies of it."""
    there = [path for path in sorted((folder / FOLDER).glob("*")) if not path.name.startswith(_LOCKS)]
    stems = {path.stem for path in there if path.suffix in _WRITTEN and _NAME.fullmatch(path.stem)}
    sheets = [sheet for path in there if (sheet := _sheet(path, stems))]
    return sorted(sheets, key=lambda sheet: (sheet.base, sheet.is_copy, sheet.path.name))


def other_files(folder: Path) -> list[str]:
    """Return the names of what lies beside the sheets and has not the name of one."""
    sheets = {sheet.path for sheet in find_sheets(folder)}
    there = sorted((folder / FOLDER).glob("*"))
    return [path.name for path in there if path not in sheets and not path.name.startswith(_LOCKS)]


def _sheet(path: Path, stems: Collection[str]) -> Sheet | None:
    """Return the sheet that a file is or is a copy of: its name holds that of a sheet."""
    base = path.stem
    while base.endswith(_WRITTEN):  # round-000.csv.csv is nobody's called csv
        base = base.rpartition(".")[0]
    match = _NAME.fullmatch(base)
    if not match:
        base = max((name for name in stems if name in path.stem), key=len, default="")
        match = _NAME.fullmatch(base) or _NAME.search(path.stem)
    return Sheet(path, match["stem"], match["annotator"] or "", base or match[0]) if match else None


def is_blank(path: Path) -> bool:
    """Tell whether a file holds no letter: nothing, or nothing but blanks and zeros."""
    try:
        return not path.read_bytes().removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n")
    except OSError:
        return False


def write_sheet(folder: Path, stem: str, rows: Sequence[Mapping[str, Any]], head: Sequence[str] = ()) -> Path:
    """Write a sheet as csv and jsonl, under the next number where there is one already; return the csv.

    Args:
        folder: The run folder.
        stem: See ``Sheet``.
        rows: Cells by column.
        head: Lines to read above the header of the csv.

    Raises:
        UserError: The disk does not take it.
    """
    sheet_folder = folder / FOLDER
    taken = {path.stem for path in sheet_folder.glob("*")}
    numbers = (f"{stem}.{number}" if number > 1 else stem for number in range(1, len(taken) + 2))
    name = next(name for name in numbers if name not in taken)
    header = list(rows[0])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    table = write_table(header, [["" if row[name] is None else row[name] for name in header] for row in rows], head)
    try:
        sheet_folder.mkdir(parents=True, exist_ok=True)
        replace_file(sheet_folder / f"{name}.jsonl", lines.encode())
        replace_file(sheet_folder / f"{name}.csv", table)
    except OSError as error:
        raise UserError(f"{sheet_folder} cannot be written to ({error.strerror}): make room on the disk.") from None
    return sheet_folder / f"{name}.csv"


def read_sheet(path: Path, columns: Sequence[str], say: Callable[[str], None]) -> Iterator[SheetEntry]:
    """Yield the rows of a sheet, those without an answer too; say which rows are broken.

    Args:
        path: A csv or jsonl, or what a spreadsheet has made of one and ``open_source`` reads.
        columns: Of the task's texts.
        say: Takes a sentence.

    Raises:
        UserError: The file cannot be read; the message begins with its name.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: give it another name, or move it away.")
    data = _steady(path)

    def broken(number: int, wrong: str) -> None:
        say(f"{_place(path, number)}: {wrong}.")

    def entries(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[SheetEntry]:
        for number, row in rows:
            try:
                entry = _entry(path, number, row, columns)
            except RowError as error:
                broken(number, str(error))
            else:
                yield entry

    if path.suffix not in _WRITTEN:
        reading = Reading(unquoted=DOUBLED, quoted=TAKE_OUT, decoded=SAVED, needed=[ID, ANSWER, *columns])
        opened = open_source(str(path), reading)
        for remark in reading.remarks:
            say(remark)
        _require(opened.columns, f"{path} ")
        yield from entries(row for chunk in opened.chunks(None) for row in chunk.rows())
        return
    try:
        if letters := remark_on_letters(data):
            say(f"{path.name} {letters}")
        if path.suffix == ".jsonl":
            rows = list(lines_of(data, broken))
            sets, wanted = list(dict.fromkeys(tuple(row) for _, row in rows)), (ID, ANSWER, *columns)
            ways = {key: name for keys in sets for key, name in other_names(keys, wanted, sets).items()}
            for key, name in ways.items():
                say(f"{path.name} has rows without {name!r}, and {key!r} was taken for it.")
            if rows:
                _require(list(dict.fromkeys(ways.get(name, name) for keys in sets for name in keys)))
            yield from entries((n, {ways.get(name, name): cell for name, cell in row.items()}) for n, row in rows)
            return
        for known in (ID, ANSWER, *columns):
            if (column := in_other_capitals(known, header_of(data))) is not None:
                say(f"{path.name} has no column {known!r}, and {column!r} was taken for it.")
        yield from entries(read_table(data, [ID, ANSWER], broken, columns))
    except UserError as error:
        raise UserError(f"{path} {error}") from None


def _require(columns: Sequence[str], beginning: str = "") -> None:
    """Raise ``UserError`` where there is no column of answers."""
    if ANSWER not in columns:
        raise UserError(
            f"{beginning}has no column {ANSWER!r} but {', '.join(map(repr, columns)) or 'none'}: name the column so, "
            "in the first row."
        )


def _entry(path: Path, number: int, row: Mapping[str, Any], columns: Sequence[str]) -> SheetEntry:
    answer, note = row.get(ANSWER), row.get(NOTE)
    # A list or an object in jsonl is the same as its JSON text in a cell.
    text = answer if isinstance(answer, str) else "" if is_missing(answer) else json.dumps(answer, ensure_ascii=False)
    id = id_of(row.get(ID)) or ""
    cells = id, text, str(note or "").strip()
    return SheetEntry(path.name, _place(path, number), *cells, texts=texts_in(row, columns))


def _place(path: Path, number: int) -> str:
    return f"{path.name}, {'line' if path.suffix == '.jsonl' else 'row'} {number}"


def _steady(path: Path) -> bytes:
    """Return the bytes of a file that nobody wrote to while it was read."""
    for _ in range(_TRIES):
        before = path.stat()
        data = path.read_bytes()
        after = path.stat()
        if (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, len(data), after.st_ino):
            return data
    raise UserError(f"{path} is being written: save it, then run the same command again.")


def remark_on_letters(data: bytes, mend: str = SAVED) -> str:
    """Return what to say of a file that is not in UTF-8, "" for one that is; the sentence goes after its name."""
    try:
        encoding = decode(data)[1]
    except UserError:
        return ""  # whoever reads it will say more
    return encoding and f"is not UTF-8 and was read as {encoding}: where letters are wrong, {mend}."


def lines_of(data: bytes, broken: Broken = refuse) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (number, object) of the lines of a jsonl file; ``broken`` takes those that are none."""
    with suppress(UserError):  # lines that are not UTF-8 are broken, and no others
        data = decode(data)[0].encode()
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            broken(number, f"it is no JSON ({error}); correct the line")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            broken(number, "it is no JSON object; correct the line")


def check_entries(
    entries: Iterable[SheetEntry], matcher: RowMatcher, say: Callable[[str], None], place: str = ""
) -> Checked:
    """Return the rows with an answer, each example once for everybody who answered; say what is wrong with the others.

    Args:
        entries: Of one file.
        matcher: Finds the example of a row; the rows that are returned have its id.
        say: Takes a sentence.
        place: See ``RowMatcher.match``.
    """
    kept: dict[tuple[str, str], SheetEntry] = {}
    unclear: set[tuple[str, str]] = set()
    by_text: list[str] = []
    rows = list(entries)
    foreign = not any(matcher.knows(entry.id) for entry in rows)
    for entry in rows:
        if not entry.answer.strip():
            continue
        try:
            match = matcher.match(entry.id, entry.texts, place, foreign)
        except ValueError as error:
            say(f"{entry.place}: {error}.")
            continue
        if match.by_text:
            by_text.append(entry.id)
        key = match.id, entry.by
        if kept.setdefault(key, entry._replace(id=match.id)).answer.strip() != entry.answer.strip():
            unclear.add(key)
            say(f"{entry.place}: {match.id!r} has another answer than in {kept[key].place}: keep one of the two.")
    return Checked([entry for key, entry in kept.items() if key not in unclear], by_text)


def found_by_text(file: str, ids: Sequence[str]) -> str:
    """Say that rows were found by their texts, whose own ids were of no use."""
    named = ", ".join(repr(id) for id in dict.fromkeys(ids) if id)
    why = (
        f"their ids ({_short(named)}) were not asked about; a spreadsheet rewrites long numbers"
        if named
        else "they have no ids of this run"
    )
    return f"{file}: {counted(len(ids), 'row')} found by the text, as {why}."


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
