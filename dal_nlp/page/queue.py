"""Several people at one run at the same time: who is given what, and what becomes of their answers.

Only the ledger is kept. Who looks at what is a courtesy that a restart forgets: nothing depends on it.
"""

import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dal_nlp.annotation.answer_store import UNDO, AnswerStore
from dal_nlp.annotation.answers import Label, Origin, Skip
from dal_nlp.annotation.parsing import REASONS, write_answer
from dal_nlp.core.errors import UserError, nearest
from dal_nlp.core.targets import Target
from dal_nlp.data.examples import context_of
from dal_nlp.ledger.answer_events import MAJORITY
from dal_nlp.ledger.events import AnswerEvent, Event, LabelEvent, RemovedEvent, SkipEvent
from dal_nlp.ledger.ledger import Ledger, read_events
from dal_nlp.page.given import Given as Given

VIA = "page"
#: Seconds without a sign of life after which what somebody looks at is given to others too.
PATIENCE = 180
#: Characters of the longest name.
LONGEST_NAME = 60
#: Requests whose repetition is known: a browser that got no reply sends its answer again.
REMEMBERED = 4096
#: Characters of a text in the list of earlier answers, and how many of them are listed.
EXCERPT, LISTED = 120, 100

Json = dict[str, Any]


@dataclass
class _Held:
    """What one tab looks at: the example, what was shown as the model's answer, and how long it stays its own."""

    id: str
    shown: Json | None
    until: float


