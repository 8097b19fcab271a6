import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

import dal_nlp
from dal_nlp import RunConfig, Session
from dal_nlp.core.errors import BrokenModelError, Unsupported
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.models.loss_prediction import FILE
from dal_nlp.strategies import check_fit, make_strategy
from dal_nlp.strategies.learning_loss import LearningLoss
from dal_nlp.strategies.probes import predicted_loss
from tests import tiny
from tests.ledgers import copies_after_every_write
from tests.reference.loss_prediction import predict

TIMES = ("train_seconds", "eval_seconds", "pool_seconds", "choose_seconds", "encode_seconds", "load_seconds", "sum")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def run(folder: Path, model: str, out: str, **changes: Any) -> dal_nlp.Result:
    for name, rows in (("pool", tiny.sentences(40)), ("test", tiny.sentences(12, seed=1))):
        tiny.write(folder / f"{name}.jsonl", rows)
    values = {
        "task": "sentiment",
        "data": str(folder / "pool.jsonl"),
        "test": str(folder / "test.jsonl"),
        "model": model,
        "out": str(folder / out),
        "initial": 6,
        "query_size": 4,
        "rounds": 2,
        "strategy": "learning_loss",
        "training": {"mode": "full", "min_steps": 5, "epochs": 1, "learning_rate": 1e-3},
    }
    return Session(RunConfig.load(flags={**values, **changes})).run()


def timeless(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMES} for line in lines]


def test_scores_by_hand() -> None:
    pool = tiny.pool(12)
    hidden, scores = pool.collect(lambda forward: forward.hidden, predicted_loss)
    weights = {name: values.tolist() for name, values in tiny.loss_head().state_dict().items()}
    np.testing.assert_allclose(scores, [predict(weights, example) for example in hidden.tolist()], rtol=1e-4)


def test_the_largest_are_chosen_best_first() -> None:
    pool = tiny.pool(20)
    (scores,) = pool.collect(predicted_loss)
    selection = LearningLoss().select(pool, 5, rng())
    assert selection.positions.tolist() == np.argsort(-scores)[:5].tolist()
    np.testing.assert_array_equal(selection.scores, scores[selection.positions])


class Equal(AuxiliaryModels):
    """A head that predicts one number for everything."""

    def __init__(self, value: float) -> None:
        self.value = value

    def loss_head(self) -> torch.nn.Module:
        head = tiny.loss_head()
        torch.nn.init.zeros_(head.out.weight)
        torch.nn.init.constant_(head.out.bias, self.value)
        return head


@pytest.mark.parametrize("k", [1, 12])
def test_equal_scores_give_k_distinct_positions_in_no_fixed_order(k: int) -> None:
    pool = tiny.pool(12)
    pool._companions = Equal(0.5)
    chosen = [LearningLoss().select(pool, k, np.random.default_rng(seed)).positions.tolist() for seed in range(4)]
    assert all(len(set(positions)) == k for positions in chosen)
    assert len({tuple(positions) for positions in chosen}) > 1


def test_a_head_that_broke_is_an_error() -> None:
    pool = tiny.pool(8)
    pool._companions = Equal(float("nan"))
    with pytest.raises(BrokenModelError):
        LearningLoss().select(pool, 2, rng())


def test_it_can_be_sampled_by() -> None:
    strategy = make_strategy("stochastic:learning_loss", {"form": "softmax"})
    assert strategy.requires == {"predicted loss"}
    assert len(set(strategy.select(tiny.pool(12), 4, rng()).positions.tolist())) == 4


def test_it_is_refused_where_nothing_is_trained() -> None:
    with pytest.raises(Unsupported, match=r"needs predicted loss, which only the models that a run has trained"):
        check_fit("learning_loss", LearningLoss(), tiny.task().capabilities)
    with pytest.raises(Unsupported, match=r"'learning_loss' needs predicted loss.*dal_nlp\.select.*margin"):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), ["a film", "the plot"], 1, strategy="learning_loss")


def test_a_pool_without_a_head_says_so() -> None:
    pool = tiny.pool(8)
    pool._companions = AuxiliaryModels()
    with pytest.raises(Unsupported, match="Nothing has been trained to predict losses"):
        LearningLoss().select(pool, 2, rng())


def test_it_cannot_make_the_first_choice(tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dal_nlp.session.inputs.read_pool", None)  # refused before any file is read
    with pytest.raises(Unsupported, match="the first choice"):
        run(tmp_path, model_folder, "run", initial_strategy="learning_loss")


@pytest.mark.long
def test_a_whole_run(tmp_path: Path, model_folder: str) -> None:
    result = run(tmp_path, model_folder, "run")
    assert [point["labels"] for point in result.curve] == [6, 10, 14]
    state = read_state(result.folder)
    assert [query.strategy for query in state.queries] == ["kmeans", "learning_loss", "learning_loss"]
    assert result.model_dir is not None and (result.model_dir / FILE).is_file()
    AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    other = run(tmp_path, model_folder, "margin", strategy="margin")
    assert other.model_dir is not None and not (other.model_dir / FILE).is_file()
    # The model learns from the pairs too.
    assert [point["loss"] for point in result.curve] != [point["loss"] for point in other.curve]


@pytest.mark.long
def test_a_run_that_died_goes_on_with_the_same_head(
    tmp_path: Path, model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        run(tmp_path, model_folder, "run")
    want = timeless(tmp_path / "run")
    written = [place.name for kind in ("metrics", "label") for name, place in copies if name == kind]
    for name in (written[0], written[1], written[4]):  # after the metrics of rounds 0 and 1, and the labels of 1
        run(tmp_path, model_folder, name)
        assert timeless(tmp_path / name) == want, name
    more = run(tmp_path, model_folder, "run", rounds=3)  # model/ is what it goes on from
    straight = run(tmp_path, model_folder, "straight", rounds=3)
    assert [point["values"] for point in more.curve] == [point["values"] for point in straight.curve]
    assert more.labels == straight.labels


@pytest.mark.long
def test_a_run_that_began_with_another_strategy_fits_its_last_model_again_with_a_head(
    tmp_path: Path, model_folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(tmp_path, model_folder, "run", strategy="margin", rounds=1)
    assert first.model_dir is not None and not (first.model_dir / FILE).is_file()
    caplog.set_level(logging.INFO, "dal_nlp")
    result = run(tmp_path, model_folder, "run")
    assert [text for text in caplog.messages if "fitted again" in text] == [
        "The model of round 1 is not there any more: it is fitted again."
    ]
    assert [query.strategy for query in read_state(result.folder).queries] == ["kmeans", "margin", "learning_loss"]
    assert result.model_dir is not None and (result.model_dir / FILE).is_file()
