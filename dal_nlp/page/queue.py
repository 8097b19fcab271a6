"""Several people at one run at the same time: who is given what, and what becomes of their answers.

Only the ledger is kept. Who looks at what is a courtesy that a restart forgets: nothing depends on it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dal_nlp.annotation.answer_store import UNDO, AnswerStore
from dal_nlp.annotation.answers import Label, Origin, Skip
from dal_nlp.annotation.parsing import REASONS
from dal_nlp.core.errors import UserError
from dal_nlp.ledger.answer_events import LISTED
from dal_nlp.ledger.events import AnswerEvent, Event, LabelEvent, RemovedEvent, SkipEvent
from dal_nlp.ledger.ledger import Ledger, read_events
from dal_nlp.page.given import PageAnswer, check_name, plain
from dal_nlp.page.pace import Pace
from dal_nlp.page.views import AT_ONCE, Json, Views

#: The channels of an answer to one text, and of each that is given to a list of texts.
VIA = "page"
#: Seconds without a sign of life after which what somebody looks at is given to others too.
PATIENCE = 180
#: Requests whose repetition is known: a browser that got no reply sends its answer again.
REMEMBERED = 4096


@dataclass
class _Held:
    """What one tab looks at: the example, what was shown as the model's answer, and how long it stays its own."""

    id: str
    shown: Json | None
    until: float


@dataclass
class _HeldList:
    """What one tab lists: what was shown as the model's answer, by the ids, and how long they stay its own."""

    label: str
    shown: dict[str, Json]
    until: float


