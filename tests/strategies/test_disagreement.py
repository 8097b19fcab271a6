"""Disagreement of the text and of what machines say of it."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import Unsupported
from dal_nlp.models.auxiliary import Companions
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.strategies import check_fit, make_strategy, probes
from dal_nlp.strategies.disagreement import Disagreement, jensen_shannon
from dal_nlp.testing import check_strategy, tiny_classifier
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


class Hearing(nn.Module):
    """A classifier to whose logits something is added that depends on the text, but for every third text."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny_classifier()
        self.config = self.inner.config

    def forward(self, input_ids: Tensor, **rest: Tensor) -> dict[str, Tensor]:
        found = self.inner(input_ids, **rest)
        last = input_ids.sum(1)
        added = torch.stack([(last % 3).float(), torch.zeros(len(last))], 1)
        return {"logits": found.logits + added}


class Beside(Companions):
    def text_model(self) -> nn.Module:
        return tiny_classifier()


def hearing_pool(n: int, batch_size: int) -> Pool:
    task = tiny.task()
    examples = tiny.encoded(tiny.sentences(n), task).remove_columns("target")
    draws, scoring = make_draws(DrawsConfig(), 0, 0), ScoringConfig(batch_size=batch_size)
    return Pool(examples, Hearing(), task, draws, scoring, companions=Beside())


def test_the_views_are_the_text_model_and_what_is_added_behind_the_output_layer() -> None:
    (views,) = hearing_pool(12, 4).collect(probes.two_views)
    (one_batch,) = hearing_pool(12, 12).collect(probes.two_views)
    assert views.shape == (12, 2, 2) and np.allclose(views, one_batch, atol=1e-5)
    added = views[:, 1, 0] - views[:, 1, 1]
    assert set(np.round(added).tolist()) <= {0.0, 1.0, 2.0} and np.allclose(added, np.round(added), atol=1e-5)
    task = tiny.task()
    plain = tiny.encoded(tiny.sentences(12), task).remove_columns("target")
    pool = Pool(plain, tiny_classifier(), task, make_draws(DrawsConfig(), 0, 0), ScoringConfig())
    (alone,) = pool.collect(probes.class_log_probs)
    assert np.allclose(views[:, 0], alone, atol=1e-5)


def test_it_keeps_to_the_contract_of_strategies() -> None:
    check_strategy(Disagreement, hearing_pool, 1)


def test_it_is_for_runs_that_hear_machines() -> None:
    with pytest.raises(Unsupported, match="'disagreement' needs machine-made answers, which only runs with --signal"):
        check_fit("disagreement", make_strategy("disagreement", {}), tiny.task().capabilities)
    with pytest.raises(Unsupported, match="No machine is heard here"):
        Companions().text_model()
