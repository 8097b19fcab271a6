"""A batch of predictions as categorical distributions, and the formulas that read only these.

Every formula is written on a few reductions (over outcomes, to the most likely ones, over factors), in log space, so it
serves outcomes that all examples share as well as those that every example has for itself.

Letters: B examples, F factors (categoricals of one example), C outcomes, R rows of outcomes (see ``Ragged``).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

#: (example, outcome) -> the outcome's text
OutcomeText = Callable[[int, int], str]


@dataclass(frozen=True)
class Categoricals:
    """B bags of F categorical distributions over C outcomes.

    Attributes:
        log_probs: (B, F, C) log-probabilities in fp32 or better; -inf where an outcome is impossible.
        mask: (B, F) true where the factor exists.
        reduction: Whether an example's value is the sum or the mean over its factors.
        answer: (B, F) the outcomes that the model answers with, where these need not be the most likely ones: a text
            found by beam search holds words that are not.
        parts: (B, F) the number within its example of the part of the answer, such as an entity, that a factor is in,
            -1 for none; None where answers have no parts.
        least_confident: How many factors stand for an example in ``over_least_confident``, those of which the model is
            least confident; None: all of them.
    """

    log_probs: Tensor
    mask: Tensor
    reduction: Literal["sum", "mean"] = "sum"
    answer: Tensor | None = None
    parts: Tensor | None = None
    least_confident: int | None = None

    def over_outcomes(self, values: Tensor) -> Tensor:
        """Sum values of the form of ``log_probs`` over the outcomes to (B, F)."""
        return values.sum(-1)

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest of values of the form of ``log_probs`` over the outcomes, (B, F)."""
        return values.amax(-1)

    def over_factors(self, values: Tensor) -> Tensor:
        """Sum or average (B, F) values over the factors that exist to (B,)."""
        total = torch.where(self.mask, values, torch.zeros_like(values)).sum(-1)
        return total if self.reduction == "sum" else total / self.mask.sum(-1).clamp(min=1)

    def over_least_confident(self, values: Tensor) -> Tensor:
        """Sum (B, F) values over the ``least_confident`` factors whose most likely outcome is least likely, to (B,).

        Where all stand for an example, it is ``over_factors``.
        """
        if self.least_confident is None:
            return self.over_factors(values)
        sure = torch.where(self.mask, self.largest(self.log_probs).detach(), torch.inf)
        places = sure.topk(min(self.least_confident, sure.shape[1]), largest=False).indices
        kept = torch.zeros_like(self.mask).scatter(-1, places, True) & self.mask
        return torch.where(kept, values, torch.zeros_like(values)).sum(-1)

    def best(self) -> Tensor:
        """Return the position of the most likely outcome, (B, F)."""
        return self.log_probs.argmax(-1)

    def answered(self) -> Tensor:
        """Return the position of the outcome that the model answers with, (B, F): the most likely one if not given."""
        return self.best() if self.answer is None else self.answer

    def top(self, n: int) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities and the positions of the n most likely outcomes, best first, (B, F, n).

        Where there are fewer, the log-probabilities behind them are -inf.
        """
        values, positions = self.log_probs.topk(min(n, self.log_probs.shape[-1]), -1)
        missing = n - values.shape[-1]
        return _padded(values, missing, -torch.inf), _padded(positions, missing, 0)

    def numbers(self, positions: Tensor) -> Tensor:
        """Return the numbers within their example of the outcomes at positions (B, ...), the same in every batch."""
        return positions

    def at(self, outcomes: Tensor) -> Tensor:
        """Return the log-probability of the outcomes at positions (B, F), (B, F)."""
        return self.log_probs.gather(-1, outcomes[..., None])[..., 0]

    def without(self, outcomes: Tensor) -> Self:
        """Return these with one outcome (B, F) of each made impossible; they no longer sum to one."""
        return replace(self, log_probs=self.log_probs.scatter(-1, outcomes[..., None], -torch.inf))

    def log_total(self) -> Tensor:
        """Return the log of the total probability, (B, F); 0 for whole distributions."""
        return self.log_probs.logsumexp(-1)

    def spread(self, values: Tensor) -> Tensor:
        """Bring (B, F) values into a form that can be added to ``log_probs``."""
        return values[..., None]

    def normalized(self) -> Self:
        """Return these divided by their totals."""
        return replace(self, log_probs=self.log_probs - self.spread(self.log_total()))

    def double(self) -> Self:
        """Return the same in fp64; on the CPU in place of Apple's accelerator, which has none."""
        device = torch.device("cpu") if self.log_probs.device.type == "mps" else self.log_probs.device
        answer, parts = (None if values is None else values.to(device) for values in (self.answer, self.parts))
        log_probs = self.log_probs.to(device).double()
        return replace(self, log_probs=log_probs, mask=self.mask.to(device), answer=answer, parts=parts)

    def table(self) -> Tensor:
        """Return the log-probabilities as (B, F, C)."""
        return self.log_probs


