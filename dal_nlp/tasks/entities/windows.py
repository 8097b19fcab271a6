"""Texts in overlapping windows of tokens, and where in them each word is told."""

from collections.abc import Sequence
from typing import Any

from dal_nlp.data.text_windows import check_windows, token_of_nothing


def encode_texts(
    texts: Sequence[str],
    starts: Sequence[Sequence[int]],
    ends: Sequence[Sequence[int]],
    tokenizer: Any,
    max_length: int,
    overlap: float,
) -> dict[str, list[Any]]:
    """Return the tokenizer's columns as lists of windows, the places of words, ``length`` and ``rows``.

    ``word_rows`` and ``word_places`` say of each word the window and the token that tell its tag: the first token that
    lies in it, in the window where the fewer of the tokens before and behind it are most; -1 where the tokenizer makes
    nothing of a word.

    Args:
        texts: N of them.
        starts: Of their words.
        ends: Of their words.
        tokenizer: A fast one.
        max_length: Tokens of a window.
        overlap: The share of a window that is in the next one too.
    """
    check_windows()
    inside = max_length - tokenizer.num_special_tokens_to_add(pair=False)
    encoded = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        stride=int(overlap * inside),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    helpers = ("attention_mask", "offset_mapping", "special_tokens_mask", "overflow_to_sample_mapping")
    names = [name for name in encoded if name not in helpers]
    columns: dict[str, list[Any]] = {name: [[] for _ in texts] for name in (*names, "offsets")}
    for row, owner in enumerate(encoded["overflow_to_sample_mapping"]):
        for name in names:
            columns[name][owner].append(encoded[name][row])
        own = zip(encoded["offset_mapping"][row], encoded["special_tokens_mask"][row], strict=True)
        offsets = [None if special else tuple(offset) for offset, special in own]
        if not offsets:  # a text without tokens, of a tokenizer that puts none around it
            offsets = [None]
            for name in names:
                columns[name][owner][-1] = [token_of_nothing(tokenizer) if name == "input_ids" else 0]
        columns["offsets"][owner].append(offsets)
    all_offsets = columns.pop("offsets")
    positions = [word_places(*of_text) for of_text in zip(all_offsets, starts, ends, strict=True)]
    return {
        **columns,
        "word_rows": [[row for row, _ in of_text] for of_text in positions],
        "word_places": [[position for _, position in of_text] for of_text in positions],
        "length": [max(map(len, windows)) for windows in all_offsets],
        "rows": [len(windows) for windows in all_offsets],
    }


def word_places(
    windows: Sequence[Sequence[tuple[int, int] | None]], starts: Sequence[int], ends: Sequence[int]
) -> list[tuple[int, int]]:
    """Return the window and the token that tell each word, (-1, -1) for a word without a token.

    Args:
        windows: The characters of each token of each window, None for one that stands for none.
        starts: Of the words, ascending.
        ends: Of the words.
    """
    best = [(-1, -1)] * len(starts)
    margins = [-1] * len(starts)
    begun: list[int | None] = [None] * len(starts)  # the first character of the token that tells the word
    for row, tokens in enumerate(windows):
        own = [position for position, offset in enumerate(tokens) if offset is not None and offset[0] < offset[1]]
        word = 0
        told: set[int] = set()
        for order, position in enumerate(own):
            offset = tokens[position]
            assert offset is not None
            while word < len(starts) and ends[word] <= offset[0]:
                word += 1
            i = word
            while i < len(starts) and starts[i] < offset[1]:
                inside = ends[i] > offset[0] and i not in told
                told.add(i)
                # A window may begin within a word: that is not where the word begins.
                earlier = begun[i]
                if inside and (earlier is None or offset[0] <= earlier):
                    margin = min(order, len(own) - 1 - order)
                    if margin > margins[i]:
                        best[i], margins[i], begun[i] = (row, position), margin, offset[0]
                i += 1
    return best
