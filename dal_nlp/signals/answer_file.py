"""Answers that were made elsewhere, in a file: a label and a confidence for each id or text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from dal_nlp.core.errors import UserError, nearest
from dal_nlp.core.text import counted
from dal_nlp.readers.sources import read_rows, source_digest
from dal_nlp.signals.base import MachineAnswer, Making, Signal, log_odds

#: Options: which columns hold what.
COLUMNS = {"id": "id", "text": "text", "label": "label", "confidence": "confidence"}


class AnswerFile(Signal):
    """A table with a label for each id, else for each text; its confidence (a probability), if it has one, is believed.

    A label that is none of the run's, or empty, is no answer. A label may be the words that a prompt has for it.

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
        self._by_id: dict[str, MachineAnswer] = {}
        self._by_text: dict[str, MachineAnswer] = {}
        self._unknown: Counter[str] = Counter()
        names = dict(zip(map(_plain, self._labels.spoken), range(len(self._labels.names)), strict=True))
        self._numbers = names | {_plain(name): number for number, name in enumerate(self._labels.names)}
        for place, (_, row) in enumerate(read_rows(making.target), 1):
            self._take(place, row)

    @property
    def key(self) -> str:
        """The file, its columns and the labels."""
        return "\n".join([source_digest(self._making.target), *self._columns.values(), *self._labels.names])

    def _take(self, place: int, row: Mapping[str, Any]) -> None:
        column = self._columns
        if column["label"] not in row:
            close = nearest(column["label"], row)
            raise UserError(f"{self._making.target} has no column {column['label']!r}{close}: add label=NAME to it.")
        if column["id"] not in row and column["text"] not in row:
            raise UserError(f"{self._making.target} has neither ids nor texts: add id=NAME or text=NAME to it.")
        answer = self._answer(place, row)
        if row.get(column["id"]) not in (None, ""):
            self._by_id[str(row[column["id"]])] = answer
        if row.get(column["text"]) not in (None, ""):
            self._by_text[str(row[column["text"]])] = answer

    def _answer(self, place: int, row: Mapping[str, Any]) -> MachineAnswer:
        given = row[self._columns["label"]]
        raw = "" if given is None else str(given)
        number = self._numbers.get(_plain(raw))
        if number is None:
            self._unknown[raw] += 1
            return MachineAnswer(None, raw)
        return MachineAnswer(log_odds(number, self._confidence(place, row), len(self._labels.names)), raw)

    def _confidence(self, place: int, row: Mapping[str, Any]) -> float | None:
        """Return the confidence that a row states, None where it states none."""
        stated = row.get(self._columns["confidence"])
        try:
            confidence = None if stated in (None, "") else float(str(stated))
        except ValueError:
            confidence = -1.0
        if confidence is not None and not 0 <= confidence <= 1:
            raise UserError(f"{self._making.target}, row {place}: the confidence {stated!r} is no probability, 0 to 1.")
        return confidence

    def answers(self, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        """Yield what the file has for each id, else for each text; no answer where it has neither."""
        for text, id in zip(texts, ids, strict=True):
            yield self._by_id.get(id) or self._by_text.get(text) or MachineAnswer(None)

    def remarks(self) -> list[str]:
        """Return how many labels of the file are none of the run's."""
        if not self._unknown:
            return []
        few = ", ".join(repr(name) for name, _ in self._unknown.most_common(3))
        return [f"{self._making.target}: {counted(self._unknown.total(), 'row')} with no label of the run ({few})."]


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
