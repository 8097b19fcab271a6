"""Several people and one example: who is asked, what they said, and what that comes to."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from dal_nlp.annotation.answers import Answer, Label, Opinion, Origin, Skip
from dal_nlp.annotation.parsing import now
from dal_nlp.core.config import Settings
from dal_nlp.core.rng import rng_for
from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.ledger.events import RemovedEvent
from dal_nlp.ledger.state import State
from dal_nlp.ledger.votes import last_votes, majority


def assign(config: Settings, ids: Sequence[str], number: int | None) -> dict[str, list[str]]:
    """Return which of a round's ``ids`` each annotator gets, in that order; {} where nobody is named.

    The round is ``number``, None for the audit sample. A share of them, ``config.overlap``, goes to everybody; the rest
    are assigned one by one.
    """
    drawn = _draw_annotators(tuple(config.annotators or ()), config.overlap, config.seed, tuple(ids), number)
    return {name: [id for id in ids if name in drawn[id]] for name in config.annotators or []}


@lru_cache(1024)
def _draw_annotators(
    names: tuple[str, ...], overlap: float, seed: int, ids: tuple[str, ...], number: int | None
) -> Mapping[str, tuple[str, ...]]:
    """Return who gets each of a round's ids: it is asked for at every answer, and stays the same."""
    if not names:
        return {}
    rng = rng_for(seed, number or 0, "overlap" if number is not None else "overlap of the audit sample")
    count = math.ceil(round(overlap * len(ids), 9))  # 0.1 x 30 is 3, whatever floating point says
    shared = {ids[i] for i in rng.permutation(len(ids))[:count]}
    alone = [id for id in ids if id not in shared]
    return dict.fromkeys(shared, names) | {id: (names[i % len(names)],) for i, id in enumerate(alone)}


def assign_overflow(config: Settings, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return which of an overflow's ``ids`` each annotator gets, one by one; {} where nobody is named."""
    names = config.annotators or []
    return {name: list(ids[start :: len(names)]) for start, name in enumerate(names)}


def assigned(config: Settings, state: State, numbers: Iterable[int | None]) -> dict[str, list[str]]:
    """Return which examples each annotator was assigned in some rounds and all overflows; {} where nobody is named."""
    parts = [assign(config, state.asked[number], number) for number in numbers]
    parts += [assign_overflow(config, state.overflow(round)) for round in state.overflows]
    return {name: [id for one in parts for id in one[name]] for name in config.annotators or []}


def voters(config: Settings, state: State, id: str) -> list[str]:
    """Return who is to answer an example, [] where anybody may: those it was assigned to when last asked about."""
    names = config.annotators
    if not names:
        return []
    if id not in state.ever_asked:
        return []
    number = state.asked_by(id)
    rest = state.overflow(number) if number is not None else []
    if id in rest:
        return [names[rest.index(id) % len(names)]]
    return list(_draw_annotators(tuple(names), config.overlap, config.seed, tuple(state.asked[number]), number)[id])


def in_conflict(config: Settings, state: State, id: str) -> bool:
    """Tell whether people disagree about an example, and neither a majority nor a final word has settled it."""
    votes, standing = state.opinions.get(id, {}), state.decision(id)
    if standing is not None and standing.final:
        start = state.given[id].index(standing)
        later = last_votes(state.given[id][start:])
        return any(vote.key != standing.key for vote in later.values())
    if not votes or not set(voters(config, state, id)) <= votes.keys():
        return False
    winner = majority(votes)
    return winner is None or (standing is not None and winner.key != standing.key)


class Disputes:
    """What people disagree about; an example is looked at again once something was said of it, or a round asked."""

    def __init__(self, config: Settings, state: State) -> None:
        self._config, self._state = config, state
        self._known: dict[str, tuple[tuple[int, int], bool]] = {}

    def ids(self) -> list[str]:
        """Return the examples to adjudicate, those that the run waits for first."""
        state, rounds = self._state, len(self._state.asked) + len(self._state.overflows)
        for id, events in state.given.items():
            now = len(events), rounds  # nothing else changes the answer
            if id not in self._known or self._known[id][0] != now:
                self._known[id] = now, len(events) > 1 and in_conflict(self._config, state, id)
        return sorted((id for id, (_, so) in self._known.items() if so), key=lambda id: id in state.answers)


def conflicts(config: Settings, state: State) -> list[str]:
    """Return what people disagree about; see ``Disputes``."""
    return Disputes(config, state).ids()


def is_new(state: State, answer: Label | Skip) -> bool:
    """Tell whether an answer in a file says anything that its annotator, or that file, has not said last already.

    What was removed may be said again by the same person, elsewhere.
    """
    origin, events = answer.origin, state.given.get(answer.id, [])
    assert origin is not None
    removals = [
        number
        for number, event in enumerate(events, start=1)
        if isinstance(event, RemovedEvent) and event.whose in (None, origin.by)
    ]
    by = [event for event in events[max(removals, default=0) :] if event.by == origin.by]
    via = [event for event in events if event.via == origin.via]
    last = ([event for event in group if not isinstance(event, RemovedEvent)][-1:] for group in (by, via))
    return all(event.key != answer.key for events in last for event in events)


def record(config: Settings, state: State, answer: Label | Skip) -> Iterator[Answer]:
    """Yield what is to be written down of one person's answer; ``state`` has to hold what was yielded before.

    An answer counts at once where one person is asked. Where several are, it is kept until all have answered, and a
    majority counts; and what another person has answered already is not overwritten, but disputed.
    """
    origin, people, standing = answer.origin, voters(config, state, answer.id), state.decision(answer.id)
    assert origin is not None
    refused = standing is not None and not standing.answered and not standing.final
    mine = standing is None or refused or standing.by == origin.by
    if origin.final or (len(people) < 2 and mine):
        yield answer
        return
    yield Opinion(answer)
    yield from resolve(config, state, answer.id)


def resolve(config: Settings, state: State, id: str) -> Iterator[Label | Skip]:
    """Yield what several people's answers come to once all are there, unless that is known or they are in conflict."""
    people, votes, standing = voters(config, state, id), state.opinions.get(id, {}), state.decision(id)
    alone = len(people) < 2 and (standing is not None or not votes)  # else its answer was taken back, others' are left
    if alone or not set(people) <= votes.keys() or (standing is not None and standing.final):
        return
    winner = majority(votes)
    if winner is None or (standing is not None and standing.key == winner.key):
        return
    origin = Origin(MAJORITY, now(), "votes")
    yield Label(id, winner.target, origin) if winner.reason is None else Skip(id, winner.reason, origin)
