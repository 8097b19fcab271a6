"""The length that follows the pool: the formula against its definition, and what limits it."""

from pathlib import Path

import numpy as np
import pytest

from dal_nlp.pretrained.text_length import length_for, number_of_tokens, reads_at_most
from tests import tiny


def by_definition(tokens: list[int], least: int, limit: int) -> int:
    """The smallest multiple of 32 that at least 95 of 100 texts do not exceed, within the two limits."""
    length = 32
    while sum(n <= length for n in tokens) < 0.95 * len(tokens):
        length += 32
    return min(limit, max(least, length))


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_least_multiple_of_32_that_95_percent_do_not_exceed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 700, size=int(rng.integers(1, 60))).tolist()
    assert length_for(tokens, 1, 10**6)[0] == by_definition(tokens, 1, 10**6)
    assert length_for(tokens, 128, 512)[0] == by_definition(tokens, 128, 512)


def test_the_sentence_says_when_the_model_is_what_cuts() -> None:
    assert "which is all that the model reads" in length_for([900] * 9, 128, 512)[1]
    assert length_for([400] * 9, 128, 512) == (
        416,
        "Texts are cut after 416 tokens: 95 % of the pool's have 400 or fewer (9 were looked at; --max-length sets "
        "another length).",
    )


def test_tokens_are_counted_uncut_with_the_marks_and_both_texts_of_a_pair() -> None:
    of = tiny.tokenizer()
    assert number_of_tokens(of, [["good film"], ["good", "a film"], ["film " * 90]]) == [4, 6, 92]


def test_what_a_model_reads_is_the_least_of_what_is_said(model_folder: str, tmp_path: Path) -> None:
    of = tiny.tokenizer()
    positions = tiny.classifier().config.max_position_embeddings
    of.model_max_length = 10**30  # as where a tokenizer says nothing
    assert reads_at_most(model_folder, of) == positions // 32 * 32
    of.model_max_length = 20
    assert reads_at_most(model_folder, of) == 20
