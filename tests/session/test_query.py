"""What of a strategy's choice is asked: candidates, outliers, near-duplicates, and how often the pool is measured."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dal_nlp.core.config import QueryConfig
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.models.forward import Forward
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.session.query import draw_candidates, select_batch
from dal_nlp.strategies import make_strategy, probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.selectors import top_k
from tests import tiny
from tests.models.test_pool import passes
from tests.reference import querying as reference


def score(forward: Forward) -> Tensor:
    raise AssertionError("the scores of these tests are planted")


class Planted(Strategy):
    """Chooses the largest planted scores, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        self.asked.append((len(pool), k))
        chosen = top_k(pool.collect(score)[0], k, rng)
        return Selection(chosen.positions, chosen.scores, {"first": len(self.asked) == 1})


def planted(scores: Any, x: Any, known: Any = None, entropies: Any = None, groups: Any = None) -> Pool:
    """A pool that has measured all of it already."""
    pool = tiny.pool(n=len(scores), labeled=0 if known is None else len(known))
    if groups is not None:
        pool._examples = pool._examples.add_column("group", list(groups))
    pool._measured = {score: np.asarray(scores), probes.lower_embedding: np.asarray(x, dtype=np.float32)}
    if entropies is not None:
        pool._measured[probes.entropy] = np.asarray(entropies)
    if known is not None:
        pool.labeled._measured = {probes.lower_embedding: np.asarray(known, dtype=np.float32)}
    return pool


def ask(pool: Pool, k: int, strategy: Strategy | None = None, seed: int = 0, **options: Any) -> Selection:
    rng = np.random.default_rng(seed)
    return select_batch("planted", strategy or Planted(), pool, k, rng, QueryConfig(**options))


@pytest.mark.parametrize("labeled", [0, 1, 5])
@pytest.mark.parametrize("limit", [0.8, 0.95, 0.999])
def test_a_batch_is_the_brute_force_one(labeled: int, limit: float) -> None:
    rng = np.random.default_rng(labeled)
    pool = planted(np.zeros(24), np.zeros((24, 2)), np.zeros((labeled, 2)) if labeled else None)
    dropped = 0
    for _ in range(40):
        scores, x = rng.permutation(24).astype(float), rng.normal(size=(24, 2)).astype(np.float32)
        known = rng.normal(size=(labeled, 2)).astype(np.float32)
        pool._measured = {score: scores, probes.lower_embedding: x}
        if labeled:
            pool.labeled._measured = {probes.lower_embedding: known}
        k = int(rng.integers(1, 25))
        chosen = ask(pool, k, dedupe=limit)
        positions, near, _ = reference.batch(scores.tolist(), x.tolist(), known.tolist(), k, limit)
        assert chosen.positions.tolist() == positions
        assert chosen.scores.tolist() == scores[positions].tolist()
        assert chosen.notes.get("near_duplicates", 0) == near
        dropped += near
    assert dropped > 0


def test_without_a_threshold_the_choice_is_the_strategy_own() -> None:
    strategy = Planted()
    chosen = ask(planted(np.arange(8.0), np.ones((8, 3)), np.ones((2, 3))), 3, strategy, dedupe=None)
    assert chosen.positions.tolist() == [7, 6, 5]
    assert strategy.asked == [(8, 3)] and chosen.notes == {"first": True}


def test_where_only_near_duplicates_are_left_they_are_asked_after_all() -> None:
    strategy = Planted()
    chosen = ask(planted(np.arange(64.0), np.ones((64, 3)), np.ones((2, 3))), 3, strategy)
    assert chosen.positions.tolist() == [63, 62, 61]
    assert chosen.notes == {"first": True, "near_duplicates": 61, "near_duplicates_asked": 3}
    assert strategy.asked == [
        (64, 3),
        (61, 3),
        (58, 6),
        (52, 12),
        (40, 24),
        (16, 16),
    ]  # few choices, however many there are


def test_embeddings_of_zeros_are_like_nothing() -> None:
    assert ask(planted(np.arange(6.0), np.zeros((6, 3)), np.zeros((1, 3))), 4).notes == {"first": True}


def test_k_may_be_the_whole_pool() -> None:
    chosen = ask(planted(np.arange(9.0), np.eye(9) + 0.5, np.eye(9)[:1]), 9, dedupe=0.5, skip_top_quantile=0.9)
    assert sorted(chosen.positions.tolist()) == list(range(9))


