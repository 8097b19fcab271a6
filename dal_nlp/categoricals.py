"""A batch of predictions as categorical distributions, and the formulas that read only these.

Every formula is written on three reductions (over outcomes, to the most likely ones, over factors), in log space.

Letters: B examples, F factors (categoricals of one example), C outcomes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Categoricals:
    """B bags of F categorical distributions over C outcomes.

    Attributes:
        log_probs: (B, F, C) log-probabilities in fp32 or better; -inf where an outcome is impossible.
        mask: (B, F) true where the factor exists.
        reduction: Whether an example's value is the sum or the mean over its factors.
    """

    log_probs: Tensor
    mask: Tensor
    reduction: Literal["sum", "mean"] = "sum"

    def over_outcomes(self, values: Tensor) -> Tensor:
        """Sum (B, F, C) values over the outcomes to (B, F)."""
        return values.sum(-1)

    def over_factors(self, values: Tensor) -> Tensor:
        """Sum or average (B, F) values over the factors that exist to (B,)."""
        total = torch.where(self.mask, values, torch.zeros_like(values)).sum(-1)
        return total if self.reduction == "sum" else total / self.mask.sum(-1).clamp(min=1)

    def best(self) -> Tensor:
        """Return the position of the most likely outcome, (B, F)."""
        return self.log_probs.argmax(-1)

    def at(self, outcomes: Tensor) -> Tensor:
        """Return the log-probability of the given outcomes (B, F), (B, F)."""
        return self.log_probs.gather(-1, outcomes[..., None])[..., 0]

    def without(self, outcomes: Tensor) -> "Categoricals":
        """Return these with one outcome (B, F) of each made impossible; they no longer sum to one."""
        rest = self.log_probs.scatter(-1, outcomes[..., None], -torch.inf)
        return Categoricals(rest, self.mask, self.reduction)

    def log_total(self) -> Tensor:
        """Return the log of the total probability, (B, F); 0 for whole distributions."""
        return self.log_probs.logsumexp(-1)


def log_rest(c: Categoricals) -> Tensor:
    """Return log(1 - p_max), (B, F), from the other outcomes, so that it stays exact where p_max rounds to one."""
    return c.without(c.best()).log_total()


def p_log_p(log_probs: Tensor) -> Tensor:
    """Return p log p with 0 log 0 = 0; any shape."""
    return torch.where(log_probs > -torch.inf, log_probs.exp() * log_probs, torch.zeros_like(log_probs))


def entropy(c: Categoricals) -> Tensor:
    """Return the entropy in nats, (B,): - sum p log p.

    The most likely outcome enters as log1p(-(1 - p_max)), or saturated predictions would lose it to rounding.
    """
    rest = c.without(c.best())
    others = -rest.over_outcomes(p_log_p(rest.log_probs))
    one_minus = rest.log_total().exp().clamp(max=1.0)
    largest = torch.where(one_minus < 0.5, torch.log1p(-one_minus.clamp(max=0.5)), c.at(c.best()))
    return c.over_factors(others - largest.exp() * largest)


def least_confidence(c: Categoricals) -> Tensor:
    """Return 1 - p_max, (B,)."""
    return c.over_factors(log_rest(c).exp())


def margin(c: Categoricals) -> Tensor:
    """Return 1 - (p_1 - p_2) of the two most likely outcomes, (B,), as (1 - p_1) + p_2, exact at saturation."""
    rest = c.without(c.best())
    return c.over_factors(rest.log_total().exp() + rest.at(rest.best()).exp())
