"""Disagreement of the text and of what machines say of it."""

import numpy as np
import pytest

from dal_nlp.core.errors import Unsupported
from dal_nlp.models.auxiliary import AuxiliaryModels
from dal_nlp.strategies import check_fit, make_strategy, probes
from dal_nlp.strategies.disagreement import Disagreement, jensen_shannon
from tests import tiny
from tests.strategies.pools import GivenPool


def random_log_probs(n: int, classes: int) -> np.ndarray:
    return np.log(np.random.default_rng(0).dirichlet(np.ones(classes), n))


def test_the_divergence_is_the_mean_information_about_which_of_the_two_spoke() -> None:
    p, q = np.exp(random_log_probs(20, 4)).reshape(2, 10, 4)
    middle = (p + q) / 2
    direct = [sum(a * np.log(a / m) + b * np.log(b / m) for a, b, m in zip(*row, strict=True)) / 2
              for row in zip(p, q, middle, strict=True)]  # fmt: skip
    assert jensen_shannon(np.log(p), np.log(q)) == pytest.approx(direct)


def test_it_is_0_for_the_same_and_log_2_for_certain_opposites() -> None:
    same = random_log_probs(3, 3)
    assert jensen_shannon(same, same) == pytest.approx(0, abs=1e-12)
    sure = np.array([[0.0, -np.inf], [-np.inf, 0.0]])
    assert jensen_shannon(sure, sure[::-1]) == pytest.approx(np.log(2))
    far = np.array([[0.0, -2000.0], [-2000.0, 0.0]])
    assert jensen_shannon(far, far[::-1]) == pytest.approx(np.log(2))


def test_what_is_contradicted_comes_first_and_silence_contradicts_nothing() -> None:
    read = np.log([[0.9, 0.1], [0.9, 0.1], [0.99, 0.01], [0.9, 0.1]])
    said = np.log([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    pool = GivenPool({probes.two_views: np.stack([read, said], 1)})
    scores = Disagreement().scores(pool, np.random.default_rng(0))
    assert scores.argmax() == 1 and scores[2] == 0 and scores[0] == pytest.approx(0) and scores[3] > 0
    assert Disagreement().select(pool, 2, np.random.default_rng(0)).positions.tolist() == [1, 3]


def test_the_views_are_the_text_model_and_what_is_added_behind_the_output_layer() -> None:
    (views,) = tiny.heard_pool(12, 4).collect(probes.two_views)
    (one_batch,) = tiny.heard_pool(12, 12).collect(probes.two_views)
    assert views.shape == (12, 2, 2) and np.allclose(views, one_batch, atol=1e-5)
    said = np.random.default_rng(1).normal(size=(18, 2))[:12]
    added = views[:, 1, 0] - views[:, 1, 1]
    silent = np.arange(12) % 3 == 0
    assert np.allclose(added, np.where(silent, 0, said[:, 0] - said[:, 1]), atol=1e-5)
    (alone,) = tiny.pool(12).collect(probes.class_log_probs)
    assert np.allclose(views[:, 0], alone, atol=1e-5)


def test_it_is_for_runs_that_hear_machines() -> None:
    with pytest.raises(Unsupported, match="'disagreement' needs machine-made answers, which only runs with --signal"):
        check_fit("disagreement", make_strategy("disagreement", {}), tiny.task().capabilities)
    with pytest.raises(Unsupported, match="No machine is heard here"):
        AuxiliaryModels().text_model()
