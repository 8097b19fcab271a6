"""A question and its context as overlapping windows of tokens, and which window a span of the context counts in.

Letters: N tokens of the context, W windows, L tokens of the longest answer.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dal_nlp.core.errors import UserError
from dal_nlp.data.text_windows import check_windows

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class QAOptions:
    """What ``task_options`` may hold.

    Attributes:
        doc_stride: Tokens that neighbouring windows of a long context share: at most half of their room for it, and
            at least what the longest answer needs.
        longest_answer: Tokens of the longest answer that can be given.
        unanswerable: Whether "no answer" is a possible answer; it is where the data has such a question.
        group_column: Column whose values ``query.max_per_group`` counts; none: the context.
    """

    doc_stride: Annotated[int, Field(ge=1)] = 128
    longest_answer: Annotated[int, Field(ge=1)] = 30
    unanswerable: bool = False
    group_column: str | None = None


DEFAULT_OPTIONS = QAOptions()


@dataclass(frozen=True)
class Windows:
    """One question with its context.

    Attributes:
        inputs: What the model is called with, by name, without the attention mask: W lists of numbers.
        first: (W,) where the context begins in each window.
        shift: (W,) which of the context's tokens that is.
        count: (W,) tokens of the context in each window.
        null: (W,) where the token is that stands for "no answer".
        starts: (N,) where each token of the context begins in it, in characters.
        ends: (N,) where it ends.
    """

    inputs: dict[str, list[list[int]]]
    first: Ints
    shift: Ints
    count: Ints
    null: Ints
    starts: Ints
    ends: Ints


def cut(tokenizer: Any, question: str, context: str, max_length: int, stride: int, longest: int) -> Windows:
    """Cut a context into windows that each begin with the question.

    Args:
        tokenizer: A fast one.
        question: Its tokens beyond half of a window are left out, as BERT's own script cuts long questions.
        context: Any number of tokens above 0.
        max_length: Tokens of a window.
        stride: Tokens that two neighbouring windows share; at most half of their room for the context, or a long
            question would make hundreds of windows, and at least ``longest`` - 1, so that every span lies in a window.
        longest: Tokens of the longest answer.

    Raises:
        UserError: The context has no tokens, or there is no room for it.
    """
    if tokenizer.truncation_side != "right":
        raise UserError("The tokenizer cuts texts on the left: save it with truncation_side 'right'.")
    check_windows()
    question, used = _shortened(tokenizer, question, max_length // 2)
    room = max_length - used - tokenizer.num_special_tokens_to_add(pair=True)
    if room < 1:
        raise UserError(f"max_length {max_length} leaves no room for a context: raise it to 32 or more.")
    overlap = min(max(min(stride, room // 2), longest - 1), room - 1)
    encoded = tokenizer(
        question,
        context,
        truncation="only_second",
        max_length=max_length,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_attention_mask=False,
    )
    names = [name for name in tokenizer.model_input_names if name in encoded and name != "attention_mask"]
    inside = [np.flatnonzero([part == 1 for part in encoded.sequence_ids(w)]) for w in range(len(encoded["input_ids"]))]
    if not len(inside[0]):
        raise UserError(
            f"The context {context[:40]!r} of the question {question[:40]!r} has no tokens: remove the row."
        )
    count = np.array([len(tokens) for tokens in inside])
    # A window begins ``overlap`` tokens before the end of the one before it.
    shift = np.concatenate([[0], (count[:-1] - overlap).cumsum()]).astype(np.int64)
    starts, ends = np.zeros((2, int(shift[-1] + count[-1])), dtype=np.int64)
    for w, tokens in enumerate(inside):
        offsets = np.array(encoded["offset_mapping"][w])[tokens]
        starts[shift[w] : shift[w] + count[w]], ends[shift[w] : shift[w] + count[w]] = offsets.T
    return Windows(
        {name: encoded[name] for name in names},
        np.array([tokens[0] for tokens in inside]),
        shift,
        count,
        np.array([_null(ids, tokenizer.cls_token_id) for ids in encoded["input_ids"]]),
        starts,
        ends,
    )


def _shortened(tokenizer: Any, question: str, most: int) -> tuple[str, int]:
    """Return a question of at most ``most`` tokens, and how many it has."""
    encoded = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False)
    offsets = encoded["offset_mapping"]
    if len(offsets) <= most:
        return question, len(offsets)
    cut = question[: offsets[most - 1][1]]
    return cut, len(tokenizer(cut, add_special_tokens=False)["input_ids"])


def _null(ids: list[int], cls: int | None) -> int:
    """Return the place of the classification token; the first token where a model has none."""
    return ids.index(cls) if cls in ids else 0


def nearest_ends(shift: Ints, count: Ints) -> list[Ints]:
    """Return for each token of each window from which distance to its end on a span that begins there counts here.

    A span that lies in several windows counts in the one that gives its start the most context (the smaller of the
    numbers of tokens before and after it), the earlier one where two give as much. So of the spans that begin at a
    token, the short ones may count in a neighbouring window, and those that reach beyond that window here.

    Args:
        shift: (W,) ascending; see ``Windows``.
        count: (W,); see ``Windows``.

    Returns:
        W arrays, of count[w] numbers each.
    """
    end = shift + count
    reach = [np.zeros(n, dtype=np.int64) for n in count]
    for w in range(len(shift)):
        tokens = np.arange(shift[w], end[w])
        context = np.minimum(tokens - shift[w], end[w] - 1 - tokens)
        for v in range(len(shift)):
            if v == w or end[v] <= shift[w] or shift[v] >= end[w]:
                continue
            theirs = np.minimum(tokens - shift[v], end[v] - 1 - tokens)  # negative outside of v
            better = (theirs >= 0) & ((theirs > context) | ((theirs == context) & (v < w)))
            reach[w] = np.where(better, np.maximum(reach[w], end[v] - tokens), reach[w])
    return reach
