"""How far people agree, and who answered what and when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.core.targets import Target, readable
from dal_nlp.ledger.events import AnswerEvent, LabelEvent, OpinionEvent, RemovedEvent, SkipEvent
from dal_nlp.ledger.state import State


@dataclass(frozen=True)
class Agreement:
    """How far some pairs of answers agree.

    Attributes:
        names: What is compared: two annotators, or a label.
        count: Examples that both have answered; of a label, pairs of answers of which one has it.
        same: Share of them with the same answer.
        value: The task's own measure: Cohen's kappa, or for answers in words their mean token F1 or ROUGE-1.
    """

    names: tuple[str, ...]
    count: int
    same: float
    value: float


def by_pair(store: AnswerStore) -> list[Agreement]:
    """Return the agreement of every two people who have answered the same examples.

    Refusals are left out; machines have no opinion, see ``votes``.
    """
    answers: dict[str, dict[str, Target]] = {}
    for id, votes in store.state.opinions.items():
        for by, event in votes.items():
            if event.answered:
                answers.setdefault(by, {})[id] = event.target
    agreements = []
    for one, other in combinations(sorted(answers), 2):
        both = [id for id in answers[one] if id in answers[other]]
        if both:
            pairs = [answers[one][id] for id in both], [answers[other][id] for id in both]
            agreements.append(_measured(store, (one, other), *pairs))
    return agreements


def by_label(store: AnswerStore) -> list[Agreement]:
    """Return the agreement on each label that answers hold, over the pairs of answers of which one has it.

    An example that n annotators have answered counts n (n - 1) / 2 times. ``same`` is the share of which both have it;
    kappa is that of the label against its absence, over all pairs: with two labels it is the same for both.
    """
    kind = store.task.answer_format
    from dal_nlp.tasks.metrics import cohen_kappa  # and numpy, which a list of answers need not wait for

    first: list[Target] = []
    second: list[Target] = []
    for votes in store.state.opinions.values():
        targets = [event.target for event in votes.values() if event.answered]
        for one, other in combinations(targets, 2):
            first.append(one)
            second.append(other)
    agreements = []
    for label in store.task.labels:
        these, those = ([label in kind.labels_of(target) for target in targets] for targets in (first, second))
        either = sum(a or b for a, b in zip(these, those, strict=True))
        if either:
            both = sum(a and b for a, b in zip(these, those, strict=True))
            agreements.append(Agreement((label,), either, both / either, cohen_kappa(these, those)))
    return agreements


def measure(store: AnswerStore) -> str:
    """Return the name of what ``Agreement.value`` is."""
    return store.task.answer_format.agreement.name


def _measured(
    store: AnswerStore, names: tuple[str, ...], first: Sequence[Target], second: Sequence[Target]
) -> Agreement:
    same = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    return Agreement(names, len(first), same, store.task.answer_format.agreement.between(first, second))


class HistoryLine(NamedTuple):
    """One thing that happened to an example.

    Attributes:
        at: When, "" where the ledger does not know (a simulation's answers have no time).
        id: Of the example.
        who: Did it, and through which channel.
        what: What it was, in words.
        answer: The answer; "" for a removal.
        suggestion: What the annotator was shown as the model's answer; "" where nothing was shown.
        suggested: Which model that was, and how sure of it.
        note: What the annotator wrote beside it.
    """

    at: str
    id: str
    who: str
    what: str
    answer: str
    suggestion: str
    suggested: str
    note: str


def history(state: State, id: str | None = None) -> Iterator[HistoryLine]:
    """Yield what happened to one example, or to all, in the order of the ledger within each example."""
    for name in [id] if id is not None else state.given:
        known = False
        for event in state.given.get(name, []):
            yield _line(name, event, known)
            known = isinstance(event, LabelEvent | SkipEvent) or (known and isinstance(event, OpinionEvent))


def _line(id: str, event: AnswerEvent | RemovedEvent, known: bool) -> HistoryLine:
    by = event.by or "the oracle"
    who = event.via if event.via.startswith(f"{by}.") else f"{by} ({event.via})" if event.via else by
    if isinstance(event, RemovedEvent):
        what = f"removed the answer of {event.whose}" if event.whose else "removed"
        return HistoryLine(event.at, id, who, what, "", "", "", "")
    kinds = {LabelEvent: "corrected" if known else "labeled", SkipEvent: "corrected" if known else "skipped"}
    what = kinds.get(type(event), "one of several") + (", for good" if event.final else "")
    answer = readable(event.target) if event.reason is None else event.reason
    return HistoryLine(event.at, id, who, what, answer, *_suggested(event), event.note)


def _suggested(event: AnswerEvent) -> tuple[str, str]:
    """Return what was suggested, and by which model."""
    shown = event.suggested
    if not shown:
        return "", ""
    model = "pretrained model" if shown["round"] < 0 else f"model of round {shown['round']}"
    model = shown.get("by", model)  # a machine that has drafted it
    return readable(shown["target"]), f"{model} ({shown['confidence']:.2f})"
