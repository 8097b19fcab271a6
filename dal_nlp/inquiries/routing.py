"""Which text of a file who answers: random rows that people have answered say how far the machines may go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.batch import Prediction
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import rng_for
from dal_nlp.core.text import counted
from dal_nlp.data.examples import ReadRow
from dal_nlp.inquiries.inquiry import Floats, Inquiry, RowNumbers
from dal_nlp.inquiries.machines import Machine
from dal_nlp.measuring.bounds import RISK, betting_upper, binomial_upper, cheapest_route, largest_cut
from dal_nlp.models.pool import fetch

#: Who the price of people's answers is given for.
PEOPLE = "people"
#: Shares of the file that the cheap of two machines may answer, before anybody has answered anything.
SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Prices:
    """What an answer costs.

    Attributes:
        machines: Of each machine, the cheap one first.
        people: Of people.
    """

    machines: Sequence[float]
    people: float


def prices_of(prices: Mapping[str, float] | None, machines: Sequence[str]) -> Prices | None:
    """Return the prices of machines and people; a cheap machine may be left out, and costs nothing then.

    Raises:
        UserError: A price is missing, negative, or of somebody else.
    """
    if not prices:
        if len(machines) > 1:
            raise UserError(
                f"Of two machines the cheapest way is chosen, so say what answers cost: --price {machines[1]}=0.002,"
                f"{PEOPLE}=0.08."
            )
        return None
    wanted = [*machines[1:], PEOPLE]
    for name in prices:
        if name not in (*machines, PEOPLE):
            raise UserError(
                f"--price {name}: nobody of this name answers; there are: {', '.join([*machines, PEOPLE])}."
            )
    missing = [name for name in wanted if name not in prices]
    if missing:
        raise UserError(f"--price lacks what an answer of {missing[0]} costs.")
    if min(prices.values()) < 0:
        raise UserError("--price has a negative number: give what an answer costs.")
    return Prices([prices.get(name, 0.0) for name in machines], prices[PEOPLE])


@dataclass(frozen=True)
class RandomRows:
    """Random rows of a file, whose texts measure.

    Attributes:
        places: (m,) of their texts in the corpus; a text that was drawn several times stands there as often.
        weights: (m,) one over the number of times that each was expected, over m; None where all are equally likely.
        most: The largest weight that a row can have.
        rows: How many the file has.
    """

    places: RowNumbers
    weights: Floats | None
    most: float
    rows: int

    def upper(self, errors: NDArray[np.bool_], risk: float = RISK) -> float:
        """Return the upper bound of the file's share of errors, by which draws (m,) are some."""
        if self.weights is None:
            return binomial_upper(int(errors.sum()), len(errors), risk)
        return betting_upper(self.weights * errors, self.most, risk)

    @property
    def mass(self) -> Floats:
        """The share of the file that each draw stands for, (m,)."""
        weights = np.ones(len(self.places)) if self.weights is None else self.weights
        return np.asarray(weights / len(weights))


def draw_rows(inquiry: Inquiry, examples: Sequence[ReadRow], size: int, design: str) -> RandomRows:
    """Draw rows of which nobody knows the answer; the same ones in every call."""
    places = {content: row for row, content in enumerate(inquiry.corpus.contents.tolist())}
    counts = np.zeros(len(inquiry.corpus), dtype=np.int64)
    for example in examples:
        if example.fields is not None and example.content_hash in places:
            counts[places[example.content_hash]] += 1
    rows = np.repeat(inquiry.open, counts[inquiry.open])
    rng, n = rng_for(inquiry.config.seed, 0, "whole file"), int(counts.sum())
    if design == "uniform":
        return RandomRows(rng.permutation(rows)[:size], None, 1.0, n)
    doubt = np.sqrt(inquiry.confidence * (1 - inquiry.confidence))[rows] + 1e-12
    probabilities = 0.5 / len(rows) + 0.5 * doubt / doubt.sum()
    drawn = rng.choice(len(rows), size, p=probabilities)
    weights = 1 / (len(rows) * probabilities)
    return RandomRows(rows[drawn], weights[drawn], float(weights.max()), n)


