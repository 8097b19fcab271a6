import numpy as np
import pytest
import torch

from dal_nlp.core.errors import Unsupported
from dal_nlp.strategies import check_fit, make_strategy
from dal_nlp.strategies.bleu import bleu_variance
from dal_nlp.strategies.bleuvar import BleuVariance, bleu_variances
from tests import tiny, tiny_summaries
from tests.strategies.pools import GivenPool


def rng(seed=0):
    return np.random.default_rng(seed)


def given(variances):
    return GivenPool({bleu_variances: np.array(variances, dtype=np.float32)})


class Written:
    """A forward whose samples are given: one list of B texts for each draw."""

    def __init__(self, samples):
        self.samples = iter(samples)


def test_each_example_is_measured_by_its_own_texts():
    texts = [
        ["the cat sat on the mat", "the cat sat on a mat", "a dog sat on the mat"],
        ["all of us are here now", "all of us are here now", "all of us are here now"],
        ["one two three four five", "six seven eight nine ten", "red green blue brown grey"],
    ]
    values = bleu_variances(Written([list(draw) for draw in zip(*texts, strict=True)]))
    assert values.dtype == torch.float32
    assert values.tolist() == pytest.approx([bleu_variance(three) for three in texts])
    assert values[1] == 0
    assert 0 < values[0] < values[2] <= 1


def test_texts_that_share_nothing_come_last():
    selection = BleuVariance().select(given([0.2, 0.97, 0.5, 0.1, 0.96]), 5, rng())
    assert selection.positions[:3].tolist() == [2, 0, 3]
    np.testing.assert_allclose(selection.scores, [0.5, 0.2, 0.1, 0, 0], rtol=1e-6)


def test_the_threshold_is_an_option():
    pool = given([0.2, 0.97, 0.5, 1.0])
    assert make_strategy("bleuvar", {"degenerate": 0.4}).select(pool, 1, rng()).positions.tolist() == [0]
    assert make_strategy("bleuvar", {"degenerate": 2}).select(pool, 2, rng()).positions.tolist() == [3, 1]


@pytest.mark.parametrize("variance", [0.0, 0.5, 1.0])
def test_equal_variances_are_ordered_by_lot(variance):
    pool = given([variance] * 5)
    assert {int(BleuVariance().select(pool, 1, rng(seed)).positions[0]) for seed in range(60)} == set(range(5))


@pytest.mark.long
def test_samples_of_a_model():
    pool = tiny_summaries.summary_pool(12, labeled=0)
    (values,) = pool.collect(bleu_variances)
    assert values.shape == (12,)
    assert ((values >= 0) & (values <= 1)).all()
    one, all_ = (BleuVariance(2).select(tiny_summaries.summary_pool(12, labeled=0), k, rng()) for k in (1, 12))
    assert one.scores[0] == all_.scores[0] == values.max()
    assert sorted(all_.positions.tolist()) == list(range(12))


@pytest.mark.parametrize("name", ["bleuvar", "dual", "stochastic:bleuvar"])
def test_tasks_that_write_no_texts_refuse_it(name):
    with pytest.raises(Unsupported, match="generated texts"):
        check_fit(name, make_strategy(name, {}), tiny.task().capabilities)
