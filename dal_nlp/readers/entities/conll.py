"""CoNLL files: a word and its tag a line, among other columns, and an empty line behind each text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from dal_nlp.core.errors import DataError
from dal_nlp.core.text import counted
from dal_nlp.readers.encodings import lines
from dal_nlp.readers.entities.exports import TAGS, WORDS
from dal_nlp.readers.entities.tags import split_tag
from dal_nlp.readers.json_files import of_rows
from dal_nlp.readers.reading import Reading, Rows, Source

#: The endings of such files.
ENDINGS = (".conll", ".bio", ".iob", ".iob2", ".bioes")
_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"#\s?(id\b|newdoc\b|newpar\b|[\w.]+ ?=|(begin|end) document)")
#: Columns of the forms that are read: word tag, word pos tag, word pos chunk tag.
_COLUMNS = range(2, 5)
#: Texts at the beginning that tell how the columns are ordered.
_SAMPLE = 50

Block = list[tuple[int, list[str]]]


@dataclass(frozen=True)
class _Order:
    """How the columns of a file are ordered.

    Attributes:
        numbered: Whether the first one numbers the words of a text.
        reversed: Whether the tag comes first.
    """

    numbered: bool
    reversed: bool


def open_conll(source: str, path: Path, reading: Reading) -> Source:
    """Open a file of 2 to 4 columns between tabs or blanks: the word first, its tag last.

    A column of numbers before the word is passed over, and of two columns the tag may be the first; both are said. The
    number of a row is that of the line of its first word. Lines that begin with ``-DOCSTART-`` are passed over, and
    before a text comments: lines that begin with ``#`` and do not end with a tag.
    """
    return of_rows(source, lambda: _rows(source, path, reading), True)


def _rows(source: str, path: Path, reading: Reading) -> Rows:
    blocks = _blocks(source, path, reading)
    sample = list(islice(blocks, _SAMPLE))
    order = _order(sample)
    if order.numbered:
        reading.remark(f"{source} numbers its words: the first column was passed over.")
    if order.reversed:
        reading.remark(f"{source} has the tags in its first column, and was read so.")
    columns, usual = 0, 0  # of the first line, and its number
    for number, block in chain(sample, blocks):
        words, tags = [], []
        for line, cells in block:
            if order.numbered:
                cells = cells[1:]
            if not columns:
                columns, usual = len(cells), line
            if len(cells) not in _COLUMNS:
                raise DataError(
                    f"{source}, line {line} has {counted(len(cells), 'column')}, and a CoNLL file has 2 to 4 in every "
                    "line, the word first and its tag last: correct it."
                )
            if len(cells) != columns:
                raise DataError(
                    f"{source}, line {line} has {len(cells)} columns, and line {usual} has {columns}: correct it."
                )
            if not all(cells):
                raise DataError(f"{source}, line {line} has nothing in one of its {columns} columns: fill it in.")
            words.append(cells[-1 if order.reversed else 0])
            tags.append(cells[0 if order.reversed else -1])
        yield number, {WORDS: words, TAGS: tags}


def _order(sample: Sequence[tuple[int, Block]]) -> _Order:
    texts = [[cells for _, cells in block] for _, block in sample]
    lines = [cells for text in texts for cells in text]
    if len(lines) < 2:
        return _Order(False, False)
    numbered = min(map(len, lines)) > 2 and any(
        all([cells[0] for cells in text] == [str(first + i) for i in range(len(text))] for text in texts)
        for first in (0, 1)
    )
    pairs = all(len(cells) == 2 for cells in lines)
    first, last = ([split_tag(cells[place])[0] for cells in lines] for place in (0, -1))
    return _Order(numbered, pairs and all(first) and not all(last) and set(first) != {"O"})


def _blocks(source: str, path: Path, reading: Reading) -> Iterator[tuple[int, Block]]:
    """Yield the lines of each text with their numbers, and the number of the first."""
    block: Block = []
    for number, line in lines(source, path, reading):
        text = line.rstrip("\r\n\t ")  # other blanks may belong to a word
        comment = not block and _is_comment(text)
        if text and not comment and not text.startswith(_DOCUMENT):
            block.append((number, _cells(text)))
        elif block and not comment:
            yield block[0][0], block
            block = []
    if block:
        yield block[0][0], block


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.split("\t")] if "\t" in text else re.findall("[^ ]+", text)


def _is_comment(text: str) -> bool:
    """Tell whether a line before a text is none of its words; # may be one, with a tag behind."""
    if _COMMENT.match(text):
        return True
    return text.startswith(("# ", "#\t")) and not split_tag(_cells(text)[-1])[0]
