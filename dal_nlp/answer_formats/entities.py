"""The answer format of entities: any number of parts of a text, each with a label."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dal_nlp.answer_formats.entity_markup import NONE, read_markup, write_markup
from dal_nlp.answer_formats.entity_spans import likely_cause, read_spans
from dal_nlp.answer_formats.entity_tags import runs_of_tags, tags_of_text
from dal_nlp.answer_formats.label import FEW, LabelFormat, button_data, named, numbered
from dal_nlp.answer_formats.studio import ABOUT, ANSWER, place_of, quoted, result, texts_of, values_of
from dal_nlp.core.answer_format import REFUSALS, AgreementMeasure, AnswerFormat, StudioResult, TerminalPrompt, Widget
from dal_nlp.core.errors import RowError
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example
from dal_nlp.data.entities import Span, answer_of, runs_of, runs_of_spans, spans_of, words_of
from dal_nlp.readers.entities.conll import DOCUMENT, TEXT
from dal_nlp.readers.entities.tags import TaggedSpan


@dataclass(frozen=True)
class EntityFormat(AnswerFormat):
    """Parts of a text, each with a label; a target is one of ``data.entities``.

    Attributes:
        labels: All of them.
        agreement: See ``AnswerFormat``.
    """

    labels: Sequence[str]
    agreement: AgreementMeasure

    def parse_answer(self, typed: str, example: Example) -> Target:
        """Return the entities that are marked in what was typed; see ``entity_markup``.

        A label may be written by its number. What a file holds for an answer is taken too: JSON text, or tags with
        blanks between.

        Raises:
            ValueError: With the place of the fault.
        """
        if typed.strip() == "[]" or typed.lstrip().startswith(("[{", '["', "[[")):
            runs = _runs_of_json(typed, example)
        elif (tags := _typed_tags(typed, example["text"])) is not None:
            runs = runs_of_tags(tags, example)
        else:
            runs = runs_of_spans(read_markup(typed, example), example)
        return answer_of([TaggedSpan(first, last, self._meant(label)) for first, last, label in runs], example)

    def _meant(self, label: str) -> str:
        numbers = numbered(self.labels, False)
        return numbers.get(label) or LabelFormat(self.labels, self.agreement).label_meant(label)

    def format_answer(self, target: Target, example: Example) -> str:
        """Return the text with its entities marked, or that there is none."""
        return write_markup(example["text"], spans_of(target))

    def labels_of(self, target: Target) -> Sequence[str]:
        """Return the labels of the entities, each once."""
        return list(dict.fromkeys(run.label for run in runs_of(target)))

    def sheet_hint(self) -> str:
        """Return how entities are marked, the labels, if they are few, and the refusals."""
        few = f"with {'one of ' if len(self.labels) <= FEW else ''}{named(self.labels)}"
        return f"the text with [words](label) for each entity, {few}; or these alone; {NONE}; {' or '.join(REFUSALS)}"

    def terminal(self, by_key: bool) -> TerminalPrompt:
        """Return a prompt for marked entities; a label may be written by its number."""
        listed = ", ".join(f"{number} {label}" for number, label in numbered(self.labels, False).items())
        return TerminalPrompt(
            f"Type each entity as [words](label), several after each other, or {NONE}; labels: {listed}"
        )

    def widget(self) -> Widget:
        """Return the text to select in, and a button for each label."""
        return Widget("entities", {**button_data(self.labels), "none": NONE})

    def shown_value(self, target: Target) -> dict[str, Any]:
        """Return where the entities are, in characters."""
        return {"spans": [list(span) for span in spans_of(target)]}

    def studio_controls(self, text: str) -> list[str]:
        """Return the labels above the text."""
        labels = "".join(f"<Label value={quoted(label)}/>" for label in self.labels)
        return [f'<Labels name="{ANSWER}" toName="{ABOUT}">{labels}</Labels>', text]

    def studio_results(self, target: Target) -> list[StudioResult]:
        """Return a span for each entity."""
        return [
            result(
                "labels",
                ANSWER,
                {"start": start, "end": end, "text": text.removesuffix(f" ({label})"), "labels": [label]},
            )
            for (start, end, label), text in zip(spans_of(target), target["text"], strict=False)
        ]

    def read_studio_results(self, results: Sequence[Mapping[str, Any]], example: Example, control: str) -> str:
        """Return the spans, which are checked against the text; an annotation without any says that there is none."""
        spans = []
        for value in values_of(results, control):
            labels = texts_of([value], "labels")
            if len(labels) != 1:
                raise ValueError(f"it has a span with {len(labels)} labels: give each span one")
            spans.append(Span(*place_of(example["text"], value), labels[0]))
        return write_markup(example["text"], sorted(spans))

    def cell(self, target: Target, example: Example) -> Any:
        """Return BIO tags for an example that was given as words, and marked parts for one that was given as a text."""
        return target["tags"] if example["tokenized"] else _as_objects(spans_of(target), example["text"])

    def text_cell(self, target: Target, example: Example) -> str:
        """Return the text with its entities marked: a table has the text in place of the words."""
        return self.format_answer(target, example)

    def feature(self) -> Any:
        """Return nothing: words have tags and texts have marked parts, as their rows show."""
        return None

    @property
    def further_files(self) -> Mapping[str, Callable[[Target, Example], str]]:
        """What is written in the formats of the field: CoNLL's columns, and the lines of Prodigy and spaCy."""
        return {"conll": _conll, "prodigy": _prodigy}