class AnnotationQueue:
    """A run folder that several people answer in while a model trains; every method may be called by any thread.

    Args:
        desk: Of the run, open for writing.
        ledger: Of the run, the same that the desk writes to.
        clock: Seconds that only go forward.
    """

    def __init__(self, desk: AnswerStore, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self.desk, self._ledger, self._clock = desk, ledger, clock
        self._changed = threading.Condition()
        self._held: dict[str, _Held] = {}
        self._requests: dict[str, str] = {}  # the ids that they were about
        self._said, self._trouble, self._busy = "", "", True
        #: By name, what was answered, in that order: the id, and whether it was to settle a dispute.
        self._acts: dict[str, dict[tuple[str, bool], None]] = {}
        for event in read_events(ledger.path):
            self._note(event)
        ledger.subscribe(self._note)

    # What the pages ask for

    def about(self) -> Json:
        """Return what does not change: the widget that answers are given in, and who may answer."""
        widget = self.desk.task.answer_format.widget()
        return {
            "run": self.desk.folder.resolve().name,
            "widget": {"name": widget.name, "help": widget.help, "data": dict(widget.data)},
            "annotators": self.desk.config.annotators or [],
        }

    def next(self, who: str, tab: str) -> Json | None:
        """Return what a tab is to show now, None where there is nothing to do for this person at present.

        Raises:
            UserError: A name that cannot be one.
        """
        with self._changed:
            self._check_name(who)
            now, held = self._clock(), self._held.get(tab)
            queue = self.desk.line(who)
            if held and held.id in queue:
                held.until = now + PATIENCE
                return self._item(held.id, held.shown, who)
            taken = {other.id for name, other in self._held.items() if name != tab and other.until > now}
            free = next((id for id in queue if id not in taken), None)
            return self._hand_out(free, who, tab) if free is not None else None

    def open(self, who: str, tab: str, id: str) -> Json:
        """Return an example that this person has answered, for a correction, or one that is disputed, to be settled.

        Raises:
            UserError: It is neither.
        """
        with self._changed:
            self._check_name(who)
            self.desk.require(id)
            if who not in self._votes(id) and id not in self.desk.disputed():
                raise UserError(f"{id!r} is not disputed, and {who!r} has not answered it: choose one of the lists.")
            return self._hand_out(id, who, tab)

    def answer(self, who: str, tab: str, given: Given) -> Json:
        """Write an answer down; it is on the disk when this returns.

        The same answer of the same person is written once, and a request counts once, however often and in which order
        they arrive. What no round could learn from any more is not taken, and "wanted" is false then.

        Raises:
            UserError: An answer that cannot be used, with the reason; a name or an id that cannot be right.
        """
        id = given.id
        with self._change():
            self._check_name(who)
            self.desk.require(id)
            held = self._held.get(tab)
            shown = held.shown if held and held.id == id else None
            wanted = self.desk.wants(id)
            if wanted and given.request not in self._requests:
                note = " ".join(given.note.split())
                origin = self.desk.origin(who, VIA, shown, given.final, note, given.request)
                answer = self._read_answer(given, origin)
                before = self._votes(id).get(who)
                again = before is not None and before.key == answer.key and before.note == note
                if given.final or not again:
                    self.desk.write(answer)
                elif given.request:
                    self._remember(given.request, id)
            if held and held.id == id:
                del self._held[tab]
            return {"disputed": id in self.desk.disputed(), "wanted": wanted}

    def undo(self, who: str, tab: str, request: str = "") -> Json | None:
        """Take the last answer of a person back and return its example; None where there is none.

        The example comes with what was answered under "taken", to be changed. What a model has learnt from already is
        not taken back but shown for a correction, so that no round loses it. A request counts once.
        """
        with self._change():
            self._check_name(who)
            if request in self._requests:
                return self._hand_out(self._requests[request], who, tab)
            id, final = next(reversed(self._acts.get(who, {})), ("", False))
            if not id:
                return None
            state = self.desk.state
            old = [state.audit or []] if state.round else []
            old += [query.ids for query in state.queries if query.round < state.round]
            before = self._before_the_last_word(id) if final else None
            if before is not None:
                self.desk.restore(id, before, request)
            elif not state.stopped and not any(id in ids for ids in old):
                self.desk.remove(id, who, VIA, whose=who, request=request)
            return self._hand_out(id, who, tab)

    def _before_the_last_word(self, id: str) -> AnswerEvent | None:
        """Return what was decided before a dispute was settled, None where nothing was."""
        decided = [event for event in self.desk.state.given[id] if isinstance(event, LabelEvent | SkipEvent)]
        return next((event for event in reversed(decided[:-1]) if not event.final), None)

    def leave(self, tab: str) -> None:
        """Let others have what a tab was shown."""
        with self._changed:
            self._held.pop(tab, None)

    def mine(self, who: str) -> list[Json]:
        """Return the last answers of a person, the newest first."""
        with self._changed:
            state = self.desk.state
            found = list[Json]()
            for id, final in reversed(self._acts.get(who, {})):
                if not final and state.asks(id) and len(found) < LISTED:
                    found.append({**self._listed(id), "answer": self._typed(self._votes(id)[who], id)})
            return found

    def disputes(self) -> list[Json]:
        """Return what people disagree about, with the answer of each."""
        with self._changed:
            return [{**self._listed(id), "said": self._opinions(id)} for id in self.desk.disputed()]

    def progress(self, who: str, tab: str, active: bool) -> Json:
        """Return where the run stands; ``active`` says that somebody is at work on what the tab shows."""
        with self._changed:
            state, config = self.desk.state, self.desk.config
            if active and tab in self._held:
                self._held[tab].until = self._clock() + PATIENCE
            batch = state.queries[-1].ids if state.queries else []
            if state.pending(state.audit or []):
                batch = state.audit or []
            return {
                "labels": state.spent,
                "budget": config.budget,
                "round": len(state.queries) - 1,
                "audit": bool(state.pending(state.audit or [])),
                "batch": len(batch),
                "done": len(batch) - len(state.pending(batch)),
                "mine": len({id for id, _ in self._acts.get(who, {})}),
                "disputed": len(self.desk.disputed()),
                "learning": self._busy and state.stopped is None and not self._trouble,
                "said": self._said,
                "trouble": self._trouble,
                "stopped": state.stopped,
                "curve": [
                    {"labels": event.labels, "values": event.defined(), "intervals": event.intervals}
                    for event in state.metrics
                ],
            }

    # What the run that trains asks for

    def append(self, events: Sequence[Event]) -> int:
        """Write events of the run down; return where the ledger ends then, in bytes."""
        with self._change():
            self._ledger.extend(events)
            return self._ledger.end

    def wait(self, ids: Sequence[str]) -> int:
        """Wait until all of ``ids`` have an answer or a skip; return where the ledger ends then, in bytes."""
        with self._changed:
            self._busy = False
            self._changed.wait_for(lambda: not self.desk.state.pending(list(ids)))
            self._busy = True
            return self._ledger.end

    def say(self, text: str) -> None:
        """Show a sentence of the run."""
        with self._changed:
            self._said = text

    def fail(self, text: str) -> None:
        """Show why the run has ended before its time."""
        with self._changed:
            self._trouble = text

    # What they share

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Let one thread at a time write, and wake who waits for it."""
        with self._changed:
            try:
                yield
            finally:
                self._changed.notify_all()

    def _note(self, event: Event) -> None:
        """Take up who has answered what, the last one last, and whose requests these were."""
        if not isinstance(event, AnswerEvent | RemovedEvent):
            return
        id = event.id
        if event.request:
            self._remember(event.request, id)
        if event.via == UNDO:
            for acts in self._acts.values():
                acts.pop((id, True), None)
        elif isinstance(event, RemovedEvent):
            for name, acts in self._acts.items():
                if event.whose in (None, name):
                    acts.pop((id, False), None)
                    acts.pop((id, True), None)
        elif event.signed:
            act = id, event.final
            mine = self._acts.setdefault(event.by, {})
            mine.pop(act, None)
            mine[act] = None

    def _check_name(self, who: str) -> None:
        names = self.desk.config.annotators
        if names and who not in names:
            raise UserError(f"{who!r} is no annotator of this run{nearest(who, names)}: choose {' or '.join(names)}.")
        if not who.strip() or who != who.strip() or len(who) > LONGEST_NAME or not _plain(who) or who == MAJORITY:
            raise UserError(f"A name has 1 to {LONGEST_NAME} letters, none of them invisible, and is not 'majority'.")

    def _read_answer(self, given: Given, origin: Origin) -> Label | Skip:
        if not _plain(origin.note):
            raise UserError("A note holds letters, and nothing invisible: write it again.")
        if given.refusal:
            return Skip(given.id, REASONS[given.refusal], origin)
        try:
            return self.desk.read(given.id, given.text, origin)
        except ValueError as error:
            raise UserError(f"{str(error)[:300].rstrip('.')}.") from None

    def _remember(self, request: str, id: str) -> None:
        self._requests[request] = id
        while len(self._requests) > REMEMBERED:
            del self._requests[next(iter(self._requests))]

    def _hand_out(self, id: str, who: str, tab: str) -> Json:
        """Give an example to a tab."""
        wanted = self.desk.config.suggest or self.desk.task.answer_format.widget().drafted
        shown = self.desk.suggestion(id) if wanted else None
        now = self._clock()
        self._held = {name: held for name, held in self._held.items() if held.until > now or name == tab}
        self._held[tab] = _Held(id, shown, now + PATIENCE)
        return self._item(id, shown, who)

    def _item(self, id: str, shown: Json | None, who: str) -> Json:
        task, example = self.desk.task, self.desk.example(id)
        before = self._votes(id).get(who)
        said = [event for event in self.desk.state.given.get(id, []) if isinstance(event, AnswerEvent)]
        last = next((event for event in reversed(said) if event.by == who), None)
        suggestion = shown and {**self._shown(shown["target"], id), "confidence": shown["confidence"]}
        return {
            "id": id,
            "why": self.desk.why(id),
            "context": [{"name": name, "text": text} for name, text in context_of(example).items()],
            "texts": [
                {"name": name, "text": text} for name, text in zip(task.columns(), task.texts(example), strict=True)
            ],
            "suggestion": suggestion,
            "answer": self._answer(before, id) if before else None,
            "taken": self._answer(last, id) if last and not before else None,
            "note": last.note if last else "",
            "said": self._opinions(id) if id in self.desk.disputed() else [],
        }

    def _listed(self, id: str) -> Json:
        text = " ".join(self.desk.task.show(self.desk.example(id)).split())
        return {"id": id, "text": text if len(text) <= EXCERPT else f"{text[:EXCERPT]}..."}

    def _opinions(self, id: str) -> list[Json]:
        return [{"by": by, "typed": self._typed(event, id)} for by, event in self._votes(id).items()]

    def _votes(self, id: str) -> Mapping[str, AnswerEvent]:
        """Return the last answer of each annotator."""
        return self.desk.state.opinions.get(id, {})

    def _answer(self, event: AnswerEvent, id: str) -> Json:
        """Return an answer as it would be typed, and what the widget needs to show it."""
        return self._shown(event.target, id) if event.answered else {"typed": self._typed(event, id)}

    def _shown(self, target: Target, id: str) -> Json:
        kind = self.desk.task.answer_format
        return {"typed": kind.format_answer(target, self.desk.example(id)), **kind.shown_value(target)}

    def _typed(self, event: AnswerEvent, id: str) -> str:
        return write_answer(self.desk.task, event, self.desk.example(id))


def _plain(text: str) -> bool:
    """Tell whether a line holds nothing invisible but blanks, and joiners within words."""
    return all(unicodedata.category(c)[0] not in "CZ" or c in " \u200c\u200d" for c in text)
