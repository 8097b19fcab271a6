"""Row matching: the example that a row of answers is about, by its id, by its text, or by both."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

from dal_nlp.core.errors import RowError, nearest
from dal_nlp.core.task import Example, Task
from dal_nlp.ledger.state import State
from dal_nlp.readers.spreadsheets import plain
from dal_nlp.readers.values import (
    beginning,
    canonical_id,
    flat,
    is_missing,
    is_rewritten,
    is_rewritten_id,
    is_spreadsheet_error,
    same_text,
)

#: Unknown ids that are compared with all known ones, which takes milliseconds each.
_COMPARED = 20


class Match(NamedTuple):
    """The example of a row; ``by_text`` where the row's own id was of no use."""

    id: str
    by_text: bool


def asked_texts(state: State) -> dict[str, str]:
    """Return what people were shown of all that was ever asked about, by id."""
    audit = zip(state.audit or [], state.audit_texts, strict=False)  # old ledgers hold no texts of it
    queries = chain(state.queries, state.overflows.values())
    return dict(chain(audit, *(zip(query.ids, query.texts, strict=True) for query in queries)))


def texts_in(row: Mapping[str, Any], columns: Iterable[str], other_names: Iterable[str] = ()) -> dict[str, str]:
    """Return the texts of a row by the task's column, as far as it has them.

    A sheet calls a column "answer (text)" where the task has one of that name; ``other_names`` are those under which
    the columns may be there as well, in their order.
    """
    names = dict(zip(columns, other_names, strict=False)) if other_names else {}
    texts: dict[str, str] = {}
    for column in columns:
        ways = (f"{column} (text)", column, names.get(column, column))
        value = next((row[way] for way in ways if way in row), None)
        if isinstance(value, str | int | float) and not is_missing(value) and not is_spreadsheet_error(str(value)):
            texts[column] = str(value)
    return texts


class RowMatcher:
    """Finds the examples of rows, among those that may be answered.

    An id counts where it was asked about and the row's text, where there is one, is that example's. A row without an
    id, or with one that a spreadsheet has rewritten, is found by its text, if it has all of it. An unknown id among
    known ones is a mistake; a file of which no id is known has those of another program, and its rows are found by
    their texts.

    Args:
        task: Says what the columns of the texts are.
        asked_ids: The ids that may be answered.
        shown: What people were shown, by id; see ``asked_texts``.
        example: Returns the fields of an example.
    """

    def __init__(
        self, task: Task, asked_ids: Collection[str], shown: Mapping[str, str], example: Callable[[str], Example]
    ) -> None:
        self._task, self._asked, self._shown, self._example = task, asked_ids, shown, example
        self._unknown = 0

    def knows(self, id: str) -> bool:
        """Tell whether an id was asked about, however a table has written it."""
        return bool(self._known(id))

    def match(self, id: str, texts: Mapping[str, str], where: str = "", foreign: bool = False) -> Match:
        """Return the example of a row with an id ("" for none) and texts by column.

        Args:
            id: As it stands in the row.
            texts: See ``texts_in``.
            where: What asked about, for the message; such as " in round-000".
            foreign: Whether the ids of the file are none of this run.

        Raises:
            ValueError: There is none, or the text is not that of the id; with the reason.
        """
        if known := self._known(id):
            self._check(known, texts)
            return Match(known, False)
        ids = self._by_text.get(self._joined(texts), [])
        if len(ids) == 1 and (foreign or not id or is_rewritten(id, ids[0])):
            return Match(ids[0], True)
        raise ValueError(self._nowhere(id, texts, where, bool(ids)))

    def _known(self, id: str) -> str:
        ways = (id, plain(id), self._canonical.get(canonical_id(id), ""))
        return next((way for way in ways if way in self._asked), "")

    def _check(self, id: str, texts: Mapping[str, str]) -> None:
        """Raise ``ValueError`` where the texts of a row are not those of the example."""
        own = dict(zip(self._task.columns(), self._task.texts(self._example(id)), strict=True))
        for column, text in texts.items():
            if not same_text(text, own[column]):
                raise ValueError(
                    f"{id!r} is the id of another text: {beginning(text)} is in the row, and {beginning(own[column])} "
                    "was asked about; put each id beside its text again (a table must be sorted with all its columns)"
                )

    def _nowhere(self, id: str, texts: Mapping[str, str], where: str, text_known: bool) -> str:
        """Say why a row belongs to nothing."""
        if not id:
            return f"its text was not asked about{where}" if texts else "it has neither an id nor a text"
        self._unknown += 1
        why = f"{id!r} was not asked about{where}{nearest(id, self._asked) if self._unknown <= _COMPARED else ''}"
        if is_rewritten_id(id) and not text_known:
            return f"{why}; a spreadsheet has rounded it: keep the texts beside the ids, by which such rows are found"
        return why

    @cached_property
    def _canonical(self) -> dict[str, str]:
        """The ids by their canonical form, where only one has it."""
        by_form: dict[str, list[str]] = {}
        for id in self._asked:
            by_form.setdefault(canonical_id(id), []).append(id)
        return {form: ids[0] for form, ids in by_form.items() if len(ids) == 1}

    @cached_property
    def _by_text(self) -> dict[str, list[str]]:
        by_text: dict[str, list[str]] = {}
        for id, text in self._shown.items():
            if id in self._asked:
                by_text.setdefault(flat(text), []).append(id)
        return by_text

    def _joined(self, texts: Mapping[str, str]) -> str:
        """Return what people would have been shown of a row, in the form in which it is looked up."""
        if len(texts) < len(self._task.columns()):
            return ""
        try:
            return flat(self._task.show(self._task.read(texts)))
        except RowError:
            return ""
