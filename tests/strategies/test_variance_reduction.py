import numpy as np
import pytest

from dal_nlp.core.errors import Unsupported
from dal_nlp.strategies import check_fit, probes
from dal_nlp.strategies.variance_reduction import VarianceReduction, covariances, curvature, greedy
from tests import tiny
from tests.benchmarks.feature_pool import FeaturePool, LinearForward


def by_inverses(pool, unsure, candidates, weights, known, penalty, k):
    """The same choice with the whole matrix inverted anew for each candidate of each pick."""
    matrix, picks, falls = penalty * np.eye(pool.shape[1]) + known.T @ known, [], []

    def total(matrix):
        return sum(u * z @ np.linalg.inv(matrix) @ z for u, z in zip(unsure, pool, strict=True))

    for _ in range(k):
        before = total(matrix)
        trials = {
            i: before - total(matrix + weights[i] * np.outer(candidates[i], candidates[i]))
            for i in range(len(candidates))
            if i not in picks
        }
        best = max(trials, key=trials.get)
        picks.append(best)
        falls.append(trials[best])
        matrix = matrix + weights[best] * np.outer(candidates[best], candidates[best])
    return picks, falls


def numbers(seed, s=15, m=8, known=5, h=4):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(s, h)),
        rng.uniform(size=s),
        rng.normal(size=(m, h)),
        rng.uniform(0.01, 0.25, size=m),
        rng.normal(size=(known, h)),
        rng.uniform(0.1, 2),
    )


@pytest.mark.parametrize("seed", range(8))
def test_picks_and_decreases_are_those_of_matrix_inverses(seed):
    given = numbers(seed)
    picks, decreases = greedy(*given, 4, np.random.default_rng(0))
    expected, falls = by_inverses(*given, 4)
    assert picks.tolist() == expected
    np.testing.assert_allclose(decreases, falls, rtol=1e-9)


def test_covariances_with_more_labels_than_numbers_and_with_none():
    pool, _, candidates, _, _, penalty = numbers(0)
    for known in (np.random.default_rng(1).normal(size=(30, 4)), np.zeros((0, 4))):
        inverse = np.linalg.inv(penalty * np.eye(4) + known.T @ known)
        np.testing.assert_allclose(covariances(pool, candidates, known, penalty), pool @ inverse @ candidates.T)


def test_curvature_of_saturated_predictions_is_exact():
    log_probs = np.array([[-1e-12, -28.0, -40.0], np.log([0.5, 0.3, 0.2])], dtype=np.float32)
    p, q = np.exp(-28.0), np.exp(-40.0)
    expected = [p + q, (1 - 0.25 - 0.09 - 0.04) / 2]
    np.testing.assert_allclose(curvature(log_probs), expected, rtol=1e-6)


def test_a_pick_keeps_its_copies_from_being_picked():
    pool, unsure, candidates, weights, known, penalty = numbers(3)
    best = greedy(pool, unsure, candidates, weights, known, penalty, 1, np.random.default_rng(0))[0][0]
    copied = np.concatenate([candidates[[best] * 3], candidates])
    picks, _ = greedy(
        pool, unsure, copied, np.append(weights[[best] * 3], weights), known, penalty, 2, np.random.default_rng(0)
    )
    assert sum(pick in (0, 1, 2, 3 + best) for pick in picks.tolist()) == 1


def test_only_uncertain_examples_are_candidates():
    pool = tiny.pool(12)
    (unsure,) = pool.collect(probes.margin)
    chosen = VarianceReduction(beta=1).select(pool, 5, np.random.default_rng(0)).positions
    assert set(chosen.tolist()) == set(np.argsort(-unsure)[:5].tolist())


def test_the_inputs_scale_changes_nothing():
    """lambda is a share of the inputs' own size, so that models of any width and scale are alike."""
    given = numbers(4)
    pool, unsure, candidates, weights, known, penalty = given
    scaled = (3 * pool, unsure, 3 * candidates, weights, 3 * known, 9 * penalty)
    picks, decreases = greedy(*given, 5, np.random.default_rng(0))
    again, same = greedy(*scaled, 5, np.random.default_rng(0))
    assert picks.tolist() == again.tolist()
    np.testing.assert_allclose(decreases, same)


def test_a_constant_that_is_added_to_all_inputs_changes_nothing():
    """The layer's bias takes it up, so that the predictions are the same."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 4)).astype(np.float32), np.zeros(3, dtype=np.float32)
    x, known = (rng.normal(size=(n, 4)).astype(np.float32) for n in (60, 12))
    picks = []
    for shift in (np.zeros(4, dtype=np.float32), np.array([8, -4, 2, 6], dtype=np.float32)):
        sides = [
            LinearForward(
                side[:, None], side + shift, weight, bias - weight @ shift, np.zeros(len(side), dtype=np.int64)
            )
            for side in (x, known)
        ]
        pool = FeaturePool(*sides).as_pool
        picks.append(VarianceReduction(beta=4).select(pool, 6, np.random.default_rng(1)).positions.tolist())
    assert picks[0] == picks[1]


def test_before_the_first_label_there_is_a_choice():
    chosen = VarianceReduction().select(tiny.pool(12, labeled=0), 3, np.random.default_rng(0))
    assert len(set(chosen.positions.tolist())) == 3 and (chosen.scores > 0).all()


def test_tasks_without_shared_labels_are_refused():
    with pytest.raises(Unsupported, match="variance_reduction"):
        check_fit("variance_reduction", VarianceReduction(), frozenset())
