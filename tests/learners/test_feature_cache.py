"""What a frozen encoder makes of texts: the numbers of a whole model, computed once, whoever asks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from dal_nlp.core.caches import Cache, InMemory, OnDisk
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.progress import Silent
from dal_nlp.learners import feature_cache as features
from dal_nlp.learners.feature_cache import Features, hidden, open_cache
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.loading import weights_key
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks.classification import Classification
from tests import tiny

COLUMNS = ["input_ids"]


def task_of() -> Classification:
    return Classification(labels=["negative", "positive"], tokenizer=tiny.tokenizer())


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was loaded as an encoder."""
    sources: list[str] = []
    load = features.load_encoder

    def counting(source: str, *of: Any) -> nn.Module:
        sources.append(source)
        return load(source, *of)

    monkeypatch.setattr(features, "load_encoder", counting)
    return sources


def features_of(task: Classification, model: str, cache: Cache, folder: Path) -> Features:
    return Features(task, model, cache, folder / "scratch", ScoringConfig(batch_size=8), Silent(), 24)


def test_they_are_the_pooled_states_of_the_whole_model(model_folder: str, tmp_path: Path) -> None:
    task = task_of()
    first, second = (tiny.encoded(tiny.sentences(n, seed), task) for n, seed in ((30, 0), (12, 1)))
    made = features_of(task, model_folder, InMemory(), tmp_path)
    assert [made.add(first, COLUMNS), made.add(second, COLUMNS), len(made)] == [0, 30, 42]
    made.require(np.arange(42))
    draws = make_draws(DrawsConfig(), 0, 0)
    for start, tokens in ((0, first), (30, second)):
        (want,) = Pool(tokens, task.load(model_folder), task, draws, ScoringConfig(batch_size=5)).collect(hidden)
        assert np.allclose(made.rows(np.arange(start, start + len(tokens))), want, atol=2e-3)  # half precision
    assert made.width == 16


def test_only_what_is_required_is_computed(model_folder: str, tmp_path: Path, loaded: list[str]) -> None:
    task, cache = task_of(), InMemory()
    made = features_of(task, model_folder, cache, tmp_path)
    made.add(tiny.encoded(tiny.sentences(30), task), COLUMNS)
    made.require(np.array([4, 2, 4]))
    assert len(cache._values) == 2
    made.require(np.array([2, 4]))
    assert len(loaded) == 1


def test_runs_share_the_cache_and_the_encoder_runs_once(model_folder: str, tmp_path: Path, loaded: list[str]) -> None:
    config = RunConfig(task="sentiment", data="x", cache=str(tmp_path / "shared"))
    values = []
    for run in range(2):
        task = task_of()
        made = features_of(task, model_folder, open_cache(config, model_folder, task), tmp_path / str(run))
        made.add(tiny.encoded(tiny.sentences(20), task), COLUMNS)
        made.require(np.arange(20))
        values.append(made.rows(np.arange(20)))
        assert len(loaded) == 1
    assert np.array_equal(values[0], values[1])


def test_texts_that_are_cut_elsewhere_are_others(model_folder: str, tmp_path: Path) -> None:
    cache = InMemory()
    for length, there in ((64, 20), (6, 40)):
        task = Classification(labels=["negative", "positive"], max_length=length, tokenizer=tiny.tokenizer())
        made = features_of(task, model_folder, cache, tmp_path)
        made.add(tiny.encoded(tiny.sentences(20), task), COLUMNS)
        made.require(np.arange(20))
        assert len(cache._values) == there


def test_a_crash_costs_one_part(model_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PART", 8)
    encode, lengths = Features._encode, []

    def failing(self: Features, encoder: nn.Module, tokens: object, rows: np.ndarray) -> np.ndarray:
        lengths.append(len(rows))
        if len(lengths) == 3:
            raise KeyboardInterrupt
        return encode(self, encoder, tokens, rows)

    monkeypatch.setattr(Features, "_encode", failing)
    task = task_of()
    tokens = tiny.encoded(tiny.sentences(30), task)
    for _ in range(2):
        made = features_of(task, model_folder, OnDisk(tmp_path / "cache.sqlite"), tmp_path)
        made.add(tokens, COLUMNS)
        try:
            made.require(np.arange(30))
        except KeyboardInterrupt:
            assert len(lengths) == 3
    assert lengths == [8, 8, 8, 8, 6]


def test_other_weights_are_another_cache(model_folder: str, tmp_path: Path) -> None:
    other = tiny.save_model(tmp_path / "other", labels=3)
    assert weights_key(model_folder) == weights_key(model_folder) != weights_key(other)


def test_alike_texts_are_computed_once(model_folder: str, tmp_path: Path) -> None:
    task, cache = task_of(), InMemory()
    rows = tiny.sentences(5)
    made = features_of(task, model_folder, cache, tmp_path)
    made.add(tiny.encoded([*rows, *rows], task), COLUMNS)
    made.require(np.arange(10))
    assert len(cache._values) == 5
    assert np.array_equal(made.rows(np.arange(5)), made.rows(np.arange(5, 10)))