def _typed_tags(typed: str, text: str) -> list[str] | None:
    """Return the tags that were typed with blanks between, None for anything else, such as the text itself."""
    plain = "[" not in typed and typed.split() != text.split()
    return tags_of_text(typed, text) if plain else None


def _runs_of_json(typed: str, example: Example) -> list[TaggedSpan]:
    """Return the entities in JSON text: marked parts as files have them, or a tag for each word."""
    try:
        value = json.loads(typed)
    except ValueError:
        value = None
    if not isinstance(value, list) or any(isinstance(one, int | float) for one in value):
        raise ValueError(
            'it begins as JSON and is neither a list of {"start": 0, "end": 6, "label": "..."} nor of a tag for each '
            "word of the text"
        )
    if value and all(isinstance(tag, str) for tag in value):
        return runs_of_tags(value, example)
    spans: list[Span] = []
    try:
        spans += read_spans(value, example["text"])
        return runs_of_spans(spans, example)
    except RowError as error:
        raise ValueError(f"it {error}") from None
    except ValueError as error:
        raise ValueError(f"{error}{likely_cause(spans, example)}") from None


def _as_objects(spans: Sequence[Span], text: str) -> list[dict[str, Any]]:
    return [{"start": i, "end": j, "label": label, "text": text[i:j]} for i, j, label in spans]


def _conll(target: Target, example: Example) -> str:
    """Return a word and its tag a line, and an empty line; a word of blanks alone is an underscore there."""
    words = [" ".join(word.split()) or "_" for word in words_of(example)]
    lines = [f"{word}\t{tag}\n" for word, tag in zip(words, target["tags"], strict=True)]
    marked = any(word.startswith(DOCUMENT) for word in words)  # which would end a document
    return "".join([f"{TEXT}{' '.join(words)}\n" * marked, *lines, "\n"])


def _prodigy(target: Target, example: Example) -> str:
    """Return a line of Prodigy's with text, words and spans; spaCy's converters read it."""
    words = zip(words_of(example), example["starts"], example["ends"], strict=True)
    tokens = [{"text": word, "start": i, "end": j, "id": number} for number, (word, i, j) in enumerate(words)]
    spans = [
        {"start": i, "end": j, "label": label, "token_start": run.first, "token_end": run.last - 1}
        for (i, j, label), run in zip(spans_of(target), runs_of(target), strict=True)
    ]
    row = {"text": example["text"], "tokens": tokens, "spans": spans, "answer": "accept", "meta": {"id": example["id"]}}
    return json.dumps(row, ensure_ascii=False) + "\n"
