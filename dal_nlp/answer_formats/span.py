"""The answer format of a part of a context, or of none where there may be no answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dal_nlp.answer_formats.label import button_data
from dal_nlp.answer_formats.studio import ABOUT, ANSWER, NONE, choice_tags, place_of, result, texts_of, values_of
from dal_nlp.core.answer_format import REFUSALS, AgreementMeasure, AnswerFormat, StudioResult, TerminalPrompt, Widget
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example
from dal_nlp.data.answer_spans import parts_like, places_of, read_answers

SPAN = "answer"  # Label Studio's label of a span; there is one kind
#: A key for ``read_answers`` in place of a file's column.
_COLUMN = "answer"


@dataclass(frozen=True)
class SpanFormat(AnswerFormat):
    """A part of the field ``context`` of an example.

    A target is {"text": [...], "answer_start": [...]}: the answers of one or several annotators and their first
    characters in the context; two empty lists are no answer.

    Attributes:
        agreement: See ``AnswerFormat``.
        none: What stands for no answer; "" where every question has one.
    """

    agreement: AgreementMeasure
    none: str = ""

    def parse_answer(self, typed: str, example: Example) -> Target:
        """Return the target of a text: a part of the context that is there once, or nothing for no answer.

        ``START:text`` says which of several places is meant, ``START-END`` gives the offsets alone (of the first
        character, and of the one behind the last), and what ``read_answers`` takes as JSON text is taken here too.

        Raises:
            ValueError: The context does not hold it, or more than once.
        """
        text, context = typed.strip(), example["context"]
        if self.none and text.casefold() in ("", self.none):
            return {"text": [], "answer_start": []}
        if not text:
            raise ValueError("an answer is missing: copy it from the context")
        if text.startswith("{"):
            target = read_answers({_COLUMN: text}, _COLUMN, context)
            if target is not None:
                return target
        number, colon, rest = text.partition(":")
        if colon and _is_number(number) and rest and context[int(number) :].startswith(rest):
            return {"text": [rest], "answer_start": [int(number)]}
        places = list(places_of(text, context))
        if len(places) > 1:
            shown = ", ".join(f"{position}:{text[:20]}" for position in places[:4])
            raise ValueError(f"the context holds {text[:60]!r} {len(places)} times: write which one, such as {shown}")
        if places:
            return {"text": [text], "answer_start": places}
        first, dash, last = text.partition("-")
        if dash and _is_number(first) and _is_number(last) and int(first) < int(last) <= len(context):
            return {"text": [context[int(first) : int(last)]], "answer_start": [int(first)]}
        alike = parts_like(text, context)
        if len(alike) == 1:
            ((begin, end),) = alike
            return {"text": [context[begin:end]], "answer_start": [begin]}
        if alike:
            shown = ", ".join(f"{begin}:{context[begin:end][:20]}" for begin, end in alike[:4])
            raise ValueError(f"the context holds {text[:60]!r} {len(alike)} times: write which one, such as {shown}")
        raise ValueError(f"the context does not hold {text[:60]!r}: copy the answer from it")

    def format_answer(self, target: Target, example: Example) -> str:
        """Return the answer alone where that is enough, else with its start, else everything as JSON."""
        texts: list[str] = target["text"]
        if not texts:
            return self.none
        ways = [texts[0], f"{target['answer_start'][0]}:{texts[0]}"] if len(texts) == 1 else []
        for way in ways:
            if way.casefold() not in REFUSALS and self._means(way, target, example):
                return way
        return json.dumps(target, ensure_ascii=False)

    def _means(self, answer: str, target: Target, example: Example) -> bool:
        try:
            return bool(self.parse_answer(answer, example) == target)
        except ValueError:
            return False

    @property
    def choices(self) -> Sequence[str]:
        """What stands for no answer, if there may be none."""
        return [self.none] if self.none else []

    def terminal(self, by_key: bool) -> TerminalPrompt:
        """Return a prompt below a context with offsets."""
        how = "Type the answer as it is in the text; START:text where it is there several times, or START-END"
        return TerminalPrompt(how, offsets=True)

    def widget(self) -> Widget:
        """Return the context to select in, and a button for no answer."""
        return Widget("span", button_data(self.choices))

    def shown_value(self, target: Target) -> dict[str, Any]:
        """Return where the first answer is, in characters."""
        if not target["text"]:
            return {}
        start = target["answer_start"][0]
        return {"start": start, "end": start + len(target["text"][0])}

    def studio_controls(self, text: str) -> list[str]:
        """Return the one kind of span above the text, and the choice of no answer below."""
        lines = [f'<Labels name="{ANSWER}" toName="{ABOUT}"><Label value="{SPAN}"/></Labels>', text]
        none = f'<Choices name="{NONE}" toName="{ABOUT}">{choice_tags(self.choices)}</Choices>'
        return [*lines, none] if self.none else lines

    def studio_results(self, target: Target) -> list[StudioResult]:
        """Return a span for each answer, or the choice of no answer."""
        if not target["text"]:
            return [result("choices", NONE, {"choices": list(self.choices)})]
        return [
            result("labels", ANSWER, {"start": start, "end": start + len(text), "text": text, "labels": [SPAN]})
            for text, start in zip(target["text"], target["answer_start"], strict=True)
        ]

    def read_studio_results(self, results: Sequence[Mapping[str, Any]], example: Example, control: str) -> str:
        """Return the spans, which are checked against the context."""
        spans = values_of(results, control)
        if not spans:
            return self.none if texts_of(values_of(results, NONE), "choices") else ""
        context = example["context"]
        places = [place_of(context, value) for value in spans]
        target = {"text": [context[i:j] for i, j in places], "answer_start": [i for i, _ in places]}
        return self.format_answer(target, example)

    def cell(self, target: Target, example: Example) -> Any:
        """Return the target itself."""
        return target

    def feature(self) -> Any:
        """Return the type of SQuAD's column of answers."""
        from datasets import List, Value

        return {"text": List(Value("string")), "answer_start": List(Value("int64"))}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
