"""What ``select`` takes as examples: streams, rows, columns of a table; what it cuts, and what is no text."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from datasets import IterableDataset

import dal_nlp
from dal_nlp import UserError
from dal_nlp.workflows.select import _hold
from tests import tiny

TEXTS = [row["text"] for row in tiny.sentences(30)]


def streamed(texts: list[str]) -> Iterator[str]:
    yield from texts


def test_a_short_stream_is_chosen_from_as_a_list_is() -> None:
    model, tokenizer = tiny.classifier(), tiny.tokenizer()
    of_list = dal_nlp.select(model, tokenizer, TEXTS, k=4, strategy="entropy")
    of_stream = dal_nlp.select(model, tokenizer, streamed(TEXTS), k=4, strategy="entropy")
    assert of_stream.positions.tolist() == of_list.positions.tolist()
    assert of_stream.examples == of_list.examples == tuple(TEXTS[i] for i in of_list.positions)


def test_of_a_long_stream_so_many_are_held_and_positions_are_the_streams() -> None:
    model, tokenizer = tiny.classifier(), tiny.tokenizer()
    picked = dal_nlp.select(model, tokenizer, streamed(TEXTS), k=5, strategy="random", candidates=8, seed=2)
    assert len(set(picked.positions.tolist())) == 5
    assert picked.examples == tuple(TEXTS[i] for i in picked.positions)
    more = dal_nlp.select(model, tokenizer, streamed(TEXTS), k=9, candidates=2)  # as many as are wanted, at least
    assert len(more.positions) == 9


def test_every_example_of_a_stream_is_as_likely_as_any_other() -> None:
    held = [_hold(iter(range(12)), 4, np.random.default_rng(seed))[1] for seed in range(3000)]
    assert all(len(set(some)) == 4 and list(some) == sorted(some) for some in held)
    np.testing.assert_allclose(np.bincount(np.concatenate(held), minlength=12) / 3000, 4 / 12, atol=0.04)


def test_an_iterable_dataset_gives_rows_with_the_columns_of_a_file() -> None:
    rows = IterableDataset.from_generator(lambda: ({"text": text} for text in TEXTS))
    picked = dal_nlp.select(tiny.classifier(), tiny.tokenizer(), rows, k=3, strategy="margin")
    assert (
        picked.positions.tolist() == dal_nlp.select(tiny.classifier(), tiny.tokenizer(), TEXTS, k=3).positions.tolist()
    )
    with pytest.raises(UserError, match="no 'text'"):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), [{"sentence": "a film"}], k=1)


def test_it_takes_what_training_scripts_have() -> None:
    """Whole numbers of numpy and torch, class numbers as labels, the older spelling, and a column of a table."""
    model, tokenizer = tiny.classifier(), tiny.tokenizer()
    pairs = [(TEXTS[0], torch.tensor(0)), (TEXTS[1], np.int64(1))]
    by_number = dal_nlp.select(model, tokenizer, TEXTS, np.int64(3), strategy="cal", labeled=pairs)
    names = list(model.config.id2label.values())
    named = [(TEXTS[0], names[0]), (TEXTS[1], names[1])]
    by_name = dal_nlp.select(model, tokenizer, pandas.Series(TEXTS), 3, strategy="cal", labeled=named)
    assert by_number.positions.tolist() == by_name.positions.tolist()
    by_the_old_name = dal_nlp.select(model, tokenizer, TEXTS, 3, strategy="cal", labelled=named)
    assert by_the_old_name.positions.tolist() == by_name.positions.tolist()
    with pytest.raises(UserError, match="one argument"):
        dal_nlp.select(model, tokenizer, TEXTS, 3, labeled=named, labelled=named)


@pytest.mark.parametrize(
    ("examples", "sentence"),
    [
        ([*TEXTS, None], "Example 30: None is neither"),
        ([TEXTS[0], float("nan")], "Example 1: nan is neither"),
        ([3, *TEXTS], "Example 0: 3 is neither"),
        ([*TEXTS, "half of \ud83d"], "Example 30 holds a letter that UTF-8 does not have"),
        ("a film", "The examples are one text"),
        (pandas.DataFrame({"review": TEXTS}), r"frame\['review'\]"),
        (set(TEXTS), "The examples are a set, which has no positions"),
        (None, "The examples are a NoneType, which"),
        (Path("pool.txt"), "The examples are a PosixPath, which"),
    ],
)
def test_what_is_no_text_is_named(examples: object, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), examples, 1)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="k must be a whole number"):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), TEXTS, 1.5)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="k must be a whole number"):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), TEXTS, True)
    with pytest.raises(UserError, match="The tokenizer is None: give that of the model"):
        dal_nlp.select(tiny.classifier(), None, TEXTS, 1)
    with pytest.raises(UserError, match="The model is NoneType, and no model of transformers"):
        dal_nlp.select(None, tiny.tokenizer(), TEXTS, 1)  # type: ignore[arg-type]


def test_a_tokenizer_may_say_that_its_model_has_no_longest_text() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.model_max_length = float("inf")  # Infinity in its JSON
    picked = dal_nlp.select(tiny.classifier(), tokenizer, ["the film was a good film", "good"], 1, max_length=4)
    assert "and are cut" in picked.notes[0]


def test_what_it_says_of_texts_that_are_cut_is_said_of_its_own_argument() -> None:
    picked = dal_nlp.select(tiny.classifier(), tiny.tokenizer(), ["the film was a good film", "good"], 1, max_length=4)
    assert picked.notes == (
        "1 of 2 texts (examples) are longer than 4 tokens, the longest 8, and are cut: max_length=8 reads them whole.",
    )


def test_special_tokens_in_texts_are_text() -> None:
    plain, tokenizer = tiny.classifier(), tiny.tokenizer()
    picked = dal_nlp.select(plain, tokenizer, ["the [SEP] film", "the film was good"], 2, strategy="entropy")
    split = tiny.tokenizer()
    split.split_special_tokens = True
    entropies = []
    for text in ("the [SEP] film", "the film was good"):
        logits = plain(**split(text, return_tensors="pt")).logits
        entropies.append(torch.distributions.Categorical(logits=logits).entropy().item())
    np.testing.assert_allclose(np.sort(picked.scores), np.sort(entropies), rtol=1e-4)
    assert not tokenizer.split_special_tokens


@pytest.mark.parametrize("broken", [None, float("nan"), 7])
def test_an_example_that_is_none_is_named_by_its_position(broken: object) -> None:
    with pytest.raises(UserError, match="Example 2: "):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), [*TEXTS[:2], broken], k=1)


def test_keys_of_a_mapping_have_an_order() -> None:
    model, tokenizer, names = tiny.classifier(), tiny.tokenizer(), dict.fromkeys(TEXTS)
    of_list = dal_nlp.select(model, tokenizer, list(names), 3, strategy="entropy")
    of_keys = dal_nlp.select(model, tokenizer, names.keys(), 3, strategy="entropy")
    assert of_keys.positions.tolist() == of_list.positions.tolist()
