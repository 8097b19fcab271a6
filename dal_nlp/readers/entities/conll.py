"""CoNLL files: a word and its tag a line, among other columns, and an empty line behind each text."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from dal_nlp.core.errors import DataError
from dal_nlp.core.text import counted
from dal_nlp.readers.encodings import lines
from dal_nlp.readers.entities.exports import TAGS, WORDS
from dal_nlp.readers.json_files import of_rows
from dal_nlp.readers.reading import NumberedRows, Reading, Source

#: The endings of such files.
ENDINGS = (".conll", ".bio", ".iob", ".iob2", ".bioes")
#: The word before a document, and the comment before a text that has it among its own words.
DOCUMENT, TEXT = "-DOCSTART-", "# text = "
#: A comment where its columns are not those of words; without a blank behind # only these.
_COMMENT = re.compile(r"#\s?(id\b|newdoc\b|newpar\b|[\w.]+ ?=|(begin|end) document)")
#: A tag, in whatever way files write it: b-per, PER-B and B too.
_TAG = re.compile(r"[BIO]|[BIESLUM][-_].+|.+[-_][BIESLUM]", re.IGNORECASE)
#: The number of a word; and what stands there before several words (1-2), or before none of the text (8.1).
_NUMBER, _NO_WORD = re.compile(r"(\d{1,9})[.)]?"), re.compile(r"\d+[-.]\d+")
#: Of the words of a file that numbers them, how many do at least follow from the one before.
_IN_ORDER = 0.9
#: Columns of the forms that are read: word tag, word pos tag, word pos chunk tag.
_COLUMNS = range(2, 5)
#: A tag as most files write it, the least share of a column's cells by which it is one of tags, a label without a
#: prefix, and the labels of chunks, whose column stands before that of the entities.
_TAGS, _BARE = 0.9, re.compile(r"[^\W\d_][\w-]*[^\W_]")
_PREFIXED = re.compile(r"[BIESLUM][-_](.+)")
_CHUNKS = frozenset(["ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP", "NC", "PC", "VC"])
#: A number with a decimal point, as how sure a program was.
_SCORE = re.compile(r"\d*[.,]\d+")
#: Texts at the beginning that tell how the columns are ordered.
_SAMPLE = 50

#: Lines with their numbers and cells.
Block = list[tuple[int, str, list[str]]]


@dataclass(frozen=True)
class _Order:
    """How the columns of a file are ordered.

    Attributes:
        columns: How many most lines have.
        tabs: Whether tabs are between them in all lines.
        tagged: Whether the last one has O and tags with prefixes, and nothing else.
        numbered: Whether the first one numbers the words of a text.
        strange: Whether the first one has numbers alone, which do not rise by one.
        reversed: Whether the tag comes first.
        tags: Columns between the word and the last one that hold tags, but for a few cells.
        labels: Columns there that hold O, more often than anything else, and labels without a prefix.
        scores: Whether the last one holds decimal numbers alone.
        plain: Whether the lines may be plain text: blanks between the cells, and no tag among the last ones.
    """

    columns: int
    tabs: bool
    tagged: bool
    numbered: bool
    strange: bool
    reversed: bool
    tags: list[int]
    labels: list[int]
    scores: bool
    plain: bool

    def check(self, place: str, cells: list[str]) -> None:
        """Raise ``DataError`` for a line with a tag in another column than the last one, which is read."""
        for column in (*self.tags, *self.labels) if len(cells) == self.columns else ():
            cell, last = cells[column], cells[-1]
            lost = column in self.labels and not _says_nothing(cell) and _says_nothing(last)
            tag = column in self.tags and _PREFIXED.fullmatch(cell)
            if lost or (tag and tag[1] not in _CHUNKS):
                raise DataError(
                    f"{place} has the tag {cell!r} in column {column + 1} of {len(cells)} and {last!r} in the "
                    "last one, where the tag is read: write the file with one column of tags, the last."
                )

    def comment(self, text: str, cells: list[str]) -> bool:
        """Tell whether a line before a text is none of its words; what may be a word, such as ``# O``, is one."""
        named = _COMMENT.match(text)
        spaced = text.startswith(("# ", "#\t"))
        if not (named or spaced):
            return False
        tag = _TAG.fullmatch(cells[-1])
        if len(cells) == self.columns and ("\t" in text or not self.tabs):
            return not tag and (self.tagged or cells[2:3] == ["="])
        return not tag or bool(named and spaced)


