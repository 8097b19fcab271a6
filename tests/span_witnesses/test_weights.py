"""The weight of a machine beside a reader: the closed form against enumeration, what it fits, and the guard."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from dal_nlp.core.categoricals import Ragged
from dal_nlp.core.task import Batch
from dal_nlp.span_witnesses.weights import (
    ALONE,
    MACHINES,
    READERS,
    TOGETHER,
    Judged,
    advantage,
    fit_both,
    fit_posterior,
    fit_weights,
    preferred,
)
from dal_nlp.tasks.questions import heard
from dal_nlp.tasks.questions.heard import Question
from dal_nlp.tasks.questions.heard import question_log_likelihood as log_likelihood


def asked(log_p: np.ndarray, said: np.ndarray, right: np.ndarray) -> Question:
    """A question of M outcomes: their log-probabilities (M,), what machines add (M, S), and which are right (M,)."""
    spans, others = np.flatnonzero(said.any(1)), np.where(said.any(1), -np.inf, log_p)
    f1 = right[[*spans, others.argmax()]].astype(float)
    return Question(float(logsumexp(log_p[right])), log_p[spans], right[spans], said[spans], float(others.max()), f1)


def alternative(gold: float, meant: float, hit: bool, b: float) -> Question:
    """A question with one span that a machine means, and another outcome that is right where that one is not."""
    f1 = np.array([float(hit), float(not hit and gold > meant)])
    return Question(np.log(gold), np.log([meant]), np.array([hit]), np.array([[b]]), np.log(1 - meant), f1)


def drawn(rng: np.random.Generator, machines: int) -> tuple[Question, np.ndarray, np.ndarray, np.ndarray]:
    """A question, its log-probabilities, what machines add to each outcome, (M, S), and which outcomes are right."""
    outcomes = int(rng.integers(3, 60))
    log_p = rng.normal(0, 3, outcomes)
    log_p -= logsumexp(log_p)
    right = np.zeros(outcomes, dtype=bool)
    right[rng.choice(outcomes, int(rng.integers(1, 3)), replace=False)] = True
    said = (rng.random((outcomes, machines)) < 2 / outcomes) * rng.normal(3, 2, machines)
    return asked(log_p, said, right), log_p, said, right


@pytest.mark.parametrize("machines", [1, 3])
def test_the_likelihood_is_that_of_all_outcomes(machines: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        question, log_p, said, right = drawn(rng, machines)
        weights = rng.normal(1, 1, machines)
        moved = log_p + said @ weights
        assert log_likelihood(weights, question) == pytest.approx(logsumexp(moved[right]) - logsumexp(moved), abs=1e-6)
        assert question.agreement(weights) == (float(right[moved.argmax()]), 1.0)


def test_a_reader_that_is_sure_of_something_else_gives_no_infinity() -> None:
    far = Question(-800.0, np.array([-900.0]), np.array([True]), np.array([[1.0]]), 0.0, np.array([1.0, 0.0]))
    assert log_likelihood(np.ones(1), far) == pytest.approx(-800.0)


def test_machines_give_answers_of_a_reader_that_knows_nothing_the_confidence_that_they_state() -> None:
    # Two windows of three outcomes each, one of them not possible; a machine means two of these five, another one none.
    scores = torch.zeros(2, 3)
    scores[1, 2] = -torch.inf
    where = torch.tensor([[[0, 4], [-1, -1]]])
    extra = {heard.PLACES: where, heard.ODDS: torch.tensor([[0.7, 0.2]]).logit(), heard.WEIGHTS: torch.ones(2)}
    extra[heard.READER] = torch.tensor(1.0)
    batch = Batch({}, torch.tensor([0, 0]), 1, extra=extra)
    shares = heard.add(scores, batch).flatten().softmax(0)
    assert shares[[0, 4]].sum().item() == pytest.approx(0.7, abs=1e-6) and shares[5] == 0
    assert shares[[1, 2, 3]].tolist() == pytest.approx([0.1] * 3, abs=1e-6)


@pytest.mark.parametrize("own", READERS)
def test_at_each_weight_of_the_reader_the_likelihood_is_that_of_all_outcomes_raised_to_it(own: float) -> None:
    # Two questions, the second of two windows; some outcomes are not possible, "no answer" is one of the first's.
    scores = torch.randn(3, 7, generator=torch.Generator().manual_seed(0)).double() * 4
    scores[0, [2, 5]] = scores[1, [0, 6]] = scores[2, 0] = -torch.inf
    where = torch.tensor([[[3, 4], [0, -1]], [[8, 15], [-1, -1]]])
    extra = {heard.PLACES: where, heard.ODDS: torch.tensor([[0.7, -0.4], [2.0, 0.0]]), heard.READER: torch.tensor(own)}
    batch = Batch({}, torch.tensor([0, 1, 1]), 2, torch.tensor([[3, 6], [15, -1]]), extra=extra)
    words = [f"word{place}" for place in range(12)]
    starts, golds = [7 * place for place in range(12)], [["word2", "word5"], ["word6"]]
    examples = [
        {"rows": r, "first": [0] * r, "shift": [0, 6][:r], "starts": starts, "ends": [start + 6 for start in starts]}
        | {"context": "".join(f"{word:<7}" for word in words)}
        | {"target": {"text": gold, "answer_start": [7 * words.index(word) for word in gold]}}
        for r, gold in zip((1, 2), golds, strict=True)
    ]
    asked = heard.questions(Ragged.of(scores, batch.owner, 2), batch, own, examples, 1)
    weights = np.array([0.9, 0.6])
    batch.extra[heard.WEIGHTS] = torch.tensor(weights)
    together = Ragged.of(heard.add(scores, batch), batch.owner, 2).log_probs.flatten()
    b, flat = heard.strengths(scores, batch).numpy(), scores.flatten().tolist()
    for k, (outcomes, right) in enumerate([(range(7), [3, 6]), (range(7, 21), [15])]):
        mass = {}
        for outcome in outcomes:
            up = sum(weights[s] * b[k, s] for s in range(2) if outcome in where[k, s].tolist())
            mass[outcome] = np.exp(flat[outcome]) ** own * np.exp(up)
        expected = np.log(sum(mass[outcome] for outcome in right) / sum(mass.values()))
        assert log_likelihood(weights, asked[k]) == pytest.approx(expected, abs=1e-5)
        assert float(together[right].logsumexp(0)) == pytest.approx(expected, abs=1e-5)
        best = max(mass, key=lambda outcome: mass[outcome])
        assert asked[k].agreement(weights) == (float(best in right), 1.0)


def test_a_reader_whose_model_has_no_weight_for_it_counts_as_it_is() -> None:
    model = torch.nn.Module()
    model.config = SimpleNamespace(to_dict=lambda: {heard.WEIGHTS: [0.5]})  # type: ignore[assignment]
    batch = Batch({}, torch.tensor([0]), 1, extra={heard.PLACES: torch.tensor([[[1]]])})
    assert heard.weighed(batch, model)[heard.READER] == 1.0


OUTCOMES = 100


def to_readers(rng: np.random.Generator, n: int, surer: float) -> tuple[Judged, np.ndarray, np.ndarray, np.ndarray]:
    """Questions to a reader whose probabilities hold if its scores are divided by ``surer``, and to a machine.

    The machine is right on six of ten and says so. Returns the questions, log p (n, M) of the reader as it is, what
    the machine adds (n, M), and the right outcomes (n,).
    """
    log_p, said, right = np.zeros((n, OUTCOMES)), np.zeros((n, OUTCOMES)), np.zeros(n, dtype=int)
    for row in range(n):
        scores = rng.exponential(1.0, OUTCOMES)
        right[row] = rng.choice(OUTCOMES, p=np.exp(scores - logsumexp(scores)))
        log_p[row] = surer * scores - logsumexp(surer * scores)
        meant = right[row] if rng.random() < 0.6 else rng.integers(OUTCOMES)
        said[row, meant] = np.log(0.6 / 0.4) + np.log(OUTCOMES - 1)
    judged: dict[float, list[Question]] = {}
    for own in READERS:
        judged[own] = []
        for p, b, gold in zip(log_p, said, right, strict=True):
            moved = own * p - logsumexp(own * p)
            judged[own].append(asked(moved, b[:, None], np.arange(OUTCOMES) == gold))
    return judged, log_p, said, right


@pytest.mark.long
def test_a_reader_that_is_too_sure_does_not_drown_a_machine() -> None:
    rng = np.random.default_rng(1)
    judged, *_ = to_readers(rng, 20, surer=10.0)
    found = fit_weights(judged, [1.0])
    assert found.reader < 0.25 and not found.off and found.values[0] == pytest.approx(1, abs=0.4)
    weights, own = fit_both(judged, np.ones(1), [])
    assert own < 0.25 and weights[0] == pytest.approx(1, abs=0.4)
    _, log_p, said, right = to_readers(rng, 400, surer=10.0)
    hits = (found.reader * log_p + found.values[0] * said).argmax(1) == right
    assert hits.mean() >= (said.argmax(1) == right).mean()


def test_a_reader_whose_probabilities_hold_keeps_its_weight() -> None:
    judged, *_ = to_readers(np.random.default_rng(0), 100, surer=1.0)
    found = fit_weights(judged, [1.0])
    assert found.reader == 1.0 and found.values[0] > 0.5 and found.answers == TOGETHER


FIRST = 10


def with_places(
    rng: np.random.Generator, n: int, known: float, share: float
) -> tuple[Judged, np.ndarray, np.ndarray, np.ndarray]:
    """As ``to_readers``: right answers are among the first outcomes, which the reader knows, and which of them chance.

    Its scores of right answers are higher by ``known``. The machine names one of the first, and is right on a share.
    """
    log_p, said, right = np.zeros((n, OUTCOMES)), np.zeros((n, OUTCOMES)), rng.integers(FIRST, size=n)
    for row in range(n):
        scores = 2 * rng.exponential(1.0, OUTCOMES)
        scores[:FIRST] += 6
        scores[right[row]] += known
        log_p[row] = scores - logsumexp(scores)
        meant = right[row] if rng.random() < share else rng.integers(FIRST)
        said[row, meant] = np.log(0.6 / 0.4) + np.log(OUTCOMES - 1)
    judged = {
        own: [
            asked(own * p - logsumexp(own * p), b[:, None], np.arange(OUTCOMES) == gold)
            for p, b, gold in zip(log_p, said, right, strict=True)
        ]
        for own in READERS
    }
    return judged, log_p, said, right


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_reader_that_knows_where_answers_are_and_not_which_takes_nothing_from_a_good_machine(seed: int) -> None:
    rng = np.random.default_rng(seed)
    judged, *_ = with_places(rng, 20, known=0.0, share=0.55)
    found = fit_weights(judged, [1.0])
    _, log_p, said, right = with_places(rng, 400, known=0.0, share=0.55)
    hits = (found.reader * log_p + found.values[0] * said).argmax(1) == right
    assert hits.mean() >= (said.argmax(1) == right).mean() - 0.02
    assert found.answers == MACHINES and found.reader == min(READERS)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_good_reader_beside_a_bad_machine_is_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    judged, *_ = with_places(rng, 20, known=6.0, share=0.0)
    found = fit_weights(judged, [1.0])
    _, log_p, said, right = with_places(rng, 400, known=6.0, share=0.0)
    hits = (found.reader * log_p + found.values[0] * said).argmax(1) == right
    assert found.answers != MACHINES and found.reader == 1.0 and hits.mean() >= (log_p.argmax(1) == right).mean() - 0.02


def twin_advantage(first: np.ndarray, second: np.ndarray) -> float:
    """The same by leaving each example out in turn: the jackknife's standard error of a difference of two ratios."""
    n = len(first)
    shares = [
        [(points.sum(0) - points[k])[0] / (points.sum(0) - points[k])[1] for k in range(n)]
        for points in (first, second)
    ]
    apart = np.array(shares[0]) - np.array(shares[1])
    error = np.sqrt((n - 1) / n * ((apart - apart.mean()) ** 2).sum())
    ratio = [points.sum(0)[0] / points.sum(0)[1] for points in (first, second)]
    return float((ratio[0] - ratio[1]) / error)


