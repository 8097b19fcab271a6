"""How far annotators agree beyond chance, on what several of them have answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from dal_nlp.annotation.answer_store import Desk
from dal_nlp.core.events import Target
from dal_nlp.session.stopping_history import cohen_kappa


@dataclass(frozen=True)
class Agreement:
    """How far some pairs of answers agree.

    Attributes:
        names: What is compared: two annotators, or a label.
        count: Examples that both have answered.
        same: Share of them with the same answer.
        value: The task's own measure: Cohen's kappa, or for answers in words their mean token F1 or ROUGE-1.
    """

    names: tuple[str, ...]
    count: int
    same: float
    value: float


def by_pair(desk: Desk) -> list[Agreement]:
    """Return the agreement of every two annotators who have answered the same examples; refusals are left out."""
    answers: dict[str, dict[str, Target]] = {}
    for id, votes in desk.state.opinions.items():
        for by, event in votes.items():
            if event.answered:
                answers.setdefault(by, {})[id] = event.target
    found = []
    for one, other in combinations(sorted(answers), 2):
        both = [id for id in answers[one] if id in answers[other]]
        if both:
            pairs = [answers[one][id] for id in both], [answers[other][id] for id in both]
            found.append(_measured(desk, (one, other), *pairs))
    return found


def by_label(desk: Desk) -> list[Agreement]:
    """Return the agreement on each label against all others, over all pairs of answers; [] where there are none.

    An example that n annotators have answered counts n (n - 1) / 2 times.
    """
    if desk.task.asks != "label":
        return []
    first: list[Target] = []
    second: list[Target] = []
    for votes in desk.state.opinions.values():
        targets = [event.target for event in votes.values() if event.answered]
        for one, other in combinations(targets, 2):
            first.append(one)
            second.append(other)
    found = []
    for label in desk.task.labels:
        these, those = ([target == label for target in targets] for targets in (first, second))
        if any(these) or any(those):
            same = sum(a == b for a, b in zip(these, those, strict=True)) / len(these)
            found.append(Agreement((label,), len(these), same, cohen_kappa(these, those)))
    return found


def measure(desk: Desk) -> str:
    """Return the name of what ``Agreement.value`` is."""
    return {"label": "Cohen's kappa", "span": "mean F1", "text": "mean ROUGE-1"}[desk.task.asks]


def _measured(desk: Desk, names: tuple[str, ...], first: Sequence[Target], second: Sequence[Target]) -> Agreement:
    same = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    return Agreement(names, len(first), same, desk.task.consistency(first, second))
