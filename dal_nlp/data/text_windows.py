"""Long texts in windows: rows of tokens that an encoder can read, one after the other.

A text's rows lie behind each other in one list, and a column ``windows`` holds their lengths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

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


def number_of_tokens(settings: Settings) -> int:
    """Return the tokens after which a text is cut; raises ``UserError`` for "auto", of tasks that have to cut."""
    if settings.max_length == "auto":
        raise DataError(f"--max-length auto is nothing for the task {settings.task!r}: give a number of tokens.")
    return settings.max_length


def longest_input(settings: Settings, tokenizer: Any) -> int:
    """Return the tokens that a model is given at once at most."""
    return settings.max_length if isinstance(settings.max_length, int) else window_size(tokenizer)


def window_size(tokenizer: Any) -> int:
    """Return the tokens of a window: ``WINDOW``, or what the tokenizer says its model reads where that is less."""
    return min(WINDOW, int(tokenizer.model_max_length))


def encode_windows(tokenizer: Any, texts: list[str]) -> dict[str, list[Any]]:
    """Return the tokenizer's columns of texts that are read whole, with ``WINDOWS``, ``length`` and ``rows``."""
    encoded = tokenizer(texts, truncation=True, max_length=window_size(tokenizer), return_overflowing_tokens=True)
    encoded["input_ids"] = [ids or [token_of_nothing(tokenizer)] for ids in encoded["input_ids"]]
    owners = encoded.pop("overflow_to_sample_mapping")
    names = [name for name in encoded if name != "attention_mask"]
    columns: dict[str, list[Any]] = {name: [[] for _ in texts] for name in [*names, WINDOWS]}
    for row, owner in enumerate(owners):
        for name in names:
            columns[name][owner].extend(encoded[name][row])
        columns[WINDOWS][owner].append(len(encoded["input_ids"][row]))
    lengths = columns[WINDOWS]
    return {**columns, "length": [max(sizes) for sizes in lengths], "rows": [len(sizes) for sizes in lengths]}


def token_of_nothing(tokenizer: Any) -> int:
    """Return the token of a text of which the tokenizer makes none."""
    known = (tokenizer.unk_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    return next(int(token) for token in known if token is not None)


def rows_of(example: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of an encoded example, each with the columns that have a number for each token."""
    sizes = example.get(WINDOWS) or [len(example["input_ids"])]
    columns = [name for name, values in example.items() if isinstance(values, list) and len(values) == sum(sizes)]
    cuts = list(pairwise(accumulate(sizes, initial=0)))
    return [{name: example[name][start:end] for name in columns if name != WINDOWS} for start, end in cuts]


def cut_remarks(data: Mapping[str, "Dataset"], max_length: int | str, tokenizer: Any) -> list[str]:
    """Return sentences on how many texts of each set are cut, or are read in windows."""
    found = []
    for name, rows in data.items():
        sizes = rows.with_format("numpy", columns=["length", "rows"])[:]
        several = int((sizes["rows"] > 1).sum())
        if several:
            most = window_size(tokenizer)
            found.append(f"{several:,} of {len(rows):,} texts ({name}) are read in windows of {most} tokens.")
        cut = int((sizes["length"] >= max_length).sum()) if isinstance(max_length, int) else 0
        if cut:
            found.append(
                f"{cut:,} of {len(rows):,} texts ({name}) are cut after {max_length} tokens: raise max_length as far "
                "as the model and the time allow."
            )
    return found
