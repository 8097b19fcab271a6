"""Long texts: in windows, rows of tokens that an encoder reads one after the other; or cut, and counted.

A text's rows lie behind each other in one list, and a column ``windows`` holds their lengths. Where texts are cut, a
column ``whole`` holds how many tokens each has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from dal_nlp.core.batch import LIMITLESS, Feeding
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import DataError, UserError

if TYPE_CHECKING:
    from datasets import Dataset

#: Tokens of a window: what sentence encoders were mostly trained on at most.
WINDOW = 256
#: The column with the windows' lengths, and that with the tokens of a text before it is cut.
WINDOWS, WHOLE = "windows", "whole"
#: Columns of an encoded text that the model is not given.
SIZES = frozenset({"length", "rows", WHOLE})


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
    # The last such place: a prompt may stand before the text, of the same word.
    before = next(i for i in reversed(range(len(around))) if around[i : i + len(inner)] == inner)
    return Window(window_size(tokenizer), around[:before], around[before + len(inner) :])


def number_of_tokens(settings: Settings, usual: int) -> int:
    """Return the tokens after which a text is cut; raises ``UserError`` for "auto", of tasks that have to cut.

    Args:
        settings: Of a run.
        usual: Where the task cuts as long as the pool has not decided it.
    """
    if settings.max_length == "auto":
        raise DataError(f"--max-length auto is nothing for the task {settings.task!r}: give a number of tokens.")
    return usual if settings.max_length == "pool" else settings.max_length


def longest_input(settings: Settings, tokenizer: Any) -> int:
    """Return the tokens that a model is given at once at most."""
    return settings.max_length if isinstance(settings.max_length, int) else window_size(tokenizer)


def window_size(tokenizer: Any) -> int:
    """Return the tokens of a window: ``WINDOW``, or what the tokenizer says its model reads where that is less."""
    return int(min(WINDOW, tokenizer.model_max_length))


def encode_windows(tokenizer: Any, texts: list[str]) -> dict[str, list[Any]]:
    """Return the tokenizer's columns of texts that are read whole, with ``WINDOWS``, ``length`` and ``rows``."""
    encoded = _windows(tokenizer, texts, window_size(tokenizer))
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


@cache
def check_windows() -> None:
    """Raise ``UserError`` where the installed tokenizers leave out a text's last window, as 0.23.1 and 0.23.2 do."""
    import tokenizers

    letters = "abcdefghijkl"
    if any(letters[n - 1] not in words_in_windows(letters[:n]) for n in range(1, len(letters) + 1)):
        raise UserError(
            f"tokenizers {tokenizers.__version__} leaves out the end of texts that are longer than a model reads at "
            "once: pip install 'tokenizers>=0.23.3'."
        )


def words_in_windows(letters: str) -> list[str]:
    """Return the words of all windows of six tokens, two of them around the text, of a text of one-letter words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    known = {word: number for number, word in enumerate(["[CLS]", "[SEP]", "[UNK]", *letters])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    around = [("[CLS]", 0), ("[SEP]", 1)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    tokenizer.enable_truncation(6)
    first = tokenizer.encode(" ".join(letters))
    return [word for window in (first, *first.overflowing) for word in window.tokens]


def _windows(tokenizer: Any, texts: list[str], size: int) -> Any:
    """Return the tokenizer's columns of all windows, and which text each is of, in "overflow_to_sample_mapping"."""
    if tokenizer.is_fast:
        check_windows()
        return tokenizer(texts, truncation=True, max_length=size, return_overflowing_tokens=True)
    # One that is written in Python gives what does not fit without the tokens around it.
    inner = size - tokenizer.num_special_tokens_to_add()
    columns: dict[str, list[Any]] = {"input_ids": [], "overflow_to_sample_mapping": []}
    for owner, text in enumerate(texts):
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        for start in range(0, max(1, len(ids)), inner):
            for name, values in tokenizer.prepare_for_model(ids[start : start + inner], verbose=False).items():
                columns.setdefault(name, []).append(values)
            columns["overflow_to_sample_mapping"].append(owner)
    return columns


def encode_cut(tokenizer: Any, texts: list[str], pairs: list[str] | None, most: int) -> dict[str, list[Any]]:
    """Return the tokenizer's columns of texts, or pairs, that are cut, with ``length``, ``rows`` and ``WHOLE``."""
    encoded = tokenizer(texts, pairs, truncation=True, max_length=most)
    encoded["input_ids"] = [ids or [token_of_nothing(tokenizer)] for ids in encoded["input_ids"]]
    features = {name: encoded[name] for name in encoded if name != "attention_mask"}
    lengths = [len(ids) for ids in encoded["input_ids"]]
    whole = whole_lengths(tokenizer, texts, pairs, lengths, most)
    return {**features, "length": lengths, "rows": [1] * len(lengths), WHOLE: whole}


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


def whole_lengths(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None, lengths: Sequence[int], most: int
) -> list[int]:
    """Return the tokens of texts before they are cut; only those that may have been cut are tokenized again.

    Args:
        tokenizer: That of the model.
        texts: Of a batch.
        pairs: The second text of each, None where there is none.
        lengths: Tokens of each after it was cut.
        most: Tokens after which a text is cut.
    """
    whole = list(lengths)
    full = [position for position, length in enumerate(lengths) if length >= most]
    if full:
        second = None if pairs is None else [pairs[position] for position in full]
        again = tokenizer([texts[position] for position in full], second, verbose=False)["input_ids"]
        for position, ids in zip(full, again, strict=True):
            whole[position] = max(whole[position], len(ids))
    return whole


def cut_remarks(data: Mapping[str, "Dataset"], tokenizer: Any, feeding: Feeding, texts: str = "texts") -> list[str]:
    """Return sentences on how many texts of each set are cut, and what would read them whole, or are read in windows.

    Args:
        data: Encoded sets by name.
        tokenizer: That of the model.
        feeding: What is known of how many tokens that reads, beside what the tokenizer says.
        texts: What people call them.
    """
    remarks, limit = [], int(min(tokenizer.model_max_length, feeding.limit or LIMITLESS))
    for name, rows in data.items():
        several = int((rows.with_format("numpy", columns=["rows"])[:]["rows"] > 1).sum())
        if several:
            most = window_size(tokenizer)
            remarks.append(f"{several:,} of {len(rows):,} {texts} ({name}) are read in windows of {most} tokens.")
        if WHOLE in rows.column_names:
            sizes = rows.with_format("numpy", columns=["length", WHOLE])[:]
            cut = sizes[WHOLE] > sizes["length"]
            if cut.any():
                most, longest = int(sizes["length"][cut].max()), int(sizes[WHOLE].max())
                remarks.append(
                    f"{int(cut.sum()):,} of {len(rows):,} {texts} ({name}) are longer than {most} tokens, the longest "
                    f"{longest:,}, and are cut: {_mend(most, longest, limit)}."
                )
    return remarks


def _mend(most: int, longest: int, limit: int) -> str:
    """Say what would cut fewer texts."""
    if limit >= LIMITLESS:
        return f"--max-length {longest} reads them whole, if the model reads as many"
    if longest <= limit:
        return f"--max-length {longest} reads them whole"
    return f"--max-length {limit} is the most that the model reads" if most < limit else "the model reads no more"
