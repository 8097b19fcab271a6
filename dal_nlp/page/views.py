"""What the page shows of a run folder, as JSON values: the widget, an example with what was answered, and lists."""

from collections.abc import Iterable, Mapping
from typing import Any

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.parsing import write_answer
from dal_nlp.core.guidelines import Guidelines
from dal_nlp.core.targets import Target
from dal_nlp.data.examples import context_of
from dal_nlp.ledger.events import AnswerEvent

#: Characters of a text in the list of earlier answers, and of one in the list of suggestions.
EXCERPT, LONG_EXCERPT = 120, 600
#: How many earlier answers are listed, and how many suggestions of one label.
LISTED, AT_ONCE = 100, 20
#: What stands for all refusals where earlier answers are chosen by their label.
REFUSED = "skip"

Json = dict[str, Any]


class Views:
    """Makes the values that the page shows; whoever calls it holds the lock of the queue.

    Args:
        store: Of the run.
    """

    def __init__(self, store: AnswerStore) -> None:
        self.store = store

    def about(self) -> Json:
        """Return what does not change: the widget, the guidelines, who may answer, and what there is to do."""
        store, config = self.store, self.store.config
        widget = store.task.answer_format.widget()
        told = Guidelines.of(config, store.task.labels)
        return {
            "run": store.folder.resolve().name,
            "widget": {"name": widget.name, "data": dict(widget.data)},
            "annotators": config.annotators or [],
            "guidelines": told.tree(),
            "labels": [
                {"name": one.name, "about": one.about, "examples": list(one.examples), "color": one.color}
                for one in told.labels
            ],
            "suggests": config.suggest or widget.drafted,
            "lists": config.suggest and bool(store.task.answer_format.classes),
            "several": config.overlap > 0,
            "listed": LISTED,
            "refused": REFUSED,
        }

    def item(self, id: str, shown: Json | None, who: str) -> Json:
        """Return an example as one person sees it; ``shown`` is the model's answer."""
        store, task, example = self.store, self.store.task, self.store.example(id)
        before = self.votes(id).get(who)
        events = [event for event in store.state.given.get(id, []) if isinstance(event, AnswerEvent)]
        last = next((event for event in reversed(events) if event.by == who), None)
        round = store.round_of(id)
        return {
            "id": id,
            "chosen": round is not None
            and {
                "round": round,
                "after": id in store.state.overflow(round),
                "strategy": store.state.queries[round].strategy,
            },
            "context": [{"name": name, "text": text} for name, text in context_of(example).items()],
            "texts": [
                {"name": name, "text": text} for name, text in zip(task.columns(), task.texts(example), strict=True)
            ],
            "suggestion": shown
            and {**self._shown(shown["target"], id), "confidence": shown["confidence"], "by": shown.get("by", "")},
            "answer": self._answer(before, id) if before else None,
            "taken": self._answer(last, id) if last and not before else None,
            "note": last.note if last else "",
            "said": self.opinions(id) if id in store.disputed() else [],
        }

    def earlier(self, who: str, ids: Iterable[str], find: str, label: str) -> list[Json]:
        """Return some answers of one person.

        Args:
            who: The person.
            ids: Of what was answered, in the order in which it is listed.
            find: Letters, whatever their case, in the text, the id, the answer or the note; "" for anything.
            label: That the answer holds, or ``REFUSED``; "" for any.
        """
        rows, letters = list[Json](), find.casefold()
        for id in ids:
            event = self.votes(id)[who]
            if label and not self._holds(event, label):
                continue
            answer = self._typed(event, id)
            text = self._text(id)
            if any(letters in part.casefold() for part in (text, id, answer, event.note)):
                rows.append({"id": id, "text": _cut(text, EXCERPT), "answer": answer})
            if len(rows) == LISTED:
                break
        return rows

    def listed(self, id: str) -> Json:
        """Return an example as a line of a list."""
        return {"id": id, "text": _cut(self._text(id), EXCERPT)}

    def suggested(self, id: str, shown: Json) -> Json:
        """Return an example as a line of the list of suggestions, with how many characters are not shown."""
        text = self._text(id)
        return {
            "id": id,
            "text": text[:LONG_EXCERPT],
            "more": max(0, len(text) - LONG_EXCERPT),
            "confidence": shown["confidence"],
        }

    def suggestions(self, ids: Iterable[str]) -> dict[str, dict[str, Json]]:
        """Return what the model suggests for some texts, by the label and the id; answers have to be one label each."""
        store, kind, groups = self.store, self.store.task.answer_format, dict[str, dict[str, Json]]()
        for id in ids if store.config.suggest and kind.classes else ():
            shown = store.suggestion(id)
            if shown:
                groups.setdefault(kind.format_answer(shown["target"], store.example(id)), {})[id] = shown
        return groups

    def curve(self) -> list[Json]:
        """Return what was measured after each round."""
        return [
            {"labels": event.labels, "values": event.defined(), "intervals": event.intervals}
            for event in self.store.state.metrics
        ]

    def opinions(self, id: str) -> list[Json]:
        """Return what people have answered, with their names."""
        return [{"by": by, "typed": self._typed(event, id)} for by, event in self.votes(id).items()]

    def votes(self, id: str) -> Mapping[str, AnswerEvent]:
        """Return the last answer of each annotator."""
        return self.store.state.opinions.get(id, {})

    def _holds(self, event: AnswerEvent, label: str) -> bool:
        if not event.answered:
            return label == REFUSED
        return label in map(str, self.store.task.answer_format.labels_of(event.target))

    def _answer(self, event: AnswerEvent, id: str) -> Json:
        """Return an answer as it would be typed, and what the widget needs to show it."""
        return self._shown(event.target, id) if event.answered else {"typed": self._typed(event, id)}

    def _shown(self, target: Target, id: str) -> Json:
        kind = self.store.task.answer_format
        return {"typed": kind.format_answer(target, self.store.example(id)), **kind.shown_value(target)}

    def _typed(self, event: AnswerEvent, id: str) -> str:
        return write_answer(self.store.task, event, self.store.example(id))

    def _text(self, id: str) -> str:
        return " ".join(self.store.task.show(self.store.example(id)).split())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."