@dataclass(frozen=True)
class Ragged(Categoricals):
    """B categorical distributions, each over outcomes of its own, which fill some rows of W numbers.

    The outcomes of an example are those of all its rows. Batches of short and long examples cost what their rows cost:
    nothing is padded to the longest example. F is 1. A position is row x W + column of the batch. An outcome's number
    within its example is column x rows of the example + row of the example, and does not change with the batch, as long
    as further columns only come after those there are.

    Attributes:
        log_probs: (R, W) log-probabilities; -inf where an outcome is impossible.
        mask: (B, 1) true.
        owner: (R,) the example, 0..B-1, that each row belongs to, ascending; every example has a row.
    """

    owner: Tensor = field(kw_only=True)

    @classmethod
    def of(cls, scores: Tensor, owner: Tensor, size: int) -> Self:
        """Normalise scores (R, W), -inf where impossible, over all rows of each of ``size`` examples."""
        mask = torch.ones((size, 1), dtype=torch.bool, device=scores.device)
        return cls(scores, mask, owner=owner).normalized()

    def over_outcomes(self, values: Tensor) -> Tensor:
        """Sum (R, W) values over the outcomes to (B, 1)."""
        return self._zeros(values).index_add(0, self.owner, values.sum(-1))[:, None]

    def largest(self, values: Tensor) -> Tensor:
        """Return the largest of (R, W) values over the outcomes, (B, 1)."""
        return self._largest(values.amax(-1))[:, None]

    def best(self) -> Tensor:
        """Return the position of the most likely outcome, (B, 1)."""
        values, columns = self.log_probs.max(-1)
        rows = torch.arange(len(values), device=values.device)
        # Of the rows that hold their example's largest value, the first; NaN is below nothing, so it is held as well.
        below = values < self._largest(values)[self.owner]
        holds = torch.where(below, len(values), rows)
        first = rows.new_full((len(self.mask),), len(values)).scatter_reduce(0, self.owner, holds, "amin")
        return (first * self.log_probs.shape[1] + columns[first])[:, None]

    def top(self, n: int) -> tuple[Tensor, Tensor]:
        """Return the log-probabilities and the positions of the n most likely outcomes, best first, (B, 1, n)."""
        width = self.log_probs.shape[1]
        values, columns = self.log_probs.topk(min(n, width), -1)
        positions = columns + width * torch.arange(len(values), device=values.device)[:, None]
        counts = torch.bincount(self.owner, minlength=len(self.mask)).tolist()
        best = []
        for mine, places in zip(torch.split(values, counts), torch.split(positions, counts), strict=True):
            kept = mine.flatten().topk(min(n, mine.numel()))
            missing = n - len(kept.values)
            chosen = places.flatten()[kept.indices]
            best.append((_padded(kept.values, missing, -torch.inf), _padded(chosen, missing, 0)))
        log_probs, kept_positions = zip(*best, strict=True)
        return torch.stack(log_probs)[:, None], torch.stack(kept_positions)[:, None]

    def numbers(self, positions: Tensor) -> Tensor:
        """Return the numbers within their example of the outcomes at positions (B, ...)."""
        width = self.log_probs.shape[1]
        counts = torch.bincount(self.owner, minlength=len(self.mask))
        shape = (len(self.mask), *(1,) * (positions.dim() - 1))
        first = (counts.cumsum(0) - counts).reshape(shape)
        return positions % width * counts.reshape(shape) + positions // width - first

    def at(self, outcomes: Tensor) -> Tensor:
        """Return the log-probability of the outcomes at positions (B, 1), (B, 1)."""
        return self.log_probs.flatten()[outcomes]

    def without(self, outcomes: Tensor) -> Self:
        """Return these with one outcome (B, 1) of each made impossible; they no longer sum to one."""
        rest = self.log_probs.flatten().scatter(0, outcomes.flatten(), -torch.inf)
        return replace(self, log_probs=rest.view_as(self.log_probs))

    def log_total(self) -> Tensor:
        """Return the log of the total probability of each example over all its rows, (B, 1)."""
        rows = self.log_probs.detach().amax(-1)
        largest = self._largest(rows)
        shift = torch.where(largest > -torch.inf, largest, torch.zeros_like(largest))
        total = self.over_outcomes((self.log_probs - shift[self.owner][:, None]).exp())
        return total.log() + shift[:, None]

    def spread(self, values: Tensor) -> Tensor:
        """Bring (B, 1) values into a form that can be added to ``log_probs``, (R, 1)."""
        return values[self.owner]

    def double(self) -> Self:
        """Return the same in fp64; on the CPU in place of Apple's accelerator, which has none."""
        same = super().double()
        return replace(same, owner=self.owner.to(same.log_probs.device))

    def table(self) -> Tensor:
        """Return the log-probabilities as (B, 1, C), padded with -inf to the most rows of an example."""
        counts = torch.bincount(self.owner, minlength=len(self.mask)).tolist()
        rows = [mine.flatten() for mine in torch.split(self.log_probs, counts)]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-torch.inf)[:, None]

    def _zeros(self, like: Tensor) -> Tensor:
        return like.new_zeros(len(self.mask))

    def _largest(self, rows: Tensor) -> Tensor:
        """Return the largest of (R,) values in each example, (B,)."""
        return rows.new_full((len(self.mask),), -torch.inf).scatter_reduce(0, self.owner, rows, "amax")


