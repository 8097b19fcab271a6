"""The length of texts that suits a pool: where most of them end, as far as the model reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dal_nlp.core.batch import LIMITLESS
from dal_nlp.pretrained.loading import load_config
from dal_nlp.pretrained.reading import STEP, positions

#: Texts of a pool that are looked at, and the share of them that is read whole.
SAMPLE, SHARE = 1000, 0.95
#: Tokens that a model reads of which nothing says how many that are.
UNSAID = 512


def length_for(tokens: Sequence[int], least: int, limit: int) -> tuple[int, str]:
    """Return the tokens after which texts are cut, and a sentence that says why.

    It is the least multiple of ``STEP`` that ``SHARE`` of the texts do not exceed, no less than ``least`` and no more
    than ``limit``.

    Args:
        tokens: Of each of some texts, uncut.
        least: What the task cuts after at the earliest.
        limit: What the model reads.
    """
    most = int(np.quantile(tokens, SHARE, method="inverted_cdf"))
    length = min(limit, max(least, -(-most // STEP) * STEP))
    why = ", which is all that the model reads" if length == limit and most > limit else ""
    return length, (
        f"Texts are cut after {length} tokens{why}: {100 * SHARE:.0f} % of the pool's have {most:,} or fewer "
        f"({len(tokens):,} were looked at; --max-length sets another length)."
    )


def number_of_tokens(tokenizer: Any, texts: Sequence[Sequence[str]]) -> list[int]:
    """Return how many tokens each text, or pair of texts, has before anything is cut."""
    return [len(tokenizer(*parts[:2], verbose=False)["input_ids"]) for parts in texts]


def reads_at_most(source: str, tokenizer: Any) -> int:
    """Return the tokens that a model reads, by what its tokenizer and its configuration say, before it is loaded."""
    limits = [int(tokenizer.model_max_length)] if tokenizer.model_max_length < LIMITLESS else []
    count = positions(load_config(source))
    return min([*limits, *([count] if count else [])], default=UNSAID)
