"""Cells in quotes that have swallowed rows, and texts of several lines that have not."""

import csv
import random
import uuid
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.readers.reading import Reading
from dal_nlp.readers.sources import open_source
from dal_nlp.readers.spreadsheets import read_table

Value = Callable[[int], str]

WORDS = ["the", "a", "film", "plot", "actor", "scene", "story", "was", "is", "very", "quite", "it", "and", "of"]


def words(i: int) -> str:
    return " ".join(random.Random(i).choices(WORDS, k=5))


VALUES: dict[str, Value] = {
    "user": lambda i: ("Anna", "Ben")[i % 2],
    "date": lambda i: f"2024-01-{i % 28 + 1:02d}",
    "day": lambda i: f"Jan {i % 28 + 1} 2024",
    "time": lambda i: f"2024-01-{i % 28 + 1:02d} 10:{i:02d}:07",
    "url": lambda i: "https://example.com/a-long-folder-of-reviews/" + words(i).replace(" ", "-"),
    "title": lambda i: words(i + 99).title(),
    "tweet": lambda i: str(random.Random(i).randrange(10**18, 2 * 10**18)),
    "uuid": lambda i: str(uuid.UUID(int=random.Random(i).getrandbits(128), version=4)),
    "md5": lambda i: f"{random.Random(i).getrandbits(128):032x}",
    "video": lambda i: "".join(random.Random(i).choices("ABCDEFabcdef0123456789-_", k=11)),
    "word": lambda i: "".join(random.Random(i).choices("abcdefghij", k=8)),
}


def read(
    file: Path, quoting: bool = True, trusted: bool = False, wanted: Collection[str] | None = ("text",)
) -> tuple[int, str]:
    """Return how many rows a file has, of which some columns are wanted, and the remarks on it."""
    reading = Reading(None, quoting, trusted, needed=("text",))
    rows = sum(len(chunk.numbers) for chunk in open_source(str(file), reading).chunks(wanted))
    return rows, " ".join(reading.remarks)


def write(file: Path, header: list[str], rows: list[list[str]]) -> Path:
    separator = "\t" if file.suffix == ".tsv" else ","
    with file.open("w", newline="") as out:
        csv.writer(out, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    return file


def unquoted(file: Path, columns: dict[str, Value], last: int = 15) -> Path:
    """Write 40 rows by a writer that knows no quotes; text 5 begins with a mark, and a later one ends with one."""
    rows = [
        [f'"{words(i)}' if i == 5 else f'{words(i)}"' if i == last else words(i), *(v(i) for v in columns.values())]
        for i in range(40)
    ]
    names = ["text", *columns]
    for row in (names, *rows):
        row.append(row.pop(0))
    separator = "\t" if file.suffix == ".tsv" else ","
    file.write_text("\n".join(separator.join(row) for row in [names, *rows]) + "\n")
    return file


@pytest.mark.long
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("ending", ["csv", "tsv"])
@pytest.mark.parametrize("block", [2**23, 100])
def test_swallowed_rows_are_found_by_columns_that_nobody_wants(
    tmp_path: Path, kind: str, ending: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.readers.encodings.BLOCK", block)
    file = unquoted(tmp_path / f"p.{ending}", {"key": VALUES[kind]})
    with pytest.raises(UserError, match=r"line 7 holds a cell in quotes that has swallowed.*--quoting trusted"):
        read(file)
    assert read(file, quoting=False) == (40, "")
    assert read(file, trusted=True) == (30, "")


@pytest.mark.parametrize(
    ("column", "last"), [("title", 8), ("user", 6)], ids=["like nothing, three rows", "values known, one row"]
)
def test_rows_that_may_be_swallowed_are_said(tmp_path: Path, column: str, last: int) -> None:
    rows, remarks = read(unquoted(tmp_path / "p.csv", {column: VALUES[column]}, last))
    assert rows == 45 - last
    assert "1 cell of several lines in quotes, half of which or more may be rows, the first in line 7" in remarks


POEM = "Roses are good,\nViolets are bad,\nThe film is warm,\nAnd so is the plot"
CODE = "def f():\n\treturn 1  # the same"
LIST = "A fine place\n5, for the food\n4, for the nights"


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("p.csv", "text,label", lambda i: [POEM if i % 4 == 0 else words(i), ("neg", "pos", "")[i % 3]]),
        ("p.tsv", "title,text", lambda i: [words(i), CODE]),
        ("p.tsv", "label,text", lambda i: [("neg", "")[i % 2], CODE]),
        ("p.tsv", "label,text", lambda i: [("neg", "")[i % 2], 'def f():\n\treturn "good"']),
        ("p.csv", "stars,text", lambda i: [str(1 + i % 5), LIST if i % 9 == 0 else words(i)]),
        (
            "p.csv",
            "label,text",
            lambda i: [("yes", "no")[i % 2], "yes, it is\nno, he said\nyes" if i == 9 else words(i)],
        ),
        ("p.csv", "id,text", lambda i: [str(i), "To do:\n5, milk" if i == 4 else words(i)]),
        ("p.csv", "id,text", lambda i: [str(i), "To do:\n5,milk\n6,bread" if i == 4 else words(i)]),
        ("p.csv", "title,text", lambda i: [words(i), "x\n1,2\n3,4\n5,6\n7,8\n9,0" if i == 4 else f"{words(i)}, or so"]),
        ("p.csv", "user,text", lambda i: [("Anna", "Ben")[i % 2], 'x\nAnna,"a"\nBen,"b"' if i == 4 else words(i)]),
    ],
    ids=["poem", "code", "code-half-labelled", "quotes", "list", "talk", "id-there", "ids-there", "table", "doubled"],
)
def test_texts_of_several_lines_are_read_as_they_stand(
    tmp_path: Path, name: str, header: str, row: Callable[[int], list[str]]
) -> None:
    file = write(tmp_path / name, header.split(","), [row(i) for i in range(40)])
    assert read(file)[0] == read(file, wanted=None)[0] == 40


def test_blanks_before_quotation_marks_are_refused_with_the_reason(tmp_path: Path) -> None:
    file, both = tmp_path / "p.csv", ("text", "label")
    rows = [f'"{words(i)}, ok",{" " * (i % 3 == 2)}"{("pos", "neg")[i % 2]}"' for i in range(20)]  # one in three
    file.write_text("\n".join(["text,label", *rows]) + "\n")
    with pytest.raises(UserError, match=r"line 4 has a blank before the quotation mark of a cell.*--quoting trusted"):
        read(file, wanted=both)
    with pytest.raises(UserError, match="has a line, 4, that has a blank before the quotation mark"):
        list(read_table(file.read_bytes(), both))
    assert read(file, trusted=True, wanted=both)[0] == 20  # then they are letters


@pytest.mark.parametrize(
    "text",
    [
        ' "Go", he said',
        'he said, "Go"',
        'he said, "Go", and "Stop"',
        'nothing, "", at all',
        '"',
        ', "',
        'a\n, "b"\n, "c", d',
    ],
)
def test_marks_that_csv_has_doubled_are_no_such_cells(tmp_path: Path, text: str) -> None:
    with (tmp_path / "p.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text", "label"), *[(str(i), text, "pos") for i in range(6)]])
    assert read(tmp_path / "p.csv", wanted=("text", "label"))[0] == 6