class AnnotationQueue:
    """A run folder that several people answer in while a model trains; every method may be called by any thread.

    Args:
        store: Of the run, open for writing.
        ledger: Of the run, the same that the store writes to.
        clock: Seconds that only go forward.

    Attributes:
        views: What the page shows of it.
    """

    def __init__(self, store: AnswerStore, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self.store, self._ledger, self._clock = store, ledger, clock
        self.views, self._pace = Views(store), Pace()
        self._changed = threading.Condition()
        self._held: dict[str, _Held] = {}
        self._lists: dict[str, _HeldList] = {}
        self._requests: dict[str, str] = {}  # the ids that they were about
        self._said, self._trouble, self._busy = "", "", True
        #: By name, what was answered, in that order: the id, and whether it was to settle a dispute.
        self._acts: dict[str, dict[tuple[str, bool], None]] = {}
        for event in read_events(ledger.path):
            self._note(event)
        ledger.subscribe(self._note)

    # What the pages ask for

    def next(self, who: str, tab: str) -> Json | None:
        """Return what a tab is to show now, None where there is nothing to do for this person at present.

        Raises:
            UserError: A name that cannot be one.
        """
        with self._changed:
            self._check_name(who)
            now, held = self._clock(), self._held.get(tab)
            self._lists.pop(tab, None)  # it looks at one text now
            queue = self.store.line(who)
            if held and held.id in queue:
                held.until = now + PATIENCE
                return self.views.item(held.id, held.shown, who)
            taken = self._taken(tab)
            free = next((id for id in queue if id not in taken), None)
            return self._hand_out(free, who, tab) if free is not None else None

    def open(self, who: str, tab: str, id: str) -> Json:
        """Return an example that this person has answered, for a correction, or one that is disputed, to be settled.

        Raises:
            UserError: It is neither.
        """
        with self._changed:
            self._check_name(who)
            self.store.require(id)
            if who not in self.views.votes(id) and id not in self.store.disputed():
                raise UserError(f"{id!r} is not disputed, and {who!r} has not answered it: choose one of the lists.")
            return self._hand_out(id, who, tab)

    def answer(self, who: str, tab: str, page_answer: PageAnswer) -> Json:
        """Write an answer down; it is on the disk when this returns.

        The same answer of the same person is written once, and a request counts once, however often and in which order
        they arrive. What no round could learn from any more is not taken, and "wanted" is false then.

        Raises:
            UserError: An answer that cannot be used, with the reason; a name or an id that cannot be right.
        """
        id = page_answer.id
        with self._change():
            self._check_name(who)
            self.store.require(id)
            held = self._held.get(tab)
            shown = held.shown if held and held.id == id else None
            wanted = self.store.wants(id)
            if wanted and page_answer.request not in self._requests:
                note = " ".join(page_answer.note.split())
                origin = self.store.origin(who, VIA, shown, page_answer.final, note, page_answer.request)
                answer = self._read_answer(page_answer, origin)
                before = self.views.votes(id).get(who)
                again = before is not None and before.key == answer.key and before.note == note
                if page_answer.final or not again:
                    self.store.write(answer)
                elif page_answer.request:
                    self._remember(page_answer.request, id)
            if held and held.id == id:
                del self._held[tab]
            return {"disputed": id in self.store.disputed(), "wanted": wanted}

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
            state = self.store.state
            old = [state.audit or []] if state.round else []
            old += [query.ids for query in state.queries if query.round < state.round]
            before = self._before_the_last_word(id) if final else None
            if before is not None:
                self.store.restore(id, before, request)
            elif not state.stopped and not any(id in ids for ids in old):
                self.store.remove(id, who, VIA, whose=who, request=request)
            return self._hand_out(id, who, tab)

    def _before_the_last_word(self, id: str) -> AnswerEvent | None:
        """Return what was decided before a dispute was settled, None where nothing was."""
        decided = [event for event in self.store.state.given[id] if isinstance(event, LabelEvent | SkipEvent)]
        return next((event for event in reversed(decided[:-1]) if not event.final), None)

    def suggested(self, who: str, tab: str, label: str = "") -> Json:
        """Return up to ``AT_ONCE`` texts for which the model suggests one label, and how many there are of each.

        Args:
            who: The person.
            tab: That is to list them; they are not given to others meanwhile.
            label: The one; "" for the label that is suggested most often.
        """
        with self._changed:
            self._check_name(who)
            taken = self._taken(tab)
            groups = self.views.suggestions(id for id in self.store.line(who) if id not in taken)
            counts = dict(sorted(((name, len(ids)) for name, ids in groups.items()), key=lambda one: -one[1]))
            chosen = label if label in groups else next(iter(counts), "")
            listed = dict(list(groups.get(chosen, {}).items())[:AT_ONCE])
            self._lists[tab] = _HeldList(chosen, listed, self._clock() + PATIENCE)
            rows = [self.views.suggested(id, suggestion) for id, suggestion in listed.items()]
            return {"label": chosen, "groups": list(counts.items()), "rows": rows}

    def accept(self, who: str, tab: str, ids: Sequence[str], request: str) -> Json:
        """Write the label of a tab's list down as this person's answer to some of its texts, one by one.

        Each is an answer of its own, whose channel says that it came from a list. A request counts once.

        Raises:
            UserError: Something is not in the list that the tab was shown last.
        """
        with self._change():
            self._check_name(who)
            there = self._lists.get(tab)
            new = [(id, key) for i, id in enumerate(ids) if (key := f"{request}-{i}") not in self._requests]
            if new and (there is None or not there.shown.keys() >= set(ids)):
                raise UserError("The list is an old one: open it again.")
            count = 0
            for id, key in new:
                assert there is not None
                if self.store.wants(id) and who not in self.views.votes(id):
                    origin = self.store.origin(who, LISTED, there.shown[id], request=key)
                    self.store.write(self._read_answer(PageAnswer(id, there.label), origin))
                    count += 1
            return {"written": count, "left_out": len(new) - count}

    def leave(self, tab: str) -> None:
        """Let others have what a tab was shown."""
        with self._changed:
            self._held.pop(tab, None)
            self._lists.pop(tab, None)

    def mine(self, who: str, find: str = "", label: str = "") -> list[Json]:
        """Return the last answers of a person, the newest first; see ``Views.earlier``."""
        with self._changed:
            acts = reversed(self._acts.get(who, {}))
            asks = (id for id, final in acts if not final and self.store.state.asks(id))
            return self.views.earlier(who, asks, find, label)

    def disputes(self) -> list[Json]:
        """Return what people disagree about, with the answer of each."""
        with self._changed:
            return [{**self.views.listed(id), "said": self.views.opinions(id)} for id in self.store.disputed()]

    def progress(self, who: str, tab: str, active: bool) -> Json:
        """Return where the run stands; ``active`` says that somebody is at work on what the tab shows."""
        with self._changed:
            state, config = self.store.state, self.store.config
            for held in (self._held.get(tab), self._lists.get(tab)):
                if active and held:
                    held.until = self._clock() + PATIENCE
            batch = state.queries[-1].ids if state.queries else []
            if state.pending(state.audit or []):
                batch = state.audit or []
            left, each = len(state.pending(batch)), self._pace.seconds()
            return {
                "labels": state.spent,
                "budget": config.budget,
                "round": len(state.queries) - 1,
                "audit": bool(state.pending(state.audit or [])),
                "batch": len(batch),
                "done": len(batch) - left,
                "seconds_each": self._pace.seconds(who),
                "seconds_left": None if each is None else left * each,
                "mine": len({id for id, _ in self._acts.get(who, {})}),
                "disputed": len(self.store.disputed()),
                "learning": self._busy and state.stopped is None and not self._trouble,
                "said": self._said,
                "trouble": self._trouble,
                "stopped": state.stopped,
                "curve": self.views.curve(),
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
            self._changed.wait_for(lambda: not self.store.state.pending(list(ids)))
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
            self._pace.note(event.by, event.at)
            act = id, event.final
            mine = self._acts.setdefault(event.by, {})
            mine.pop(act, None)
            mine[act] = None

    def _taken(self, tab: str) -> set[str]:
        """Return what other tabs look at."""
        now = self._clock()
        held = {one.id for name, one in self._held.items() if name != tab and one.until > now}
        return held.union(*(one.shown for name, one in self._lists.items() if name != tab and one.until > now))

    def _check_name(self, who: str) -> None:
        check_name(who, self.store.config.annotators or [])

    def _read_answer(self, page_answer: PageAnswer, origin: Origin) -> Label | Skip:
        if not plain(origin.note):
            raise UserError("A note holds letters, and nothing invisible: write it again.")
        if page_answer.refusal:
            return Skip(page_answer.id, REASONS[page_answer.refusal], origin)
        try:
            return self.store.read(page_answer.id, page_answer.text, origin)
        except ValueError as error:
            raise UserError(f"{str(error)[:300].rstrip('.')}.") from None

    def _remember(self, request: str, id: str) -> None:
        self._requests[request] = id
        while len(self._requests) > REMEMBERED:
            del self._requests[next(iter(self._requests))]

    def _hand_out(self, id: str, who: str, tab: str) -> Json:
        """Give an example to a tab."""
        wanted = self.store.config.suggest or self.store.task.answer_format.widget().drafted
        shown = self.store.suggestion(id) if wanted else None
        now = self._clock()
        self._held = {name: held for name, held in self._held.items() if held.until > now or name == tab}
        self._held[tab] = _Held(id, shown, now + PATIENCE)
        return self.views.item(id, shown, who)
