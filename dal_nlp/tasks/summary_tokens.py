"""Documents and references as tokens, and what of them is cut."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from dal_nlp.core.batch import Feeding
from dal_nlp.core.targets import Target, decode
from dal_nlp.data.references import references
from dal_nlp.data.text_windows import WHOLE, cut_remarks, whole_lengths

if TYPE_CHECKING:
    from datasets import Dataset

_LATIN = re.compile("[a-zA-Z0-9]")
#: What to expect of a pair made from an encoder.
WEAK = (
    "The model is a pair made from an encoder, which has to learn to write from your labels alone: its texts are weak; "
    "use a model that was trained to write, such as --model google/flan-t5-small."
)


@dataclass(frozen=True)
class SummarizationOptions:
    """What ``task_options`` may hold.

    Attributes:
        prefix: Put before every document, as T5's "summarize: "; annotators do not see it.
        max_new_tokens: Most tokens of a written text, the end token among them; longer references are cut there.
        num_beams: Beams of the search; 1 is greedy.
        length_penalty: Exponent of the length by which a beam's log-probability is divided; nothing without beams.
        no_repeat_ngram_size: No run of so many tokens is written twice; 0 allows all.
        rouge: How words are told for ROUGE: "english" (its own way, with stems), or "words" of any script.
    """

    prefix: str = ""
    max_new_tokens: Annotated[int, Field(ge=2)] = 64
    num_beams: Annotated[int, Field(ge=1)] = 1
    length_penalty: float = 1.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    rouge: Literal["english", "words"] = "english"


DEFAULT_OPTIONS = SummarizationOptions()


def encode_documents(
    examples: Mapping[str, list[Any]], tokenizer: Any, max_length: int, options: SummarizationOptions
) -> dict[str, list[Any]]:
    """Tokenise documents; see ``Summarization.encode``."""
    texts = [options.prefix + text for text in examples["document"]]
    ids = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    lengths = [len(tokens) for tokens in ids]
    targets = [decode(text) for text in examples.get("target", [None] * len(texts))]
    return {
        "input_ids": ids,
        "length": lengths,
        "rows": [1] * len(ids),
        WHOLE: whole_lengths(tokenizer, texts, None, lengths, max_length),
        "long": [target is not None and _is_long(target, tokenizer, options.max_new_tokens) for target in targets],
        "foreign": [target is not None and not _LATIN.search(references(target)[0]) for target in targets],
    }


def _is_long(target: Target, tokenizer: Any, most: int) -> bool:
    ids = tokenizer(text_target=references(target)[0], add_special_tokens=False, verbose=False)["input_ids"]
    return len(ids) + 1 > most  # one for the end


def reference_tokens(target: Target, tokenizer: Any, start: int | None, end: int | None, most: int) -> list[int]:
    """Tokenise the first reference, without the start token, with an end token where the model has one.

    What is longer than can be written is cut; the end token stays, or nothing would teach the model to end.
    """
    ids: list[int] = tokenizer(text_target=references(target)[0], verbose=False)["input_ids"]
    ids = ids[1:] if ids[:1] == [start] else ids
    # Some put a language's token behind the end.
    ids = ids if end is None or end in ids[-2:] else [*ids, end]
    if len(ids) <= most:
        return ids
    return ids[:most] if end is None else [*ids[: most - 1], end]


def summary_remarks(
    data: Mapping[str, Dataset], tokenizer: Any, feeding: Feeding, options: SummarizationOptions
) -> list[str]:
    """Say how many documents and references are cut, and whether ROUGE can read them."""
    remarks = []
    for name, rows in data.items():
        remarks += cut_remarks({name: rows}, tokenizer, feeding, "documents")
        flags = rows.with_format("numpy", columns=["long", "foreign"])[:]
        long, foreign = (int(np.sum(flags[flag])) for flag in ("long", "foreign"))
        if long:
            remarks.append(
                f"{100 * long / len(rows):.1f} % of the references ({name}) are longer than "
                f"{options.max_new_tokens} tokens, which is all that is written and learnt: raise "
                "task_options.max_new_tokens."
            )
        if foreign and options.rouge == "english":
            remarks.append(
                f"{100 * foreign / len(rows):.1f} % of the references ({name}) have no word of Latin letters or "
                "digits, so that ROUGE's own way sees nothing in them: use --set task_options.rouge=words."
            )
    return remarks
