"""One pass, pool order, what is remembered, batches, NaN, and the model's mode."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dal_nlp.core.config import ScoringConfig
from dal_nlp.core.errors import BrokenModelError, Unsupported, UserError
from dal_nlp.models.pool import Pool, fetch, make_batches
from dal_nlp.models.vectors import Positions
from dal_nlp.strategies import probes
from tests import tiny


def test_results_are_in_pool_order_whatever_the_batches() -> None:
    results = [tiny.pool(n=23, batch_size=size).collect(probes.entropy, probes.gradient) for size in (1, 4, 23)]
    for entropy, gradient in results[1:]:
        np.testing.assert_allclose(entropy, results[0][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(gradient.left, results[0][1].left, rtol=1e-3, atol=1e-6)
    alone = [tiny.pool(n=23).take(np.array([i])).collect(probes.entropy)[0].item() for i in (0, 7, 22)]
    np.testing.assert_allclose(results[0][0][[0, 7, 22]], alone, rtol=1e-4)


def test_several_probes_are_one_pass() -> None:
    pool = tiny.pool(n=20, batch_size=5)
    calls: list[int] = []
    pool._model.register_forward_hook(lambda *_: calls.append(1))
    pool.collect(probes.entropy, probes.embedding, probes.gradient)
    assert len(calls) == 4 + 1  # the first batch shows that hidden states are read, in a second pass
    assert pool.seconds > 0


def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the size of the pool at every pass over one."""
    seen: list[int] = []
    forwards = Pool._batches

    def counting(self: Pool, label: str, read: Any) -> Iterator[tuple[Positions, Any]]:
        seen.append(len(self))
        yield from forwards(self, label, read)

    monkeypatch.setattr(Pool, "_batches", counting)
    return seen


def test_what_was_measured_is_remembered_and_the_rest_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, pool = passes(monkeypatch), tiny.pool(n=12)
    first = pool.collect(probes.entropy)
    assert pool.collect(probes.entropy, probes.entropy)[1] is first[0]
    assert seen == [12]
    margin, entropy, embedding = pool.collect(probes.margin, probes.entropy, probes.embedding)
    assert entropy is first[0] and seen == [12, 12]
    fresh = tiny.pool(n=12)
    np.testing.assert_array_equal(margin, fresh.collect(probes.margin)[0])
    np.testing.assert_array_equal(embedding, fresh.collect(probes.embedding)[0])


def test_probes_are_known_by_what_they_are_not_by_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, pool = passes(monkeypatch), tiny.pool(n=5)
    once, twice = (lambda forward, i=i: forward.embedding * i for i in (1, 2))
    one, two = pool.collect(once, twice)
    np.testing.assert_allclose(2 * one, two)
    pool.collect(twice)
    assert seen == [5]
    pool.collect(lambda forward: forward.embedding)
    assert seen == [5, 5]


def test_a_part_of_a_pool_is_cut_out_of_what_the_pool_has_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, pool = passes(monkeypatch), tiny.pool(n=20)
    early = pool.take(np.array([3, 1]))
    embedding, gradient = pool.collect(probes.embedding, probes.gradient)
    positions = np.array([17, 2, 9, 4])
    part, part_gradient = pool.take(positions).collect(probes.embedding, probes.gradient)
    np.testing.assert_array_equal(part, embedding[positions])
    np.testing.assert_array_equal(part_gradient.left, gradient.left[positions])
    np.testing.assert_array_equal(part_gradient.sq_dists(2), gradient.sq_dists(9)[positions])
    np.testing.assert_array_equal(early.collect(probes.embedding)[0], embedding[[3, 1]])
    deeper = pool.take(positions).take(np.array([2, 0]))
    np.testing.assert_array_equal(deeper.collect(probes.embedding)[0], embedding[[9, 17]])
    assert seen == [20]
    deeper.collect(probes.margin, probes.embedding)
    assert seen == [20, 2]
    deeper.collect(probes.margin)
    pool.take(positions).collect(probes.margin)  # what a part has measured, the whole does not know
    assert seen == [20, 2, 4]


def test_what_a_reader_gets_cannot_be_spoilt_for_the_next() -> None:
    pool = tiny.pool(n=6)
    entropy, gradient = pool.collect(probes.entropy, probes.gradient)
    part = pool.take(np.array([0, 1])).collect(probes.entropy)[0]
    for array in (entropy, gradient.left, gradient.right, part):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_next_pass_measures_what_a_later_reader_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, pool = passes(monkeypatch), tiny.pool(n=8)
    pool.also(probes.entropy, probes.margin)
    pool.take(np.array([1, 2])).collect(probes.embedding)  # no pass over this pool
    pool.collect(probes.embedding, probes.entropy)
    pool.collect(probes.margin, probes.entropy)
    assert seen == [2, 8]
    alone = tiny.pool(n=8)
    alone.also(probes.entropy)
    alone.collect(probes.entropy)
    alone.collect(probes.entropy)
    assert seen == [2, 8, 8]


def test_the_time_of_a_part_counts_for_the_whole() -> None:
    pool = tiny.pool(n=8)
    part = pool.take(np.array([1, 2])).take(np.array([0]))
    part.collect(probes.entropy)
    assert 0 < part.seconds == pool.seconds


