"""Answers that were made elsewhere, in a file: a label and a confidence for each id or text."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from dal_nlp.core.errors import UserError, nearest
from dal_nlp.core.text import counted
from dal_nlp.readers.sources import read_rows, source_digest
from dal_nlp.readers.values import is_missing
from dal_nlp.signals.base import MachineAnswer, Making, Signal, log_odds

#: Options: which columns hold what.
COLUMNS = {"id": "id", "text": "text", "label": "label", "confidence": "confidence"}


class AnswerFile(Signal):
    """A table with a label for each id, else for each text; its confidence (a probability), if it has one, is believed.

    A label that is none of the run's, or empty, is no answer. A label may be the words that a prompt has for it. Texts
    are compared in single blanks; a row with the id of one text and the words of another is no answer to the first.

    Args:
        making: Its target is the file; its options name the columns ``id``, ``text``, ``label`` and ``confidence``.

    Raises:
        UserError: There is no such file, an option or a column is not known, or a confidence is no probability.
    """

    kept: ClassVar[bool] = False
    #: The names of its columns, where the options say nothing.
    usual: ClassVar[Mapping[str, str]] = COLUMNS

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        for name in making.options:
            if name not in COLUMNS:
                raise UserError(f"file:{making.target} has no option {name!r}{nearest(name, COLUMNS)}.")
        self._columns = {**self.usual, **making.options}
        self._by_id: dict[str, tuple[str, MachineAnswer]] = {}  # with the text of the row, "" for none
        self._by_text: dict[str, MachineAnswer] = {}
        self._unknown: Counter[str] = Counter()
        self._of_others = set[str]()
        names = dict(zip(map(_plain, self._labels.spoken), range(len(self._labels.names)), strict=True))
        self._numbers = names | {_plain(name): number for number, name in enumerate(self._labels.names)}
        there = set[str]()
        for row_number, (_, row) in enumerate(read_rows(making.target), 1):
            there |= row.keys()
            self._take(row_number, row)
        self._check(there)

    @property
    def key(self) -> str:
        """The file, its columns and the labels."""
        return "\n".join([source_digest(self._making.target), *self._columns.values(), *self._labels.names])

    def _check(self, there: Collection[str]) -> None:
        """Raise ``UserError`` where no row has a column that is wanted, by the columns that any row has."""
        column = self._columns
        if column["label"] not in there:
            close = nearest(column["label"], there)
            raise UserError(f"{self._making.target} has no column {column['label']!r}{close}: add label=NAME to it.")
        if column["id"] not in there and column["text"] not in there:
            raise UserError(f"{self._making.target} has neither ids nor texts: add id=NAME or text=NAME to it.")

    def _found_by(self, text: str) -> str:
        """Return what a text is found by."""
        return in_single_blanks(text)

    def _text_of(self, row: Mapping[str, Any]) -> str:
        """Return the text of a row, "" for none."""
        cell = row.get(self._columns["text"])
        return "" if is_missing(cell) else str(cell)

    def _take(self, row_number: int, row: Mapping[str, Any]) -> None:
        answer, text, id = self._answer(row_number, row), self._text_of(row), row.get(self._columns["id"])
        if not is_missing(id):
            self._by_id[str(id)] = in_single_blanks(text), answer
        if text:
            self._by_text[self._found_by(text)] = answer

    def _answer(self, row_number: int, row: Mapping[str, Any]) -> MachineAnswer:
        cell = row.get(self._columns["label"])
        raw = "" if cell is None else str(cell)
        number = self._numbers.get(_plain(raw))
        if number is None:
            self._unknown[raw] += 1
            return MachineAnswer(None, raw)
        return MachineAnswer(log_odds(number, self._confidence(row_number, row), len(self._labels.names)), raw)

    def _confidence(self, row_number: int, row: Mapping[str, Any]) -> float | None:
        """Return the confidence that a row states, None where it states none."""
        stated = row.get(self._columns["confidence"])
        try:
            confidence = None if stated in (None, "") else float(str(stated))
        except ValueError:
            confidence = -1.0
        if confidence is not None and not 0 <= confidence <= 1:
            raise UserError(
                f"{self._making.target}, row {row_number}: the confidence {stated!r} is no probability, 0 to 1."
            )
        return confidence

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield what the file has for each id, else for each text; no answer where it has neither."""
        for text, id in zip(texts, ids, strict=True):
            row_text, answer = self._by_id.get(id, ("", None))
            # of a text in several columns the file may have one, which is a line of it
            if row_text and row_text not in map(in_single_blanks, (text, *text.split("\n"))):
                self._of_others.add(id)
                answer = None
            yield answer or self._by_text.get(self._found_by(text)) or MachineAnswer(None)

    def remarks(self) -> list[str]:
        """Return how many labels of the file are none of the run's, and how many rows have the id of another text."""
        remarks = []
        if self._unknown:
            few = ", ".join(repr(name) for name, _ in self._unknown.most_common(3))
            remarks.append(f"{counted(self._unknown.total(), 'row')} with no label of the run ({few}).")
        if self._of_others:
            have = "has" if len(self._of_others) == 1 else "have"
            remarks.append(
                f"{counted(len(self._of_others), 'row')} {have} the id of another text, and no say about it."
            )
        return [f"{self._making.target}: {sentence}" for sentence in remarks]


def in_single_blanks(text: str) -> str:
    """Return a text with single blanks between its words, composed (Unicode's NFC): as texts are compared."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
