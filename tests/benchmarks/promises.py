"""Files at a stated error, drawn again and again: who answers what, and how often the promise is broken."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dal_nlp.inquiries.routing import SHARES
from dal_nlp.measuring.bounds import RISK, binomial_upper, cheapest_route, largest_cut, least_answers

Floats = NDArray[np.float64]

#: What an answer of the dear machine and of people costs.
PRICES = (0.002, 0.08)


def guaranteed(
    u: Floats, wrong: NDArray[np.bool_], error: float, draws: int, each: NDArray[np.bool_] | None = None
) -> tuple[float, float, float]:
    """Return the mean share of a file that people label, and how often it had more errors than promised.

    Where it is told of ``each`` label (N, F) of a text whether it is wrong, also the mean error of the worst label.
    """
    m, rng = min(len(u) // 2, 4 * least_answers(error)), np.random.default_rng(0)
    people, broken, worst = [], 0, []
    for _ in range(draws):
        rows = rng.permutation(len(u))[:m]
        cut = largest_cut(u[rows], wrong[rows], error, partial(_upper, m=m))
        machine = u < cut.threshold
        machine[rows] = False
        broken += bool((machine & wrong).mean() > error)
        people.append(1 - machine.mean())
        worst.append(0.0 if each is None else float((each & machine[:, None]).mean(0).max()))
    return float(np.mean(people)), broken / draws, float(np.mean(worst))


def routed(pair: Sequence[tuple[Floats, NDArray[np.bool_]]], error: float, draws: int) -> tuple[float, float, float]:
    """Return the shares of a file that people label and that the dear machine is asked about, and broken promises."""
    (u, w), (v, x) = pair
    m, rng, total = min(len(u) // 2, 4 * least_answers(error)), np.random.default_rng(0), np.zeros(3)
    starts, mass = [-np.inf, *np.quantile(u, SHARES)], np.full(m, 1 / m)
    for _ in range(draws):
        rows = rng.permutation(len(u))[:m]
        of = (u[rows], v[rows]), (w[rows], x[rows])
        found = cheapest_route(*of, error, starts, PRICES, mass, partial(_upper, m=m))
        drawn = np.zeros(len(u), dtype=bool)
        drawn[rows] = True
        cheap = ~drawn & (u < found.cheap)
        dear = ~drawn & ~cheap & (v < found.dear)
        asked = ~cheap if found.dear > -np.inf else drawn
        total += [1 - (cheap | dear).mean(), asked.mean(), ((cheap & w) | (dear & x)).mean() > error]
    people, share, broken = total / draws
    return float(people), float(share), float(broken)


def _upper(errors: NDArray[np.bool_], risk: float = RISK, *, m: int) -> float:
    return binomial_upper(int(errors.sum()), m, risk)
