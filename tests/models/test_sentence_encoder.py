"""A sentence encoder in the model's place: what it gives, and that it computes each text once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dal_nlp.core.caches import InMemory, OnDisk
from dal_nlp.core.errors import UserError
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.models.sentence_encoder import SentenceEncoder
from dal_nlp.strategies import probes
from tests import tiny, tiny_summaries

TEXTS = ["the film was good", "a bad plot", "it"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.save_model(tmp_path_factory.mktemp("encoder"))


def test_it_gives_unit_means_of_the_last_states(folder: str) -> None:
    embedded = SentenceEncoder(folder, InMemory()).embed(TEXTS)
    model, tokenizer = tiny.classifier().bert.eval(), tiny.tokenizer()
    for text, row in zip(TEXTS, embedded, strict=True):
        with torch.inference_mode():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        assert torch.allclose(row, mean / mean.norm(), atol=1e-5)


def test_a_text_is_computed_once_and_by_one_process_for_all(folder: str, tmp_path: Path) -> None:
    path = tmp_path / "embeddings.sqlite"
    first = SentenceEncoder(folder, OnDisk(path))
    expected = first.embed([*TEXTS, TEXTS[0]])
    again = SentenceEncoder("nowhere", OnDisk(path))  # nothing is loaded where nothing is missing
    assert torch.equal(again.embed(TEXTS), expected[:3])
    assert torch.equal(expected[0], expected[3])
    with pytest.raises(UserError, match="nowhere cannot be loaded"):
        again.embed(["something new"])


def test_texts_are_cut_where_the_model_ends(folder: str) -> None:
    encoder = SentenceEncoder(folder, InMemory())
    long, cut = encoder.embed(["good " * 100, "good " * 62])  # 64 positions, two of them for [CLS] and [SEP]
    assert torch.allclose(long, cut, atol=1e-6)


def test_strategies_read_it_in_the_place_of_the_models_own(folder: str) -> None:
    class Beside(AuxiliaryModels):
        encoder = SentenceEncoder(folder, InMemory())

        def sentence_encoder(self) -> SentenceEncoder:
            return self.encoder

    pool = tiny_summaries.summary_pool(n=7)
    own = pool.collect(probes.embedding)[0]
    pool._companions, pool._measured = Beside(), {}
    (found,) = pool.collect(probes.embedding)
    expected = Beside.encoder.embed([str(row["document"]) for row in tiny_summaries.documents(7 + 6)[:7]])
    assert np.allclose(found, expected.numpy())
    assert found.shape == own.shape
    assert not np.allclose(found, own)