def test_how_much_better_answers_are_is_what_the_jackknife_says() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        most = rng.integers(1, 6, (2, 200)).astype(float)
        first, second = (np.column_stack([rng.binomial(row.astype(int), 0.4), row]) for row in most)
        assert advantage(first, second) == pytest.approx(twin_advantage(first, second), rel=0.03, abs=0.01)


def test_answers_that_are_as_good_have_no_advantage_and_those_that_are_better_everywhere_all() -> None:
    right, wrong, none = (np.tile([points, most], (5, 1)) for points, most in ((1.0, 1.0), (0.0, 1.0), (0.0, 0.0)))
    assert advantage(right, right) == 0 and advantage(none, right) == 0
    assert advantage(right, wrong) == np.inf and advantage(wrong, right) == -np.inf


def test_the_better_of_machines_and_reader_answers_until_both_together_are_better_by_more_than_chance() -> None:
    def points(hits: int) -> np.ndarray:
        return np.column_stack([np.arange(40) < hits, np.ones(40)]).astype(float)

    assert preferred(points(10), points(10)[::-1], points(12)) == MACHINES  # two more of forty may be chance
    assert preferred(points(10), points(10), points(10)) == TOGETHER  # as where machines say nothing
    assert preferred(points(10), points(11), points(13)) == ALONE
    assert preferred(points(10), points(20), points(20)) == ALONE
    assert preferred(points(10), points(20), points(21)) == ALONE
    assert preferred(points(10), points(20), points(30)) == TOGETHER
    assert preferred(points(20), points(10), points(30)) == TOGETHER


