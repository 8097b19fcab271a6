"""Answers in a file of their own, joined to the rows of the pool by id and checked by text."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from dal_nlp.core.answer_format import refusals
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError, RowError, UnusableRow
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability, Task
from dal_nlp.core.text import counted
from dal_nlp.data.examples import (
    DEFAULT_ID_COLUMN,
    NO_IDS,
    AnswersById,
    open_plain,
    read_id,
    read_target,
    require,
    text_of_fields,
)
from dal_nlp.joins.tool_rows import ANSWER
from dal_nlp.readers.exports import has_verdicts
from dal_nlp.readers.reading import Source, in_other_capitals, loose, named_twice
from dal_nlp.readers.values import beginning, canonical_id, flat, is_rewritten, is_rewritten_id


class Joined(NamedTuple):
    """One answer: its place, its id ("" for none), the text beside it ("" for none), and what it is."""

    place: str
    id: str
    text: str
    target: Target


class JoinedAnswers(AnswersById):
    """The answers of a file, handed to the rows of the pool one by one.

    An id counts where the text beside it, if there is one, is the row's. A row is found by its text where the file has
    no ids, or where a spreadsheet has rewritten the id.

    Args:
        source: The file, for messages.
        joined: In its order, each id once.
        without: Why rows have no ids, for remarks.
    """

    def __init__(self, source: str, joined: Sequence[Joined], without: str = "they have no ids") -> None:
        super().__init__({answer.id or answer.place: answer.target for answer in joined})
        self.source, self._joined, self._without = source, joined, without
        self._by_id = {answer.id: answer for answer in joined if answer.id}
        self._by_form = _unique(joined, lambda answer: canonical_id(answer.id))
        self._by_text = _unique(joined, lambda answer: answer.text)
        self._has_texts = any(answer.text for answer in joined)
        self._taken: set[str] = set()
        self._found_by_text = Counter[bool]()  # by whether they have ids
        self._shortened: dict[str, str] = {}  # what would be the pool's ids without their first zeros, with these
        self._contradicted: list[str] = []
        self._first_id = ""

    def find(self, id: str, fields: Mapping[str, Any]) -> Target | None:
        """Return the answer to a row of the pool, None where there is none, or where another text is beside it."""
        self._first_id = self._first_id or id
        answer = self._by_id.get(id) or self._by_form.get(canonical_id(id))
        text = shown(fields) if self._has_texts and (answer is None or answer.text) else ""
        if answer is None:
            answer = self._by_text.get(text)
            if answer is None or (answer.id and not is_rewritten(answer.id, id)):
                if (bare := canonical_id(id).lstrip("0") or "0") in self._by_form:
                    self._shortened.setdefault(bare, id)
                return None
            self._found_by_text[bool(answer.id)] += answer.place not in self._taken
        elif answer.text and answer.text != text:
            self._contradicted.append(
                f"{answer.place}: {id!r} is the id of another text: {beginning(answer.text)} is in the row, and "
                f"{beginning(text)} in the pool"
            )
            self._taken.add(answer.place)
            return None
        self._taken.add(answer.place)
        return answer.target

    def signature(self) -> str:
        """Return what stands for all that rows can be given."""
        return json.dumps(self._joined)

    def remarks(self) -> list[str]:
        """Return what became of the answers once the pool was read, in sentences.

        Raises:
            UserError: None of them belongs to a row.
        """
        if not self._joined:
            raise DataError(f"{self.source} has no answer in any of its rows: fill them in, or leave the file out.")
        taken = len(self._taken) - len(self._contradicted)
        if self._contradicted and not taken:
            raise DataError(f"{self._wrong()}. Put each id beside its text again, or remove the texts from the file.")
        if not taken:
            there = beginning(self._joined[0].id or self._joined[0].text)
            raise DataError(
                f"None of the {counted(len(self._joined), 'answer')} of {self.source} belongs to a row of the pool: "
                f"the first is {there}, and the pool's first id is {self._first_id!r}{self._mend(self._joined)}."
            )
        why = {True: "their ids are none of the pool's", False: self._without}
        remarks = [
            f"{self.source}: {counted(number, 'answer')} joined by the text, as {why[with_ids]}."
            for with_ids, number in self._found_by_text.items()
            if number
        ]
        if self._contradicted:
            remarks.append(f"Answers not taken: {self._wrong()}.")
        left = [answer for answer in self._joined if answer.place not in self._taken]
        if left:
            named = left[0].id and f" ({left[0].id!r})"
            why_left = self._rewritten(left)
            remarks.append(
                f"Answers without a row in the pool: {len(left):,}, the first {left[0].place}{named}{why_left}."
            )
        return remarks

    def _mend(self, left: Sequence[Joined]) -> str:
        """Return what can be done where no answer belongs to a row, as the end of a sentence."""
        if why := self._rewritten(left):
            return why
        if not self._by_id:
            return ". Give it the pool's ids, or the texts as they are there"
        by_texts = "join by the texts with --id-column none" if self._has_texts else "put the texts beside them"
        return f". Name the column that joins them with --id-column, or {by_texts}"

    def _rewritten(self, left: Sequence[Joined]) -> str:
        """Return what a spreadsheet has made of ids without a text, as the end of a sentence, "" for nothing."""
        mend = "put the texts beside the ids, by which such rows are found, or write the ids as texts"
        alone = [answer.id for answer in left if not answer.text]
        if lost := next((id for id in alone if canonical_id(id) in self._shortened), None):
            original = self._shortened[canonical_id(lost)]
            return f"; a spreadsheet has taken zeros from the ids ({lost!r} for {original!r}): {mend}"
        if rounded := next(filter(is_rewritten_id, alone), None):
            return f"; a spreadsheet has rounded the ids ({rounded!r}): {mend}"
        return ""

    def _wrong(self) -> str:
        count = len(self._contradicted)
        others = f" (the first of {count:,} such rows)" if count > 1 else ""
        return f"{self._contradicted[0]}{others}"


def shown(fields: Mapping[str, Any]) -> str:
    """Return the texts of a row in the form in which they are compared."""
    return flat(text_of_fields(fields))


def read_answers(path: str, task: Task, config: Settings, remarks: list[str] | None = None) -> JoinedAnswers:
    """Read answers from a file of any known kind; rows without an answer are left out.

    Raises:
        UserError: The file cannot be read, has no column of answers, neither ids nor texts, holds an answer that cannot
            be used, or answers one id in two ways.
    """
    notes = [] if remarks is None else remarks
    twice: list[str] = []
    opened = open_plain(path, task, config, notes, twice)
    column = task.answer_column(opened.columns)
    wanted = (config.id_column, *([ANSWER] if column not in opened.columns else []))
    looked_for = {loose(name) for name in wanted if name not in opened.columns}
    if again := [name for name in twice if loose(name) in looked_for]:
        raise DataError(f"{path} {named_twice(again[0])}.")
    has_texts = set(task.columns()) <= set(opened.columns)
    other_ids = in_other_capitals(config.id_column, opened.columns) if config.id_column == DEFAULT_ID_COLUMN else None
    without = "they have no ids"
    if other_ids is not None and has_texts:
        without = f"the file has no column {DEFAULT_ID_COLUMN!r}: where {other_ids!r} holds the pool's ids, call it so"
    elif other_ids is not None:
        notes.append(f"{path} has no column {DEFAULT_ID_COLUMN!r}, and {other_ids!r} was taken for it.")
        config = config.model_copy(update={"id_column": other_ids})
    if config.id_column == NO_IDS and not has_texts:
        raise DataError(
            f"{path} has not the texts ({', '.join(map(repr, task.columns()))}), by which --id-column none joins it to "
            "the pool: put them beside the answers, or name the column of ids."
        )
    if not (has_texts and config.id_column in (DEFAULT_ID_COLUMN, NO_IDS)):
        mend = (
            "call the column of the pool's ids so, name one that both have with --id-column, or put the texts there too"
        )
        require(opened, config.id_column, mend)
    typed = _typed(opened, column, task)
    if typed:
        notes.append(f"{path} has no column {column!r}, and {typed!r} was read for it.")
    else:
        require(opened, column, "call its column of answers so, or name one that all files have with --label-column")
    words, refused = refusals(task.labels) if typed else (), Counter[str]()
    others: dict[str, None] = {}  # what single rows call their answers otherwise
    joined: dict[str, Joined] = {}
    for chunk in opened.chunks(None):
        for number, row in chunk.rows():
            where = opened.place(number)
            if typed and column not in row:
                name = typed if typed in row else in_other_capitals(typed, row) or typed
                others |= {name: None} if name != typed else {}
                word = str(row.get(name)).strip().casefold()
                refused[word] += word in words
                row = {**row, column: None if word in words else row.get(name)}
            try:
                id = read_id(row, config, needed=not has_texts) or ""
                target = read_target(row, task, column)
            except UnusableRow as error:
                raise DataError(f"{where} cannot be used ({str(error).rstrip('.')}): correct or remove it.") from None
            except RowError as error:
                raise DataError(f"{where} {str(error).rstrip('.')}.") from None
            if target is None:
                continue
            answer = Joined(where, id, _text_of(row, task), target)
            if not id and not answer.text:
                raise DataError(f"{where} has no column {config.id_column!r}: give every answer its id.")
            if joined.setdefault(id or f"text {answer.text}", answer).target != target:
                known = f"the id {id!r}" if id else "a text"
                raise DataError(f"{where} answers {known} in another way than an earlier row: keep one of the two.")
    notes.extend(f"{path} has {name!r} where some of its rows lack {typed!r}: it was taken for it." for name in others)
    for word in filter(refused.get, words):
        label = "" if task.labels else f": where it is a label, read the column as it is with --label-column {typed}"
        notes.append(f"{path}: {counted(refused[word], 'row')} with {word!r}, which is no answer{label}.")
    return JoinedAnswers(path, list(joined.values()), without)


def _typed(opened: Source, column: str, task: Task) -> str | None:
    """Return the column of a sheet's answers where the file has that in place of the usual one, else None.

    What is typed for several labels or marked parts is no cell of a table, and Prodigy's verdicts are no answers.
    """
    name = ANSWER if ANSWER in opened.columns else in_other_capitals(ANSWER, opened.columns)
    if name is None or column in opened.columns or name in task.columns():
        return None
    if {Capability.SEVERAL_LABELS, Capability.PARTS} & task.capabilities:
        return None
    rows = (row for chunk in islice(opened.chunks({name}), 1) for _, row in chunk.rows())
    return None if has_verdicts(rows, task.labels) else name


def _text_of(row: Mapping[str, Any], task: Task) -> str:
    """Return the texts beside an answer, "" where there are none."""
    if not set(task.columns()) <= row.keys():
        return ""
    try:
        return shown(task.read(row))
    except RowError:
        return ""


def _unique(joined: Sequence[Joined], key: Callable[[Joined], str]) -> dict[str, Joined]:
    """Return the answers by a key, those without one and those that share it left out."""
    by_key: dict[str, list[Joined]] = {}
    for answer in joined:
        by_key.setdefault(key(answer), []).append(answer)
    return {name: answers[0] for name, answers in by_key.items() if name and len(answers) == 1}