def test_the_highest_entropies_are_left_out_once_there_are_labels() -> None:
    entropies = np.array([0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.4, 0.5, 0.6, 1.0])
    for k, want in ((1, [2]), (7, [2, 5, 8, 7, 6, 4, 3])):
        pool = planted(entropies, np.eye(10), np.eye(10)[:1] * -1, entropies)
        assert ask(pool, k, skip_top_quantile=0.25).positions.tolist() == want
    pool = planted(entropies, np.eye(10), np.eye(10)[:1] * -1, entropies)
    assert set(ask(pool, 9, skip_top_quantile=0.5).positions.tolist()) == set(range(9))  # rather than too few
    assert ask(planted(entropies, np.eye(10), None, entropies), 1, skip_top_quantile=0.5).positions.tolist() == [9]


def test_equal_entropies_at_the_cap_are_left_out_by_lot() -> None:
    out = set()
    for seed in range(30):
        pool = planted(np.arange(10.0), np.eye(10), -np.eye(10)[:1], np.ones(10))
        chosen = ask(pool, 9, seed=seed, skip_top_quantile=0.1)
        out |= set(range(10)) - set(chosen.positions.tolist())
    assert len(out) > 5


def test_a_strategy_that_gives_too_few_is_named() -> None:
    class Short(Strategy):
        def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
            return Selection(np.arange(k - 1), np.zeros(k - 1))

    with pytest.raises(UserError, match="'planted' must choose 3 distinct positions below 8"):
        ask(planted(np.arange(8.0), np.eye(8)), 3, Short())


@pytest.mark.long
@pytest.mark.parametrize("limit", [None, 0.8, 0.95])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_batch_with_groups_is_the_brute_force_one(limit: float | None, most: int) -> None:
    rng = np.random.default_rng(most)
    names = np.array(["a", "a b", "c", "d", "e", "f"])
    seen = {"near_duplicates": 0, "near_duplicates_asked": 0, "held_by_group": 0, "fewer_by_group": 0}
    for number in range(12):
        groups = rng.choice(names[: rng.integers(1, 7)], 24).tolist()
        pool = planted(np.zeros(24), np.zeros((24, 2)), np.zeros((3, 2)), groups=groups)
        for _ in range(4):
            scores, x = rng.permutation(24).astype(float), rng.normal(size=(24, 2)).astype(np.float32)
            known = rng.normal(size=(3, 2)).astype(np.float32)
            pool._measured = {score: scores, probes.lower_embedding: x}
            pool.labeled._measured = {probes.lower_embedding: known}
            k = int(rng.integers(1, 25))
            chosen = ask(pool, k, dedupe=limit, max_per_group=most)
            positions, near, held = reference.batch(
                scores.tolist(), x.tolist(), known.tolist(), k, limit or 2, groups, most
            )
            assert chosen.positions.tolist() == positions, number
            assert chosen.scores.tolist() == scores[positions].tolist()
            assert max(groups.count(g) and [groups[i] for i in positions].count(g) for g in names) <= most
            notes = {name: chosen.notes.get(name, 0) for name in seen}
            assert notes["near_duplicates"] == near
            assert notes["fewer_by_group"] == k - len(positions)
            assert notes["held_by_group"] <= held  # the rest of a full group is not even put before the strategy
            seen = {name: seen[name] + notes[name] for name in seen}
    assert all(seen[name] for name in (seen if limit else ("held_by_group", "fewer_by_group")))


def test_full_groups_are_taken_out_before_the_strategy_chooses_again() -> None:
    groups = ["long"] * 90 + [str(i) for i in range(10)]
    strategy = Planted()
    chosen = ask(planted(-np.arange(100.0), np.eye(100), groups=groups), 6, strategy, max_per_group=2)
    assert chosen.positions.tolist() == [0, 1, 90, 91, 92, 93]
    assert strategy.asked == [(100, 6), (10, 4)]
    assert chosen.notes == {"first": True, "held_by_group": 4}


def test_where_only_full_groups_are_left_fewer_are_asked() -> None:
    strategy = Planted()
    chosen = ask(planted(np.arange(30.0), np.eye(30), groups=["a", "b"] * 15), 7, strategy, max_per_group=2)
    assert chosen.positions.tolist() == [29, 28, 27, 26]
    assert chosen.notes == {"first": True, "held_by_group": 3, "fewer_by_group": 3}
    assert strategy.asked == [(30, 7)]


