"""How a model is fed: measured with a long and a short text, whatever family it is of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import torch_seeded
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, make_batches
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.pretrained.reading import most
from dal_nlp.strategies import probes
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.qa import ExtractiveQA, QAOptions
from dal_nlp.tasks.summarization import Summarization, SummarizationOptions
from tests import tiny
from tests.models import families


def loaded(family: str, folder: Path, length: int = 40) -> tuple[Classification, Any]:
    source = families.save(family, "classification", folder / family)
    task = Classification(labels=["negative", "positive"], max_length=length)
    task.tokenizer = load_tokenizer(source)
    with torch_seeded(0):
        return task, task.load(source)


@pytest.mark.parametrize(
    ("family", "padding"),
    [("bert", "right"), ("llama", "right"), ("xlnet", "left"), ("fnet", "equal"), ("eurobert", "right")],
)
def test_the_padding_that_changes_nothing_is_found_and_kept(family: str, padding: str, tmp_path: Path) -> None:
    task, model = loaded(family, tmp_path)
    assert task.feeding.padding == padding == model.config.dal_nlp_padding
    assert task.tokenizer.padding_side == ("left" if padding == "left" else "right")
    data = tiny.encoded(tiny.sentences(12), task)
    draws = make_draws(DrawsConfig(), 0, 0)
    together, alone = (
        Pool(data, model, task, draws, ScoringConfig(batch_size=size)).collect(probes.entropy)[0] for size in (16, 1)
    )
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("family", ["big_bird", "reformer"])
def test_a_model_that_reads_otherwise_after_another_text_is_refused(family: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="answers a text differently"):
        loaded(family, tmp_path)


def test_a_window_cannot_do_without_padding(tmp_path: Path) -> None:
    source = families.save("fnet", "qa", tmp_path)
    task = ExtractiveQA(QAOptions(doc_stride=6, longest_answer=4), max_length=40, tokenizer=load_tokenizer(source))
    with pytest.raises(UserError, match="depends on the padding beside it"), torch_seeded(0):
        task.load(source)


@pytest.mark.parametrize(
    ("family", "longest"),
    [("bert", 80), ("roberta", 79), ("gpt2", 80), ("t5", 100), ("bart", 80), ("deberta", 80), ("deberta-v2", 100)],
)
def test_the_longest_text_is_measured(family: str, longest: int, tmp_path: Path) -> None:
    """RoBERTa begins to count behind the padding token's number, T5 has no limit."""
    task, _ = loaded(family, tmp_path, length=100)
    assert task.feeding.longest == longest
    task.feeding.check(longest)
    if longest < 100:
        with pytest.raises(UserError, match=f"--set max_length={longest} "):
            task.feeding.check(longest + 1)


def test_an_encoder_and_its_decoder_have_limits_of_their_own(tmp_path: Path) -> None:
    """LED's encoder reads what its own number of positions says, whatever the decoder's is."""
    source = families.save("led", "summarization", tmp_path)
    configured = json.loads((tmp_path / "config.json").read_text())
    assert configured["max_encoder_position_embeddings"] == configured["max_decoder_position_embeddings"] == 80
    for length, written, sentence in ((100, 6, "above the 80 tokens"), (40, 90, "the 80 positions of the decoder")):
        task = Summarization(SummarizationOptions(max_new_tokens=written), max_length=length)
        task.tokenizer = load_tokenizer(source)
        with pytest.raises(UserError, match=sentence), torch_seeded(0):
            task.load(source)


def test_what_fits_is_found_by_halving() -> None:
    for limit in (1, 2, 7, 63, 64, 99, 100):
        assert most(lambda n, limit=limit: n <= limit, 100) == limit


def test_batches_of_equal_length() -> None:
    lengths, rows = np.array([3, 5, 3, 5, 4]), np.ones(5, dtype=int)
    batches = make_batches(lengths, rows, ScoringConfig(batch_size=4), equal=True)
    assert [sorted(batch.tolist()) for batch in batches] == [[1, 3], [4], [0, 2]]


def test_token_types_that_a_model_has_none_of_are_left_out(tmp_path: Path) -> None:
    """RoBERTa has one type, and a tokenizer of BERT's kind tells two apart."""
    source = families.save("roberta", "qa", tmp_path)
    families.tokenizer("bert").save_pretrained(source)
    task = ExtractiveQA(QAOptions(doc_stride=6, longest_answer=4), max_length=40, tokenizer=load_tokenizer(source))
    with torch_seeded(0):
        task.load(source)
    assert "token_type_ids" not in task.tokenizer.model_input_names


def test_a_model_that_fails_on_short_texts_alone_is_refused(tmp_path: Path) -> None:
    source = families.save("bert", "classification", tmp_path / "bert")
    file = Path(source, "config.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "chunk_size_feed_forward": 4}))  # lengths of 4 n only
    task = Classification(labels=["negative", "positive"], max_length=40)
    task.tokenizer = load_tokenizer(source)
    with pytest.raises(UserError, match="cannot read plain texts"):
        task.load(source)
