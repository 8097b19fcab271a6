"""The files in which people answer: ``queries/round-003.csv`` and the same as ``.jsonl``.

A sheet is written once and never touched again: from then on it is its annotator's. What is missing in the sheets that
are there goes into a further one, ``round-003.2.csv``.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dal_nlp.core.errors import UserError
from dal_nlp.core.files import replace_file
from dal_nlp.readers.spreadsheets import Broken, read_table, refuse, write_table

#: The folder of sheets in a run folder.
FOLDER = "queries"
#: Names that are no annotator's: what people disagree about, and labels that may be wrong.
CONFLICTS, SUSPECTS = "conflicts", "suspects"
ID, ANSWER, NOTE = "id", "answer", "note"
#: How often a file is read again that changes while it is read.
_TRIES = 5
_NAME = re.compile(r"(?P<stem>(round-\d+|audit|suspects)(\.(?P<annotator>[\w@+-]+))??)(\.(?P<part>\d+))?")


class Entry(NamedTuple):
    """One row: the file, what to call the place in a message, the cells, and who answered where the row says so."""

    file: str
    place: str
    id: str
    answer: str
    note: str
    by: str = ""


@dataclass(frozen=True)
class Sheet:
    """A file of answers.

    Attributes:
        path: Where it is.
        stem: What it shares with its further parts, such as "round-003.anna".
        annotator: Whose it is, "" where it is anybody's.
    """

    path: Path
    stem: str
    annotator: str

    @property
    def round(self) -> int | None:
        """The round that asked, None for the audit sample."""
        found = re.match(r"round-(\d+)", self.stem)
        return int(found[1]) if found else None


def stem_of(round: int | None, annotator: str = "") -> str:
    """Return the name of a round's sheet, or the audit sample's, without its ending."""
    name = "audit" if round is None else f"round-{round:03}"
    return f"{name}.{annotator}" if annotator else name


def find_sheets(folder: Path) -> list[Sheet]:
    """Return the sheets of a run folder, those of earlier rounds first."""
    found = []
    for path in sorted((folder / FOLDER).glob("*")):
        match = _NAME.fullmatch(path.stem)
        if match and path.suffix in (".csv", ".jsonl"):
            found.append(Sheet(path, match["stem"], match["annotator"] or ""))
    return found


def is_blank(path: Path) -> bool:
    """Tell whether a file holds no letter: nothing, or nothing but blanks and zeros."""
    try:
        return not path.read_bytes().removeprefix(b"\xef\xbb\xbf").strip(b"\0 \t\r\n")
    except OSError:
        return False


def write_sheet(folder: Path, stem: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a sheet as csv and jsonl, under the next number where there is one already; return the csv.

    Raises:
        UserError: The disk does not take it.
    """
    place = folder / FOLDER
    taken = {path.stem for path in place.glob("*")}
    numbers = (f"{stem}.{number}" if number > 1 else stem for number in range(1, len(taken) + 2))
    name = next(name for name in numbers if name not in taken)
    header = list(rows[0])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    table = write_table(header, [["" if row[name] is None else row[name] for name in header] for row in rows])
    try:
        place.mkdir(parents=True, exist_ok=True)
        replace_file(place / f"{name}.jsonl", lines.encode())
        replace_file(place / f"{name}.csv", table)
    except OSError as error:
        raise UserError(f"{place} cannot be written to ({error.strerror}): make room on the disk.") from None
    return place / f"{name}.csv"


def read_sheet(path: Path, say: Callable[[str], None]) -> Iterator[Entry]:
    """Yield the rows of a csv or jsonl sheet, those without an answer too; say which rows are broken.

    Raises:
        UserError: The file cannot be read; the message begins with its name.
    """
    data = _steady(path)

    def broken(number: int, wrong: str) -> None:
        say(f"{_place(path, number)}: {wrong}.")

    in_lines = path.suffix == ".jsonl"
    try:
        for number, row in lines_of(data, broken) if in_lines else read_table(data, [ID, ANSWER], broken):
            yield _entry(path, number, row)
    except UserError as error:
        raise UserError(f"{path} {error}") from None


def _entry(path: Path, number: int, row: Mapping[str, Any]) -> Entry:
    answer, note = row.get(ANSWER), row.get(NOTE)
    # A list or an object in jsonl is the same as its JSON text in a cell.
    text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer, ensure_ascii=False)
    id = row.get(ID)
    return Entry(path.name, _place(path, number), "" if id is None else str(id), text, str(note or "").strip())


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


def lines_of(data: bytes, broken: Broken = refuse) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (number, object) of the lines of a jsonl file; ``broken`` takes those that are none."""
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


def check_entries(entries: Iterable[Entry], known: Callable[[str], str], say: Callable[[str], None]) -> Iterator[Entry]:
    """Yield the rows with an answer, each id once for everybody who answered; say what is wrong with the others.

    Args:
        entries: Of one file.
        known: Returns what is wrong with an id, "" where it was asked about.
        say: Takes a sentence.
    """
    kept: dict[tuple[str, str], Entry] = {}
    unclear: set[tuple[str, str]] = set()
    for entry in entries:
        if not entry.answer.strip():
            continue
        wrong, key = known(entry.id), (entry.id, entry.by)
        if wrong:
            say(f"{entry.place}: {wrong}.")
        elif kept.setdefault(key, entry).answer.strip() != entry.answer.strip():
            unclear.add(key)
            say(f"{entry.place}: {entry.id!r} has another answer than in {kept[key].place}: keep one of the two.")
    yield from (entry for key, entry in kept.items() if key not in unclear)
