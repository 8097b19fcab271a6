"""Where the answer spans of a question are among the outcomes of ``Ragged``, and what they say.

An example is a row that ``ExtractiveQA.encode`` made, with R windows of at most T tokens. Its outcomes fill a row of
1 + T x L numbers for each window, L the tokens of the longest answer: column 0 is "no answer" (in the first window),
column 1 + t L + d the span from token t of the window to token t + d.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example
from dal_nlp.tasks.questions.windows import Ints, QAOptions, Windows, cut, nearest_ends

NO_ANSWER: Target = {"text": [], "answer_start": []}
#: Unicode's marks that belong to the character before them.
COMBINING = ("Mn", "Mc", "Me")
#: More tokens than a span has.
NEVER = 1 << 30


def encode_questions(
    questions: Sequence[str], contexts: Sequence[str], tokenizer: Any, max_length: int, options: QAOptions
) -> dict[str, list[Any]]:
    """Return the windows of some questions with their contexts, by column; see ``ExtractiveQA.encode``."""
    columns: dict[str, list[Any]] = {}
    for question, context in zip(questions, contexts, strict=True):
        windows = cut(tokenizer, question, context, max_length, options.doc_stride, options.longest_answer)
        row = {
            **windows.inputs,
            "first": windows.first,
            "shift": windows.shift,
            "null": windows.null,
            "nearest_end": first_distances(windows, context),
            "starts": windows.starts,
            "ends": windows.ends,
            "length": max(map(len, windows.inputs["input_ids"])),
            "rows": len(windows.shift),
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return columns


def first_distances(windows: Windows, context: str) -> list[Ints]:
    """Return ``windows.nearest_ends``; no answer begins at a blank, as some tokenizers have tokens of."""
    tokens = zip(windows.starts, windows.ends, strict=True)
    blank = np.array([not context[start:end].strip() for start, end in tokens])
    reach = nearest_ends(windows.shift, windows.count)
    for w, ends in enumerate(reach):
        ends[blank[windows.shift[w] : windows.shift[w] + windows.count[w]]] = NEVER
    return reach


def limits(examples: Sequence[Example], width: int, longest: int) -> tuple[Ints, Ints]:
    """Return for all windows of some examples which distances d from each token on give a span that counts there.

    Returns:
        near and far, (R, T) each: near <= d < far.
    """
    windows = [(example, w) for example in examples for w in range(example["rows"])]
    near, far = np.zeros((2, len(windows), width), dtype=np.int64)
    for r, (example, w) in enumerate(windows):
        first, nearest = example["first"][w], example["nearest_end"][w]
        near[r, first : first + len(nearest)] = nearest
        far[r, first : first + len(nearest)] = np.minimum(np.arange(len(nearest), 0, -1), longest)
    return near, far


def gold(example: Example, longest: int, unanswerable: bool) -> list[tuple[int, int]]:
    """Return the window and the column of each different gold answer that the model could give."""
    target, shift = example["target"], example["shift"]
    if not target["text"]:
        return [(0, 0)] if unanswerable else []
    outcomes = set()
    for text, start in zip(target["text"], target["answer_start"], strict=True):
        begin, text = start + len(text) - len(text.lstrip()), text.strip()
        i = int(np.searchsorted(example["ends"], begin, side="right"))
        distance = int(np.searchsorted(example["starts"], begin + len(text), side="left")) - 1 - i
        for w, nearest in enumerate(example["nearest_end"]):
            position = i - shift[w]
            inside = position >= 0 and position + distance < len(nearest) and 0 <= distance < longest
            if inside and nearest[position] <= distance:
                outcomes.add((w, 1 + (example["first"][w] + position) * longest + distance))
    return sorted(outcomes)


def positions(examples: Sequence[Example], width: int, longest: int, unanswerable: bool) -> list[list[int]]:
    """Return where in a batch the gold answers are, (B, most of an example), -1 where there is none."""
    outcomes, row = [], 0
    for example in examples:
        columns = width * longest + 1
        outcomes.append([(row + w) * columns + column for w, column in gold(example, longest, unanswerable)])
        row += example["rows"]
    most = max(1, *map(len, outcomes))
    return [places + [-1] * (most - len(places)) for places in outcomes]


def said(example: Example, number: int, longest: int) -> Target:
    """Return outcome ``number`` of an example (see ``Ragged``) as a target."""
    column, w = divmod(number, example["rows"])
    if column == 0:
        return NO_ANSWER
    token, distance = divmod(column - 1, longest)
    i = example["shift"][w] + token - example["first"][w]
    begin, end, context = example["starts"][i], example["ends"][i + distance], example["context"]
    while end < len(context) and unicodedata.category(context[end]) in COMBINING:
        end += 1  # an accent that the tokenizer has dropped
    text = context[begin:end]
    return {"text": [text.strip()], "answer_start": [begin + len(text) - len(text.lstrip())]}
