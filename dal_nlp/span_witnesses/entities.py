"""Machines that list the entities of a text: a file of such lists, and what they say of each word.

Letters: N texts, S machines.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from dal_nlp.core.errors import RowError
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Example
from dal_nlp.core.text import counted
from dal_nlp.readers.entities.tags import OUTSIDE, TaggedSpan, encode_tags
from dal_nlp.readers.values import is_missing
from dal_nlp.report.machines import OTHERS
from dal_nlp.signals.answer_file import COLUMNS, AnswerFile
from dal_nlp.signals.base import CONFIDENCE, LEAST, MOST, MachineAnswer
from dal_nlp.span_witnesses.entity_lists import listed_in
from dal_nlp.span_witnesses.location import locate
from dal_nlp.tasks.entities.heard import SILENT
from dal_nlp.tasks.entities.mended import Mended
from dal_nlp.tasks.entities.rows import read_runs
from dal_nlp.tasks.questions.heard import ODDS, PLACES


class EntityFile(AnswerFile):
    """A table with the entities of each id, else of each text, in any form in which labels are read.

    An empty cell is no answer; an empty list, or a text in which nothing is marked, says that there is no entity.

    Args:
        making: See ``AnswerFile``; the columns are ``id``, ``text``, ``entities`` and ``confidence`` where the options
            ``id``, ``text``, ``label`` and ``confidence`` give no other names.
    """

    usual: ClassVar[Mapping[str, str]] = {**COLUMNS, "label": "entities"}

    def _found_by(self, text: str) -> str:
        """Return a text as it stands: the places of entities are counted in it, blanks included."""
        return text

    def _answer(self, row_number: int, row: Mapping[str, Any]) -> MachineAnswer:
        cell, confidence = row.get(self._columns["label"]), self._confidence(row_number, row)
        if is_missing(cell):
            return MachineAnswer(None)
        known = np.log(max(CONFIDENCE if confidence is None else confidence, 1e-9))
        return MachineAnswer((float(known),), cell if isinstance(cell, str) else json.dumps(cell))


def both(names: Iterable[str]) -> list[str]:
    """Return the names of what machines say, two each: the entities that it lists, and that other words are in none."""
    return [what for name in names for what in (name, f"{name}{OTHERS}")]


def entity_columns(
    labels: Sequence[str],
    examples: Sequence[Example],
    answers: Mapping[str, Sequence[MachineAnswer]],
    progress: Progress | None,
) -> dict[str, list[Any]]:
    """Return the columns of N texts: the tags that S machines give the words, and the log-odds of these.

    A list says two things, each with a weight of its own (see ``both``): which words are entities, and that the others
    are none. An answer that does not fit its text is none, and an entity of another label says nothing of its words;
    both are said.
    """
    tags = [[[SILENT] * len(example["starts"]) for _ in both(answers)] for example in examples]
    odds = [[0.0 for _ in both(answers)] for _ in examples]
    for number, (name, replies) in enumerate(answers.items()):
        unread, nowhere, strange = 0, 0, list[str]()
        for row, (example, answer) in enumerate(zip(examples, replies, strict=True)):
            runs, lost = (None, 0) if answer.log_probs is None else _read(answer.raw, example)
            nowhere += lost
            unread += runs is None and answer.log_probs is not None
            if runs is None or answer.log_probs is None:
                continue
            own = encode_tags(runs, len(example["starts"]))
            for run in runs:
                if run.label not in labels:
                    own[run.first : run.last] = [SILENT] * (run.last - run.first)
                    strange.append(run.label)
            tags[row][2 * number] = [SILENT if tag == OUTSIDE else tag for tag in own]
            tags[row][2 * number + 1] = [tag if tag == OUTSIDE else SILENT for tag in own]
            p = min(max(float(np.exp(answer.log_probs[0])), LEAST), MOST)
            odds[row][2 * number] = odds[row][2 * number + 1] = float(np.log(p / (1 - p)))
        if progress is not None and unread:
            fit = "does not fit its text" if unread == 1 else "do not fit their texts"
            progress.say(f"{name}: {counted(unread, 'answer')} about entities {fit}.")
        if progress is not None and nowhere:
            progress.say(f"{name}: listed entities without a place of their own in their texts: {nowhere:,}.")
        if progress is not None and strange:
            few = ", ".join(sorted(set(strange))[:3])
            parts = counted(len(strange), "marked part")
            progress.say(f"{name}: {parts} with a label that the run does not have ({few}).")
    return {PLACES: tags, ODDS: odds}


def _read(raw: str, example: Example) -> tuple[list[TaggedSpan] | None, int]:
    """Return the entities of an answer, None where it does not fit the text, and how many have no place in it."""
    listed = listed_in(raw)
    if listed is not None:
        return located(listed, example)
    try:
        return read_runs(raw, example, (), Mended()), 0
    except RowError:
        return None, 0


def located(listed: Sequence[tuple[str, str]], example: Example) -> tuple[list[TaggedSpan], int]:
    """Return where listed entities are in the words of a text, and how many are nowhere.

    Every place where the words stand is meant; longer ones go before what stands inside them.
    """
    first = {start: word for word, start in enumerate(example["starts"])}
    last = {end: word + 1 for word, end in enumerate(example["ends"])}
    runs, taken, nowhere = list[TaggedSpan](), set[int](), 0
    for label, words in sorted(listed, key=lambda one: -len(one[1])):
        whole = [(first[a], last[b]) for a, b in locate(words, example["text"]) if a in first and b in last]
        free = [(a, b) for a, b in whole if taken.isdisjoint(range(a, b))]
        nowhere += not free
        for a, b in free:
            taken.update(range(a, b))
            runs.append(TaggedSpan(a, b, label))
    return sorted(runs, key=lambda run: run.first), nowhere
