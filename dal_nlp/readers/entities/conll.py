"""CoNLL files: a word and its tag a line, among other columns, and an empty line behind each text."""

import re
from collections.abc import Iterator
from pathlib import Path

from dal_nlp.core.errors import DataError
from dal_nlp.readers.encodings import lines
from dal_nlp.readers.entities.exports import TAGS, WORDS
from dal_nlp.readers.json_files import of_rows
from dal_nlp.readers.reading import Reading, Rows, Source

#: The endings of such files.
ENDINGS = (".conll", ".bio", ".iob", ".iob2", ".bioes")
_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"# (id\b|\w+ ?=)")
#: Columns of the forms that are read: word tag, word pos tag, word pos chunk tag.
_COLUMNS = range(2, 5)


def open_conll(source: str, path: Path, reading: Reading) -> Source:
    """Open a file of 2 to 4 columns between tabs or blanks: the word first, its tag last.

    The number of a row is that of the line of its first word. Lines that begin with ``-DOCSTART-`` are passed over, and
    before a text those like ``# sent_id = 1`` and ``# id 1``.
    """
    return of_rows(source, lambda: _rows(source, path, reading), True)


def _rows(source: str, path: Path, reading: Reading) -> Rows:
    columns = 0
    for number, block in _blocks(source, path, reading):
        words, tags = [], []
        for line, text in block:
            cells = [cell.strip() for cell in text.split("\t")] if "\t" in text else text.split()
            columns = columns or len(cells)
            if len(cells) != columns or len(cells) not in _COLUMNS or not all(cells):
                there = f"{len(cells)} columns" if columns in _COLUMNS else f"{columns} columns"
                raise DataError(
                    f"{source}, line {line} has {there}, and a CoNLL file has 2 to 4 in every line, the word first and "
                    "its tag last: correct it."
                )
            words.append(cells[0])
            tags.append(cells[-1])
        yield number, {WORDS: words, TAGS: tags}


def _blocks(source: str, path: Path, reading: Reading) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Yield the lines of each text with their numbers, and the number of the first."""
    block: list[tuple[int, str]] = []
    for number, line in lines(source, path, reading):
        text = line.rstrip("\r\n")
        comment = not block and _COMMENT.match(text) is not None
        if text.strip() and not comment and not text.startswith(_DOCUMENT):
            block.append((number, text))
        elif block and not comment:
            yield block[0][0], block
            block = []
    if block:
        yield block[0][0], block