def test_a_pass_that_failed_is_not_remembered() -> None:
    pool = tiny.pool(n=8)
    weight = pool._model.classifier.weight
    whole = weight.detach().clone()  # type: ignore[operator, union-attr]
    torch.nn.init.constant_(weight, torch.nan)  # type: ignore[arg-type]
    with pytest.raises(BrokenModelError):
        pool.collect(probes.embedding, probes.margin)
    with torch.no_grad():
        weight.copy_(whole)  # type: ignore[operator, union-attr]
    assert np.isfinite(pool.collect(probes.margin)[0]).all()


def test_batches_hold_every_position_once_and_keep_the_limits() -> None:
    rng = np.random.default_rng(0)
    lengths, rows = rng.integers(1, 60, 200), rng.integers(1, 9, 200)
    batches = make_batches(lengths, rows, ScoringConfig(batch_size=16, batch_tokens=300))
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
    for batch in batches:
        filled = rows[batch].sum()
        assert len(batch) == 1 or (filled <= 16 and filled * lengths[batch].max() <= 300)
    assert make_batches(lengths[:0], rows[:0], ScoringConfig()) == []
    assert [len(b) for b in make_batches(np.full(10, 5), np.ones(10, int), ScoringConfig(batch_size=4))] == [4, 4, 2]


def test_a_model_that_gives_nan_is_an_error_not_a_pick() -> None:
    pool = tiny.pool()
    torch.nn.init.constant_(pool._model.classifier.weight, torch.nan)  # type: ignore[arg-type, union-attr]
    with pytest.raises(BrokenModelError, match="NaN"):
        pool.collect(probes.margin)


def test_the_model_is_measured_in_evaluation_mode_and_given_back_as_it_was() -> None:
    pool = tiny.pool()
    want = pool.collect(probes.entropy)[0]
    again = tiny.pool()
    again._model.train()
    np.testing.assert_array_equal(again.collect(probes.entropy)[0], want)
    assert again._model.training


def test_strategies_do_not_see_targets_of_the_pool_but_of_the_labeled() -> None:
    pool = tiny.pool(labeled=6)
    assert "target" not in pool._examples.column_names
    assert len(pool.labeled.targets) == 6
    with pytest.raises(Unsupported, match="labeled examples"):
        _ = tiny.pool(labeled=0).labeled


def test_predictions_are_the_most_likely_labels() -> None:
    pool = tiny.pool(n=12, labels=3)
    (margins,) = pool.collect(lambda forward: forward.log_probs[:, 0])
    for prediction, row in zip(pool.predict(), margins, strict=True):
        assert prediction.target == tiny.task(3).labels[int(row.argmax())]
        assert prediction.confidence == pytest.approx(float(np.exp(row.max())), rel=1e-5)


def test_groups_are_those_of_the_rows_in_the_pool() -> None:
    pool = tiny.pool(n=6)
    with pytest.raises(Unsupported, match=r"query\.max_per_group counts groups"):
        _ = pool.groups
    pool._examples = pool._examples.add_column("group", list("abcabc"))
    assert pool.groups == list("abcabc")
    assert pool.take(np.array([5, 0, 4])).take(np.array([2, 0])).groups == ["b", "c"]


def test_a_probe_with_a_row_for_each_window_is_told_so() -> None:
    with pytest.raises(UserError, match=r"rows for 3 examples.*probes\.length"):
        tiny.qa_pool(n=3).collect(lambda forward: forward.batch.inputs["attention_mask"].sum(1))


def test_length_is_that_of_all_windows() -> None:
    pool = tiny.qa_pool(n=9)
    (length,) = pool.collect(probes.length)
    rows = fetch(pool._examples, range(9))
    assert length.tolist() == [sum(map(len, row["input_ids"])) for row in rows]


class Small:
    """A device that holds so many rows of input at a time."""

    def __init__(self, rows: int) -> None:
        self.rows, self.batches = rows, []  # type: ignore[var-annotated]

    def __call__(self, module: Any, args: Any, kwargs: Any) -> None:
        self.batches.append(len(kwargs["input_ids"]))
        if self.batches[-1] > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_batch_too_large_for_the_device_is_halved_and_so_are_those_after_it() -> None:
    want = tiny.pool(n=40, batch_size=16).collect(probes.embedding, probes.entropy)
    pool, device = tiny.pool(n=40, batch_size=16), Small(5)
    pool._model.register_forward_pre_hook(device, with_kwargs=True)
    for mine, theirs in zip(pool.collect(probes.embedding, probes.entropy), want, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    assert [size for size in device.batches if size > 5] == [16, 8]
    assert sum(size for size in device.batches if size <= 5) == 40


def test_a_text_that_does_not_fit_alone_is_the_users_to_mend() -> None:
    pool = tiny.pool(n=4)
    pool._model.register_forward_pre_hook(Small(0), with_kwargs=True)
    with pytest.raises(UserError, match=r"One text alone.*max_length"):
        pool.collect(probes.entropy)


def test_other_errors_of_the_model_are_not_taken_for_a_lack_of_memory() -> None:
    pool = tiny.pool(n=4)
    calls = []

    def broken(*_: Any) -> None:
        calls.append(1)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    pool._model.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="mat1"):
        pool.collect(probes.entropy)
    assert len(calls) == 1