def test_near_duplicates_that_are_asked_after_all_keep_to_the_groups_too() -> None:
    pool = planted(np.arange(12.0), np.ones((12, 3)), groups=["a", "b", "b"] * 4)
    chosen = ask(pool, 4, max_per_group=1)
    assert chosen.positions.tolist() == [11, 9]  # b, which is kept, and the best near-duplicate of it in a
    assert chosen.notes["fewer_by_group"] == 2 and chosen.notes["near_duplicates_asked"] == 1


@pytest.mark.parametrize("name", ["random", "entropy", "badge", "kmeans", "cal"])
def test_strategies_keep_to_the_groups_and_measure_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = tiny.pool(n=30, labeled=3, batch_size=8)
    pool._examples = pool._examples.add_column("group", [str(i % 3) for i in range(30)])
    seen = passes(monkeypatch)
    options = QueryConfig(max_per_group=2)
    chosen = select_batch(name, make_strategy(name, {}), pool, 5, np.random.default_rng(0), options)
    assert len(set(chosen.positions.tolist())) == 5
    assert max(np.bincount(chosen.positions % 3)) <= 2
    assert seen.count(30) == (name != "random")
    chosen = select_batch(name, make_strategy(name, {}), pool, 9, np.random.default_rng(0), options)
    assert np.bincount(chosen.positions % 3).tolist() == [2, 2, 2] and chosen.notes["fewer_by_group"] == 3


def test_groups_that_are_not_there_are_a_sentence() -> None:
    with pytest.raises(Unsupported, match=r"this task's examples have none: leave it out\.$"):
        ask(planted(np.arange(8.0), np.eye(8)), 3, max_per_group=2)


class Seeing(Planted):
    """Chooses by planted scores and keeps which examples it saw."""

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        self.seen = pool._rows.tolist()
        return super().select(pool, k, rng)


def test_a_prefilter_leaves_its_best_part_to_the_strategy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    pool = planted(rng.random(40), x, known=rng.normal(size=(4, 3)))
    pool._measured[probes.entropy] = np.arange(40.0)
    strategy = Seeing()
    chosen = ask(pool, 3, strategy, prefilter="entropy", prefilter_keep=8, dedupe=None)
    assert sorted(strategy.seen) == list(range(32, 40))  # the eight largest entropies
    best = 32 + np.argsort(-pool._measured[score][32:])[:3]
    assert chosen.positions.tolist() == best.tolist()
    assert chosen.scores.tolist() == pool._measured[score][best].tolist()


@pytest.mark.parametrize(("options", "kept"), [({}, 30), ({"prefilter_keep": 1}, 3), ({"prefilter_keep": 99}, 40)])
def test_a_prefilter_keeps_ten_times_the_labels_and_never_fewer_than_these(options: dict[str, int], kept: int) -> None:
    pool = planted(np.arange(40.0), np.eye(40), known=np.eye(40)[:2] + 1)
    pool._measured[probes.entropy] = np.arange(40.0)
    strategy = Seeing()
    ask(pool, 3, strategy, prefilter="entropy", dedupe=None, **options)
    assert len(strategy.seen) == kept


def test_there_is_no_prefilter_before_the_first_label() -> None:
    strategy = Seeing()
    ask(planted(np.arange(40.0), np.eye(40)), 3, strategy, prefilter="entropy", prefilter_keep=5)
    assert len(strategy.seen) == 40