@dataclass(frozen=True)
class Routing:
    """Who answers what.

    Attributes:
        given: The machines' answers by row of the corpus, each with the name of the machine.
        rest: Rows that people answer, the most uncertain first.
        uncertainty: Of these.
        bound: The upper bound of the whole file's error.
        asked: How many texts a second machine was asked about.
    """

    given: Mapping[int, tuple[Prediction, str]]
    rest: RowNumbers
    uncertainty: Floats
    bound: float
    asked: int = 0


def route(
    inquiry: Inquiry,
    draws: RandomRows,
    error: float,
    dear: Machine | None,
    prices: Prices | None,
    told: Callable[[str], object],
) -> Routing:
    """Route the texts of a file of whose draws people have answered all; what they have passed over counts as wrong.

    Args:
        inquiry: With the answers of the first machine.
        draws: Rows that measure.
        error: Most share of wrong answers in the whole file.
        dear: The second machine; it is asked about the draws, and about what the first may not answer.
        prices: Of both machines and people; None where there is one machine.
        told: Is told what the second machine is asked.
    """
    first: Floats = 1 - inquiry.confidence
    drawn = np.unique(draws.places)
    if dear is None or prices is None:
        cut = largest_cut(first[draws.places], _wrong(inquiry, draws, inquiry.answers), error, draws.upper)
        sure = np.setdiff1d(inquiry.open[first[inquiry.open] < cut.threshold], drawn)
        return _routing(inquiry, {int(row): (inquiry.answers[row], inquiry.by) for row in sure}, first, cut.bound)
    replies = _ask(inquiry, dear, drawn)
    answers = [replies.get(row, answer) for row, answer in enumerate(inquiry.answers)]
    second: Floats = np.array([1 - answer.confidence for answer in answers], dtype=np.float64)
    thresholds = cheapest_route(
        (first[draws.places], second[draws.places]),
        (_wrong(inquiry, draws, inquiry.answers), _wrong(inquiry, draws, answers)),
        error,
        [-np.inf, *np.quantile(first[inquiry.open], SHARES)],
        (prices.machines[1], prices.people),
        draws.mass,
        draws.upper,
    )
    free = np.setdiff1d(inquiry.open, drawn)
    by_row = {int(row): (inquiry.answers[row], inquiry.by) for row in free[first[free] < thresholds.cheap]}
    left = free[first[free] >= thresholds.cheap] if thresholds.dear > -np.inf else free[:0]
    if len(left):
        price = prices.machines[1]
        told(f"{dear.name} is asked about {counted(len(left), 'text')} more, for {price * len(left):,.2f}.")
    replies = _ask(inquiry, dear, left)
    for row, answer in replies.items():
        first[row] = 1 - answer.confidence
        if first[row] < thresholds.dear:
            by_row[row] = (answer, dear.name)
    return _routing(inquiry, by_row, first, thresholds.bound, len(drawn) + len(left))


def _routing(
    inquiry: Inquiry, by_row: Mapping[int, tuple[Prediction, str]], u: Floats, bound: float, count: int = 0
) -> Routing:
    rest = np.setdiff1d(inquiry.open, list(by_row))
    rest = rest[np.argsort(-u[rest], kind="stable")]
    return Routing(by_row, rest, u[rest], bound, count)


def _ask(inquiry: Inquiry, machine: Machine, rows: RowNumbers) -> dict[int, Prediction]:
    """Return a machine's answers to rows of the corpus."""
    answers = machine.answers(fetch(inquiry.corpus.dataset, rows)) if len(rows) else []
    return dict(zip(map(int, rows), answers, strict=True))


def _wrong(inquiry: Inquiry, draws: RandomRows, predictions: Sequence[Prediction]) -> NDArray[np.bool_]:
    """Tell of each draw whether a machine's answer, (N,) of the corpus, is not people's."""
    names = inquiry.ids
    rows = [row for row in np.unique(draws.places) if names[row] in inquiry.state.answers]
    right = np.zeros(len(names), dtype=bool)
    right[rows] = inquiry.right([names[row] for row in rows], [predictions[row] for row in rows])
    return ~right[draws.places]
