"""Long texts in windows: rows of tokens that an encoder can read, one after the other.

A text's rows lie behind each other in one list, and a column ``windows`` holds their lengths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from dal_nlp.core.config import Settings

#: Tokens of a window: what sentence encoders were mostly trained on at most.
WINDOW = 256
#: The column with the windows' lengths.
WINDOWS = "windows"


@dataclass(frozen=True)
class Window:
    """How a text is cut into windows.

    Attributes:
        size: Tokens of a window, with those that the tokenizer puts around it.
        prefix: What it puts before.
        suffix: What it puts behind.
    """

    size: int
    prefix: list[int]
    suffix: list[int]


def window_of(settings: Settings, tokenizer: Any) -> Window | None:
    """Return how a run cuts texts into windows, None where it cuts them off."""
    if settings.max_length != "auto":
        return None
    inner = tokenizer("a", add_special_tokens=False)["input_ids"]
    around = tokenizer("a")["input_ids"]
    before = next(i for i in range(len(around)) if around[i : i + len(inner)] == inner)
    return Window(window_size(tokenizer), around[:before], around[before + len(inner) :])


def window_size(tokenizer: Any) -> int:
    """Return the tokens of a window: ``WINDOW``, or what the tokenizer says its model reads where that is less."""
    return min(WINDOW, int(tokenizer.model_max_length))


def encode_windows(tokenizer: Any, texts: list[str]) -> dict[str, list[Any]]:
    """Return the tokenizer's columns of texts that are read whole, with ``WINDOWS``, ``length`` and ``rows``."""
    encoded = tokenizer(texts, truncation=True, max_length=window_size(tokenizer), return_overflowing_tokens=True)
    owners = encoded.pop("overflow_to_sample_mapping")
    names = [name for name in encoded if name != "attention_mask"]
    columns: dict[str, list[Any]] = {name: [[] for _ in texts] for name in [*names, WINDOWS]}
    for row, owner in enumerate(owners):
        for name in names:
            columns[name][owner].extend(encoded[name][row])
        columns[WINDOWS][owner].append(len(encoded["input_ids"][row]))
    lengths = columns[WINDOWS]
    return {**columns, "length": [max(sizes) for sizes in lengths], "rows": [len(sizes) for sizes in lengths]}


def rows_of(example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an encoded example, each with the columns that have a number for each token."""
    sizes = example.get(WINDOWS) or [len(example["input_ids"])]
    columns = [name for name, values in example.items() if isinstance(values, list) and len(values) == sum(sizes)]
    cuts = list(pairwise(accumulate(sizes, initial=0)))
    return [{name: example[name][start:end] for name in columns if name != WINDOWS} for start, end in cuts]