def test_outliers_are_those_of_what_the_prefilter_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entropies may cost a text for each document: they are read for what is left only."""
    sizes = passes(monkeypatch)
    pool = tiny.pool(n=40, labeled=4)
    select_batch(
        "random",
        make_strategy("random", {}),
        pool,
        3,
        np.random.default_rng(0),
        QueryConfig(prefilter="kmeans", prefilter_keep=8, skip_top_quantile=0.25, dedupe=None),
    )
    assert sizes == [40, 8]


def test_candidates_are_a_random_part_in_the_old_order() -> None:
    positions = np.arange(100, 200)
    rng = np.random.default_rng(0)
    drawn = draw_candidates(positions, 5, QueryConfig(candidates=30), rng)
    assert len(drawn) == 30 and np.isin(drawn, positions).all() and (np.diff(drawn) > 0).all()
    assert draw_candidates(positions, 5, QueryConfig(candidates=30), rng).tolist() != drawn.tolist()
    again = draw_candidates(positions, 5, QueryConfig(candidates=30), np.random.default_rng(0))
    assert again.tolist() == drawn.tolist()
    assert len(draw_candidates(positions, 50, QueryConfig(candidates=30), rng)) == 50
    for size in (None, 100, 500):
        assert draw_candidates(positions, 5, QueryConfig(candidates=size), rng) is positions


def twins(n: int) -> list[dict[str, str]]:
    """Every text four times, apart only in a word that the model does not know."""
    return [
        {**row, "id": f"{row['id']}-{copy}", "text": f"{row['text']} name{copy}"}
        for row in tiny.sentences(n)
        for copy in range(4)
    ]


def pool_of(rows: list[dict[str, str]], labeled: int, batch_size: int) -> Pool:
    source = tiny.pool(batch_size=batch_size)
    of, known = tiny.task(), None
    if labeled:
        known = Pool(tiny.encoded(rows[:labeled], of), source._model, of, source._draws, source._scoring)
    examples = tiny.encoded(rows[labeled:], of).remove_columns("target")
    return Pool(examples, source._model, of, source._draws, source._scoring, known)


@pytest.mark.parametrize("name", ["random", "entropy", "badge", "kmeans", "cal"])
def test_the_pool_is_measured_once_however_often_the_strategy_chooses(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = pool_of(twins(8), labeled=2, batch_size=8)
    seen = passes(monkeypatch)
    options = QueryConfig(dedupe=0.999999, skip_top_quantile=0.1 if name == "entropy" else 0)
    chosen = select_batch(name, make_strategy(name, {}), pool, 6, np.random.default_rng(0), options)
    assert chosen.notes.get("near_duplicates", 0) > 0 or name == "kmeans"  # which spreads its choice anyway
    texts = [pool._examples["text"][i].rsplit(" ", 1)[0] for i in chosen.positions]
    asked_already = {text.rsplit(" ", 1)[0] for text in pool.labeled._examples["text"]}
    assert len({*texts, *asked_already}) == 7
    assert seen.count(30) == (name != "random")
    assert max([size for size in seen if size < 30], default=0) <= 12  # only what was chosen is embedded


@pytest.mark.parametrize("name", ["entropy", "badge", "random"])
def test_questions_do_not_depend_on_the_batches(name: str) -> None:
    options = QueryConfig(dedupe=0.999, skip_top_quantile=0.1)
    chosen = [
        select_batch(name, make_strategy(name, {}), pool_of(twins(8), 2, size), 6, np.random.default_rng(0), options)
        for size in (1, 30)
    ]
    assert chosen[0].positions.tolist() == chosen[1].positions.tolist()
    assert chosen[0].notes == chosen[1].notes


def test_texts_that_training_has_drawn_together_are_no_near_duplicates() -> None:
    pool = pool_of(tiny.sentences(20), labeled=4, batch_size=8)
    last = pool._model.bert.encoder.layer[-1].output.LayerNorm  # type: ignore[union-attr, index]
    torch.nn.init.zeros_(last.weight)  # type: ignore[arg-type]
    torch.nn.init.ones_(last.bias)  # type: ignore[arg-type]
    (x,) = pool.collect(probes.embedding)
    np.testing.assert_allclose(x, 1, rtol=1e-6)  # as confident models nearly do, within a class
    chosen = select_batch("random", make_strategy("random", {}), pool, 8, np.random.default_rng(0), QueryConfig())
    assert "near_duplicates" not in chosen.notes


def test_the_part_without_outliers_is_measured_once_for_all_repetitions(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    batches = Pool._batches

    def counting(self: Pool, label: str, read: Any) -> Iterator[tuple[Positions, Any]]:
        measured.append(len(self))
        yield from batches(self, label, read)

    pool = tiny.pool(n=40)
    monkeypatch.setattr(Pool, "_batches", counting)
    options = QueryConfig(skip_top_quantile=0.1, dedupe=0.5)
    select_batch("coreset", make_strategy("coreset", {}), pool, 6, np.random.default_rng(0), options)
    assert sorted(size for size in measured if size > 12) == [36, 40]  # the outliers' entropies, the rest's vectors
