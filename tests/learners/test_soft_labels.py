"""Texts of the pool beside labels: what becomes of them in the loss, who outweighs whom, for how many steps."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from dal_nlp.core.config import Settings, TrainingConfig
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.learners.soft_labels import LABEL_WEIGHT, NO_TEXTS, PASSES, SoftLabels
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import SHARES, fit, make_accelerator, number_of_steps
from tests import tiny

TASK = tiny.task()
TEXT = "a good film"


def encoded(*labels: str | None) -> Dataset:
    """The same text with several targets."""
    rows = [{"id": str(at), "text": TEXT, "label": label or "negative"} for at, label in enumerate(labels)]
    return tiny.encoded(rows, TASK)


def probability(examples: Dataset, weights: np.ndarray, steps: int = 40) -> float:
    """What a model that was trained on examples of one text gives its second label."""
    model, recipe = tiny.classifier(dropout=0.0), TrainingConfig(min_steps=steps, epochs=1, learning_rate=3e-3)
    fit(model, TASK, examples, weights, recipe, make_accelerator("no"), rng_for(0, 0, "fit"), Silent())
    with torch.inference_mode():
        logits = model.eval()(**TASK.collate(fetch(examples, [0])).inputs).logits
    return float(logits.softmax(-1)[0, 1])


def taught(label: str, share: float, weight: float | None = None) -> float:
    """The same for a label of people and the text once more, to whose second label a layer gives a share."""
    soft = SoftLabels(np.array([1]), np.array([[1 - share, share]]))
    examples, weights = soft.beside(encoded(label), np.ones(1), TASK.labels, encoded(None, None))
    return probability(examples, weights if weight is None else np.array([weights[0], weight]))


@pytest.mark.long
def test_what_is_learnt_is_the_mean_of_both_by_their_weights() -> None:
    first, second = TASK.labels
    assert taught(second, 0.1) == pytest.approx((LABEL_WEIGHT * 1 + 0.9 * 0.1) / (LABEL_WEIGHT + 0.9), abs=0.02)
    assert taught(first, 0.8) == pytest.approx(0.8 * 0.8 / (LABEL_WEIGHT + 0.8), abs=0.02)


@pytest.mark.long
def test_a_label_outweighs_a_contrary_text_and_a_text_counts() -> None:
    first, second = TASK.labels
    assert taught(second, 0.0) > 0.6 and taught(first, 1.0) < 0.4
    assert taught(second, 0.0, weight=0.0) > taught(second, 0.0) + 0.2


def test_texts_stand_behind_the_labels_without_what_is_known_of_them() -> None:
    soft = SoftLabels(np.array([2, 0]), np.array([[0.75, 0.25], [0.5, 0.5]]))
    pool = encoded("positive", "positive", "positive")
    examples, weights = soft.beside(encoded("positive"), np.array([1.5]), TASK.labels, pool)
    rows = fetch(examples, range(3))
    assert [row["id"] for row in rows] == ["0", "2", "0"]
    assert [row["target"] for row in rows] == ["positive", None, None]
    assert [row[SHARES] for row in rows] == [[0.0, 1.0], [0.75, 0.25], [0.5, 0.5]]
    assert weights.tolist() == [LABEL_WEIGHT * 1.5, 0.75, 0.5]
    assert len(soft) == 2 and not len(NO_TEXTS)


def test_probabilities_of_one_label_are_the_label_to_the_loss() -> None:
    examples = tiny.encoded(tiny.sentences(8), TASK)
    told = [[float(label == row["target"]) for label in TASK.labels] for row in fetch(examples, range(8))]
    weights = np.linspace(0.5, 1.5, 8)
    plain = probability(examples, weights, steps=5)
    assert probability(examples.add_column(SHARES, told), weights, steps=5) == pytest.approx(plain, abs=1e-5)  # type: ignore[call-arg]


def test_steps_are_those_of_the_labels_alone_but_some_passes_at_least() -> None:
    config = Settings(task="sentiment", training={"epochs": 10, "min_steps": 1, "batch_size": 10})
    soft = SoftLabels(np.arange(300), np.full((300, 2), 0.5))
    for labels in (40, 100, 1000):
        steps = number_of_steps(labels + 300, soft.recipe(config, labels).training)
        assert steps == max(10 * labels, PASSES * (labels + 300)) / 10
    assert NO_TEXTS.recipe(config, 100).training is config.training
