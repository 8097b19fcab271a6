import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertForPreTraining

import dal_nlp
from dal_nlp import RunConfig, Session
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.masked_lm import has_masked_lm, load_masked_lm
from dal_nlp.strategies import check_fit
from dal_nlp.strategies.alps import Alps, surprisal, text_keys, token_losses
from tests import tiny
from tests.reference.alps import word_losses


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(texts: list[str], batch_size: int = 8, max_length: int = 128) -> Pool:
    of = tiny.task()
    of._max_length = max_length
    rows = [{"id": str(i), "text": text, "label": "positive"} for i, text in enumerate(texts)]
    parts = (tiny.classifier(), of, make_draws(DrawsConfig(), 0, 0), ScoringConfig(batch_size=batch_size))
    return Pool(tiny.encoded(rows, of), *parts, companions=tiny.Beside())


TEXTS = [row["text"] for row in tiny.sentences(20)]


@pytest.mark.long
@pytest.mark.parametrize("batch_size", [1, 8])
def test_losses_by_hand(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dal_nlp.models.auxiliary.VOCABULARY_TOKENS", 40)  # a batch takes several calls
    (losses,) = pool_of(TEXTS, batch_size).collect(token_losses)
    assert losses.shape == (20, 128) and losses.dtype == np.float32
    for text, row in zip(TEXTS, losses, strict=True):
        expected = word_losses(tiny.masked_lm(), tiny.tokenizer(), text)
        assert np.flatnonzero(row >= 0).tolist() == [place for place, _ in expected]
        np.testing.assert_allclose(row[row >= 0], [loss for _, loss in expected], rtol=1e-3, atol=1e-5)
        assert set(row[row < 0].tolist()) == {-1.0}


def test_an_unknown_word_is_a_word() -> None:
    (losses,) = pool_of(["the zebra was good"]).collect(token_losses)
    assert np.flatnonzero(losses[0] >= 0).tolist() == [1, 2, 3, 4]


def test_long_texts_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dal_nlp.strategies.alps.LENGTH", 6)
    (losses,) = pool_of(["the film was very good and bright and warm", "a film"]).collect(token_losses)
    assert losses.shape == (2, 6)
    assert (losses >= 0).sum(1).tolist() == [5, 2]


@pytest.mark.parametrize(("words", "kept"), [(1, 1), (3, 1), (10, 2), (17, 3), (20, 3), (40, 6)])
def test_fifteen_per_cent_of_the_words_count(words: int, kept: int) -> None:
    losses = np.full((50, 128), -1, dtype=np.float32)
    losses[:, 1 : words + 1] = np.arange(1, words + 1)
    vectors = surprisal(losses, np.arange(50), 0.15, 0)
    assert ((vectors > 0).sum(1) == kept).all()
    assert (vectors[vectors > 0] == losses[vectors > 0]).all()
    if words > 1:  # each word has its turn
        assert len(set(np.argmax(vectors, axis=1).tolist())) > 1


def test_a_text_without_words_has_no_surprisal() -> None:
    losses = np.full((1, 128), -1, dtype=np.float32)
    assert not surprisal(losses, np.zeros(1, dtype=np.int64), 0.15, 0).any()


def test_what_counts_follows_from_the_text_and_the_seed_alone() -> None:
    def vectors(texts: list[str], batch_size: int, seed: int = 0) -> np.ndarray:
        losses, keys = pool_of(texts, batch_size).collect(token_losses, text_keys)
        return surprisal(losses, keys, 0.15, seed)

    whole, single = vectors(TEXTS, 20), vectors(TEXTS, 1)
    np.testing.assert_array_equal(whole > 0, single > 0)
    np.testing.assert_allclose(whole, single, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(whole[::-1], vectors(TEXTS[::-1], 8), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(whole[5:9], vectors(TEXTS[5:9], 8), rtol=1e-3, atol=1e-5)
    assert ((whole > 0) != (vectors(TEXTS, 20, seed=1) > 0)).any()


@pytest.mark.parametrize("k", [1, 7, 20])
def test_k_distinct_positions_and_sizes_of_clusters(k: int) -> None:
    selection = Alps().select(pool_of(TEXTS), k, rng())
    assert len(set(selection.positions.tolist())) == k
    assert selection.scores.sum() == 20 and (np.diff(selection.scores) <= 0).all()


def test_groups_of_alike_texts_give_one_pick_each() -> None:
    """Words in one place each make three directions; the share of 1 leaves no chance in them."""
    texts = ["good"] * 9 + ["good good good bad"] * 6 + ["bad sad cold dark poor awful"] * 3
    selection = Alps(share=1.0).select(pool_of(texts), 3, rng())
    assert selection.scores.tolist() == [9, 6, 3]
    assert [texts.index(texts[position]) for position in selection.positions] == [0, 9, 15]


def test_the_models_rounding_does_not_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few words of many count, so that most texts are equally far apart."""
    losses = np.full((60, 128), -1, dtype=np.float32)
    losses[:, :30] = np.random.default_rng(0).uniform(1, 9, (60, 30))

    def chosen(losses: np.ndarray, seed: int) -> list[int]:
        pool = tiny.pool(60)
        monkeypatch.setattr(pool, "collect", lambda *_: (losses, np.arange(60)))
        return Alps(share=0.05).select(pool, 4, rng(seed)).positions.tolist()

    for seed in range(10):
        noise = 1 + np.random.default_rng(seed).normal(0, 1e-7, losses.shape).astype(np.float32)
        assert chosen(losses, seed) == chosen(np.where(losses > 0, losses * noise, -1).astype(np.float32), seed)


def test_duplicates_are_filled_up() -> None:
    selection = Alps().select(pool_of(["the film was good"] * 10), 4, rng())
    assert len(set(selection.positions.tolist())) == 4


def test_the_classifier_is_not_run() -> None:
    pool = tiny.pool(8)

    def refuse(*_: object) -> None:
        raise AssertionError

    pool._model.register_forward_pre_hook(refuse)
    Alps().select(pool, 2, rng())


class Broken(AuxiliaryModels):
    def masked_lm(self) -> torch.nn.Module:
        model = tiny.masked_lm()
        torch.nn.init.constant_(model.cls.predictions.bias, torch.nan)
        return model


def test_a_broken_language_model_is_an_error() -> None:
    pool = tiny.pool(8)
    pool._companions = Broken()
    with pytest.raises(BrokenModelError):
        Alps().select(pool, 2, rng())


def test_which_checkpoints_have_the_head(tmp_path: Path, model_folder: str) -> None:
    assert has_masked_lm(tiny.save_masked_lm(tmp_path / "lm"))
    assert not has_masked_lm(model_folder)
    tiny.classifier().save_pretrained(tmp_path / "classifier")
    assert not has_masked_lm(str(tmp_path / "classifier"))
    BertForPreTraining(tiny.config()).save_pretrained(tmp_path / "both")
    assert has_masked_lm(str(tmp_path / "both"))
    model, words = load_masked_lm(str(tmp_path / "both")), tiny.tokenizer()("good film", return_tensors="pt")
    assert model(**words).logits.shape == (1, 4, tiny.config().vocab_size) and not model.training


def test_the_saved_head_is_the_one_that_is_read(tmp_path: Path) -> None:
    model = load_masked_lm(tiny.save_masked_lm(tmp_path))
    words = tiny.tokenizer()("good film", return_tensors="pt")
    assert torch.equal(model(**words).logits, tiny.masked_lm()(**words).logits)


def test_a_configuration_that_promises_too_much_is_found_out(model_folder: str) -> None:
    file = Path(model_folder) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architectures": ["BertForMaskedLM"]}))
    assert has_masked_lm(model_folder)
    with pytest.raises(Unsupported, match="without the weights of a masked-LM head"):
        load_masked_lm(model_folder)


def test_it_is_refused_where_there_is_no_language_model() -> None:
    with pytest.raises(Unsupported, match=r"'alps' needs masked language model, which this model has no head for"):
        check_fit("alps", Alps(), tiny.task().capabilities)
    with pytest.raises(Unsupported, match=r"'alps' needs masked language model.*dal_nlp\.select.*kmeans"):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), ["a film", "the plot"], 1, strategy="alps")
    pool = tiny.pool(8)
    pool._companions = AuxiliaryModels()
    with pytest.raises(Unsupported, match="no masked language model here"):
        Alps().select(pool, 2, rng())


def settings(folder: Path, model: str, **changes: Any) -> RunConfig:
    for name, rows in (("pool", tiny.sentences(40)), ("test", tiny.sentences(12, seed=1))):
        tiny.write(folder / f"{name}.jsonl", rows)
    values = {
        "task": "sentiment",
        "data": str(folder / "pool.jsonl"),
        "test": str(folder / "test.jsonl"),
        "model": model,
        "out": str(folder / "run"),
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "initial_strategy": "alps",
        "training": {"mode": "full", "min_steps": 3, "epochs": 1, "learning_rate": 1e-3},
    }
    return RunConfig.load(flags={**values, **changes})


def test_a_whole_run(tmp_path: Path) -> None:
    model = tiny.save_masked_lm(tmp_path / "lm")
    result = Session(settings(tmp_path, model)).run()
    assert [point["labels"] for point in result.curve] == [6, 10]
    assert [query.strategy for query in read_state(result.folder).queries] == ["alps", "margin"]


@pytest.mark.long
def test_every_round_reads_the_pretrained_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[str] = []

    def recording(source: str) -> torch.nn.Module:
        sources.append(source)
        return load_masked_lm(source)

    monkeypatch.setattr("dal_nlp.learners.learner.load_masked_lm", recording)
    model = tiny.save_masked_lm(tmp_path / "lm")
    result = Session(settings(tmp_path, model, strategy="alps", rounds=2)).run()
    assert len(result.labels) == 14
    assert sources == [model] * 3  # once a round: it makes room while a model is trained


@pytest.mark.parametrize("place", ["strategy", "initial_strategy"])
def test_a_run_on_a_sentence_encoder_is_refused_before_anything_is_read(
    place: str, tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(tmp_path, model_folder, **{"initial_strategy": "kmeans", place: "alps"})
    monkeypatch.setattr("dal_nlp.session.inputs.read_pool", None)
    monkeypatch.setattr("dal_nlp.tasks.classification.Classification.load", None)
    with pytest.raises(Unsupported, match=r"'alps' needs masked language model.*sentence encoders have none"):
        Session(config).run()