def _padded(values: Tensor, missing: int, value: float) -> Tensor:
    """Add ``missing`` numbers behind the last dimension."""
    return torch.nn.functional.pad(values, (0, missing), value=value) if missing else values


def log_rest(c: Categoricals) -> Tensor:
    """Return log(1 - p_max), (B, F), from the other outcomes, so that it stays exact where p_max rounds to one."""
    return c.without(c.best()).log_total()


def p_log_p(log_probs: Tensor) -> Tensor:
    """Return p log p with 0 log 0 = 0; any shape."""
    return torch.where(log_probs > -torch.inf, log_probs.exp() * log_probs, torch.zeros_like(log_probs))


def entropy(c: Categoricals) -> Tensor:
    """Return the entropy in nats, (B,): - sum p log p."""
    return c.over_factors(factor_entropies(c))


def factor_entropies(c: Categoricals) -> Tensor:
    """Return the entropy of each factor, (B, F).

    The most likely outcome enters as log1p(-(1 - p_max)), or saturated predictions would lose it to rounding.
    """
    rest = c.without(c.best())
    others = -rest.over_outcomes(p_log_p(rest.log_probs))
    one_minus = rest.log_total().exp().clamp(max=1.0)
    largest = torch.where(one_minus < 0.5, torch.log1p(-one_minus.clamp(max=0.5)), c.at(c.best()))
    return others - largest.exp() * largest


def soft_cross_entropy(c: Categoricals, shares: Tensor) -> Tensor:
    """Return the cross-entropy in nats of soft labels, (B,): - sum q log p.

    Args:
        c: Over outcomes that all examples share.
        shares: (B, F, C) q; an outcome that has none may be impossible.
    """
    logs = torch.where(shares > 0, c.log_probs, torch.zeros_like(c.log_probs))
    return -c.over_factors((shares * logs).sum(-1))


def least_confidence(c: Categoricals) -> Tensor:
    """Return 1 - p_max, (B,)."""
    return c.over_factors(log_rest(c).exp())


def margin(c: Categoricals, text: OutcomeText) -> Tensor:
    """Return 1 - (p_1 - p_2), (B,), as (1 - p_1) + p_2, exact at saturation.

    p_2 is the most likely outcome that says something else than the first: two spans that read alike are one answer,
    and that the model wavers between them is no doubt about it. 0 where all that is possible reads alike.

    Args:
        c: The predictions.
        text: What an outcome of an example says, normalised; asked for the few most likely ones only.
    """
    second = _second(c, text)
    return c.over_factors(log_rest(c).exp() + second.exp())


def _second(c: Categoricals, text: OutcomeText) -> Tensor:
    """Return the log-probability of the best outcome whose text differs from the first's, (B, F); -inf if none does."""
    n, second = 2, torch.full(c.mask.shape, -torch.inf, dtype=c.log_probs.dtype).numpy()
    examples, factors = (places.cpu().numpy() for places in c.mask.nonzero(as_tuple=True))
    while len(examples):
        log_probs, positions = c.top(n)
        values, numbers = (tensor.cpu().numpy()[examples, factors] for tensor in (log_probs, c.numbers(positions)))
        # Flat lists: of nested ones Python's garbage collector would look through every list again and again.
        firsts = list(map(text, examples.tolist(), numbers[:, 0].tolist()))
        left = np.arange(len(examples))
        for rank in range(1, n):
            left = left[values[left, rank] > -np.inf]
            texts = map(text, examples[left].tolist(), numbers[left, rank].tolist())
            other = np.array([words != firsts[i] for i, words in zip(left.tolist(), texts, strict=True)], dtype=bool)
            rows = left[other]
            second[examples[rows], factors[rows]] = values[rows, rank]
            left = left[~other]
        examples, factors, n = examples[left], factors[left], n * 4
    return torch.from_numpy(second).to(c.log_probs.device)