def open_conll(source: str, path: Path, reading: Reading) -> Source:
    """Open a file of 2 to 4 columns between tabs or blanks: the word first, its tag last.

    A column of numbers before the word is passed over, and of two columns the tag may be the first; both are said. The
    number of a row is that of the line of its first word. Lines that begin with ``-DOCSTART-`` are passed over, and
    before a text comments, which are counted: lines that begin with ``#`` and cannot be a word with its tag.
    """
    return of_rows(source, lambda: _rows(source, path, reading), True, reading)


def _rows(source: str, path: Path, reading: Reading) -> NumberedRows:
    blocks = _blocks(source, path, reading)
    sample = list(islice(blocks, _SAMPLE))
    order = _order(sample)
    if order.numbered:
        reading.remark(f"{source} numbers its words: the first column was passed over.")
    if order.strange:
        reading.remark(f"{source} has a number in each first column, not one more each time: they were read as words.")
    if order.reversed:
        reading.remark(f"{source} has the tags in its first column, and was read so.")
    if order.plain and ".txt" in path.name.lower():
        raise DataError(
            f"{source} has neither O nor a tag with a prefix (B-PER) at the ends of its lines: if each line is a word "
            "and its tag, give it the ending .conll; write plain texts into a table or JSON lines, with a column "
            "'text'."
        )
    if order.scores:
        raise DataError(
            f"{source} has decimal numbers in its last column, where the tag is read (are these scores?): leave the "
            "column out."
        )
    behind = " behind the number" if order.numbered else ""
    columns, usual = 0, 0  # of the first line, and its number
    comments = no_words = doubtful = 0
    for block in chain(sample, blocks):
        begin = 0  # of the words
        while begin < len(block) and order.comment(*block[begin][1:]):
            begin += 1
        comments += begin
        words, tags = [], []
        for line, text, cells in block[begin:]:
            hint = ""
            if text.startswith("#"):
                hint = " If it is a comment, put it before the first word of a text, behind an empty line."
                if order.tagged and not _TAG.fullmatch(cells[-1]):
                    raise DataError(f"{source}, line {line} begins with # and has no tag: correct it.{hint}")
                doubtful += text.startswith(("# ", "#\t")) and not _TAG.fullmatch(cells[-1])
            order.check(f"{source}, line {line}", cells)
            if order.numbered:
                if _NO_WORD.fullmatch(cells[0]):
                    no_words += 1
                    continue
                if not _NUMBER.fullmatch(cells[0]) and not hint:
                    raise DataError(f"{source}, line {line} has no number before its word, and others do: correct it.")
                cells = cells[1:]
            if not columns:
                columns, usual = len(cells), line
            if len(cells) not in _COLUMNS:
                raise DataError(
                    f"{source}, line {line} has {counted(len(cells), 'column')}{behind}, and a CoNLL file has 2 to 4 "
                    f"in every line, the word first and its tag last: {_mend(len(cells))}.{hint}"
                )
            if len(cells) != columns:
                raise DataError(
                    f"{source}, line {line} has {len(cells)} columns{behind}, and line {usual} has {columns}: "
                    f"correct it.{hint}"
                )
            if not all(cells):
                raise DataError(f"{source}, line {line} has nothing in one of its {columns} columns: fill it in.")
            words.append(cells[-1 if order.reversed else 0])
            tags.append(cells[0 if order.reversed else -1])
        if words:
            yield block[begin][0], {WORDS: words, TAGS: tags}
    if comments:
        reading.remark(f"{source}: passed over as comments, before texts: {counted(comments, 'line')} with #.")
    if doubtful:
        reading.remark(f"{source}: read as words, for they have a word's columns: {counted(doubtful, 'line')} with #.")
    if no_words:
        reading.remark(
            f"{source}: passed over for what is no word of its own (numbered 1-2 or 8.1): {counted(no_words, 'line')}."
        )


def _mend(columns: int) -> str:
    return "leave out the columns between" if columns > _COLUMNS[-1] else "correct it"


