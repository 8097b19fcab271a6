"""Votes: what each annotator said last of one example, and what more than half of them say."""

from collections import Counter
from collections.abc import Iterable, Mapping

from dal_nlp.ledger.answer_events import AnswerEvent, RemovedEvent

#: By annotator, the last answer of each.
Votes = Mapping[str, AnswerEvent]


def after(votes: dict[str, AnswerEvent], event: AnswerEvent | RemovedEvent) -> dict[str, AnswerEvent]:
    """Return the votes after an event, which may change ``votes``; majorities, final words and machines have none."""
    if isinstance(event, RemovedEvent):
        return {by: vote for by, vote in votes.items() if event.whose not in (None, by)}
    if event.signed and not event.final:
        votes[event.by] = event
    return votes


def last_votes(events: Iterable[AnswerEvent | RemovedEvent]) -> Votes:
    """Return the votes in what was said of one example."""
    votes: dict[str, AnswerEvent] = {}
    for event in events:
        votes = after(votes, event)
    return votes


def majority(votes: Votes) -> AnswerEvent | None:
    """Return the answer that more than half of those who answered gave; all refusals are a refusal, a tie is None."""
    labels = [event for event in votes.values() if event.answered]
    if not labels:
        return next(iter(votes.values()), None)
    ((best, count),) = Counter(event.key for event in labels).most_common(1)
    return next(event for event in labels if event.key == best) if 2 * count > len(labels) else None