def test_without_labels_that_did_not_train_a_reader_hardly_counts_and_without_machines_it_does() -> None:
    judged, *_ = to_readers(np.random.default_rng(0), 1, surer=1.0)
    for few in (judged, {own: [] for own in READERS}):
        found = fit_weights(few, [1.0])
        assert found.reader == min(READERS) and found.values == [1.0] and found.answers == MACHINES
    right = alternative(0.01, 0.01, True, 9.0)
    wrong = alternative(0.99, 0.005, False, 9.0)
    found = fit_weights(dict.fromkeys(READERS, [right, wrong] * 30), [1.0])
    assert found.off == [0] and found.reader == 1.0 and found.answers == ALONE
    judged, *_ = to_readers(np.random.default_rng(1), 20, surer=10.0)
    assert fit_both(judged, np.ones(1), []) != (0, 1) and fit_both(judged, np.ones(1), [0]) == (0, 1)


def answered(n: int, share: float, outcomes: int = 100, confidence: float = 0.8) -> list[Question]:
    """Questions of a reader that knows nothing, of which a machine answers a share rightly."""
    b = np.log(confidence / (1 - confidence)) + np.log(outcomes - 1)
    log_p, hits = -np.log(outcomes), np.linspace(0, 1, n) < share
    return [
        Question(log_p, np.array([log_p]), np.array([hit]), np.array([[b]]), log_p, np.array([float(hit), 0.0]))
        for hit in hits
    ]