def _order(sample: Sequence[Block]) -> _Order:
    texts = [[cells for _, text, cells in block if not text.startswith("#")] for block in sample]
    lines = [cells for text in texts for cells in text]
    raw_lines = [text for block in sample for _, text, _ in block if not text.startswith("#")]
    columns = Counter(map(len, lines)).most_common(1)[0][0] if lines else 0
    wide = len(lines) > 0 and min(map(len, lines)) > 2
    numbered = wide and _numbered(texts)
    strange = wide and not numbered and len(lines) > 1 and all(_NUMBER.fullmatch(cells[0]) for cells in lines)
    tags = {cells[-1] for cells in lines}
    tagged = not tags <= {"O", "o"} and all(map(_TAG.fullmatch, tags))
    turned = len(lines) > 1 and _reversed([tuple(cells[numbered:]) for cells in lines])
    tabs = all("\t" in text for text in raw_lines)
    usual = [cells for cells in lines if len(cells) == columns]
    between = range(1 + numbered, columns - 1) if len(usual) > 1 else ()
    of_tags = [i for i in between if _holds_tags([(cells[numbered], cells[i]) for cells in usual])]
    of_labels = [i for i in between if i not in of_tags and _holds_labels([cells[i] for cells in usual])]
    scores = len(lines) > 1 and all(map(_SCORE.fullmatch, tags))
    plain = not any(_TAG.fullmatch(tag) for tag in tags) and not turned and not tabs
    return _Order(columns, tabs, tagged, numbered, strange, turned, of_tags, of_labels, scores, plain)


def _says_nothing(cell: str) -> bool:
    """Tell whether a cell is what files write where there is no tag: O, or signs alone."""
    return cell in ("O", "o") or not any(map(str.isalnum, cell))


def _holds_tags(cells: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a column, of words and what stands there, holds tags of entities; one of lemmas repeats the word."""
    pairs = [(word, cell) for word, cell in cells if not _says_nothing(cell)]
    matches = [_PREFIXED.fullmatch(cell) for word, cell in pairs if word != cell]
    labels = [tag[1] for tag in matches if tag]
    chunks = sum(label in _CHUNKS for label in labels)
    return len(labels) >= _TAGS * len(pairs) and (not labels or 2 * chunks < len(labels))


def _holds_labels(cells: Sequence[str]) -> bool:
    """Tell whether a column holds O, more often than anything else, and labels of two letters or more.

    O is a part of speech in some sets, whose other ones have a single letter, or are more frequent.
    """
    counts = Counter(cells)
    labels = [cell for cell in counts if not _says_nothing(cell)]
    bare = all(_BARE.fullmatch(label) and not _PREFIXED.fullmatch(label) for label in labels)
    chunks = sum(label in _CHUNKS for label in labels)
    return bool(labels) and bare and 2 * chunks <= len(labels) and counts["O"] >= max(counts.values())


def _numbered(texts: Sequence[Sequence[list[str]]]) -> bool:
    """Tell whether the first column numbers words: from 0 or 1 in each text, or on over the texts."""
    words = in_order = 0
    last: int | None = None
    for text in texts:
        cells = [line[0] for line in text if not _NO_WORD.fullmatch(line[0])]
        words += len(cells)
        for position, match in enumerate(map(_NUMBER.fullmatch, cells)):
            if not match:
                continue
            number = int(match[1])
            if position:
                in_order += last is not None and number == last + 1
            elif last is None:
                in_order += number <= 1 or len(cells) > 1
            else:
                in_order += number <= 1 or last < number <= last + 2  # an empty line may have a number too
            last = number
    return in_order > 0 and in_order >= _IN_ORDER * words


def _reversed(lines: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether each line has its tag first and its word behind."""
    if any(len(line) != 2 for line in lines):
        return False
    first, last = zip(*lines, strict=True)
    outside = [tag in ("O", "o") for tag in first]
    if all(map(_TAG.fullmatch, first)):
        return not all(outside) and not all(map(_TAG.fullmatch, last))
    return sum(outside) * 2 >= len(lines) and not any(map(_TAG.fullmatch, last))


def _blocks(source: str, path: Path, reading: Reading) -> Iterator[Block]:
    """Yield the lines between empty ones."""
    block: Block = []
    for number, line in lines(source, path, reading):
        text = line.rstrip("\r\n\t ")  # other blanks may belong to a word
        is_word = block and block[0][1].startswith(TEXT) and DOCUMENT in block[0][1]
        if text and (is_word or not text.startswith(DOCUMENT)):
            block.append((number, text, _cells(text)))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.split("\t")] if "\t" in text else re.findall("[^ ]+", text)