def test_beside_a_reader_that_knows_nothing_weight_one_is_the_confidence() -> None:
    (question,) = answered(1, 1.0)
    assert np.exp(log_likelihood(np.ones(1), question)) == pytest.approx(0.8)
    (weight,), _ = fit_posterior(answered(400, 0.8), np.ones(1), np.ones(1))
    assert weight == pytest.approx(1, abs=0.01)


def as_they_are(questions: list[Question]) -> Judged:
    """Questions to a reader that can have no weight but 1."""
    return {1.0: questions}


def test_a_machine_that_is_seldom_right_counts_less_and_one_that_harms_is_left_out() -> None:
    rng = np.random.default_rng(0)
    mixed = [answered(60, 0.1)[place] for place in rng.permutation(60)]
    assert 0 < fit_weights(as_they_are(mixed), [1.0]).values[0] < 0.6
    assert fit_weights(as_they_are([]), [1.0]).values == [1.0]
    # A sure reader, and a machine that alternates between right where that tells nothing and wrong where it hurts.
    good = alternative(0.9, 0.9, True, 0.1)
    bad = alternative(0.9, 0.05, False, 9.0)
    found = fit_weights(as_they_are([good, bad] * 20), [1.0])
    assert found.off == [0] and found.values == [0.0]


def test_a_guard_leaves_out_what_harms_in_every_fold() -> None:
    right = alternative(0.01, 0.01, True, 9.0)
    wrong = alternative(0.99, 0.005, False, 9.0)
    found = fit_weights(as_they_are([right, wrong] * 30), [1.0])  # even questions say the contrary of odd ones
    assert found.off == [0] and found.values == [0.0]
