"""The answer format of one label, chosen from a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dal_nlp.answer_formats.studio import ABOUT, ANSWER, choice_tags, result, texts_of, values_of
from dal_nlp.core.answer_format import AgreementMeasure, AnswerFormat, StudioResult, TerminalPrompt, Widget, refusals
from dal_nlp.core.errors import nearest
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example
from dal_nlp.readers.values import alike, label_of

#: Labels for which one key is enough, and the most that are named where answers are asked for.
KEYS = FEW = 9
#: Characters of an answer in a message.
_SHOWN = 60


@dataclass(frozen=True)
class LabelFormat(AnswerFormat):
    """One label a text.

    Attributes:
        labels: All of them.
        agreement: See ``AnswerFormat``.
    """

    labels: Sequence[str]
    agreement: AgreementMeasure
    studio_choice: ClassVar[str] = "single-radio"  # how many of its choices Label Studio lets people take

    def parse_answer(self, typed: str, example: Example) -> Target:
        """Return the label that is meant."""
        return self.label_meant(typed.strip())

    def label_meant(self, text: str) -> str:
        """Return the label that a text names: as it is written, as files have it (1.0 is 1), or the only one like it.

        Raises:
            ValueError: With the nearest label where it names none.
        """
        if text in self.labels:
            return text
        label = label_of(text) or ""
        if label in self.labels:
            return label
        close = [known for known in self.labels if alike(known) == alike(label)]
        if len(close) == 1:
            return close[0]
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise ValueError(f"{shown!r} is none of the labels {', '.join(self.labels)}{nearest(shown, self.labels)}")

    def format_answer(self, target: Target, example: Example) -> str:
        """Return the label."""
        return str(target)

    @property
    def choices(self) -> Sequence[str]:
        """The labels."""
        return self.labels

    @property
    def classes(self) -> Sequence[str]:
        """The labels."""
        return self.labels

    def labels_of(self, target: Target) -> Sequence[str]:
        """Return the label."""
        return [target]

    def sheet_hint(self) -> str:
        """Return the labels, or where they stand if they are many, and the refusals."""
        return ", ".join(filter(None, (named(self.labels), " or ".join(refusals(self.labels)))))

    def terminal(self, by_key: bool) -> TerminalPrompt:
        """Return a prompt for a label or its number; by keys, all digits of a number are the answer."""
        return TerminalPrompt("Type a label or its number", numbered(self.labels, False), by_key=by_key)

    def widget(self) -> Widget:
        """Return a button for each label, of which the one that is pressed is the answer."""
        return Widget("label", button_data(self.labels))

    def studio_controls(self, text: str) -> list[str]:
        """Return the text above the choices."""
        choices = choice_tags(self.labels)
        return [text, f'<Choices name="{ANSWER}" toName="{ABOUT}" choice="{self.studio_choice}">{choices}</Choices>']

    def studio_results(self, target: Target) -> list[StudioResult]:
        """Return the label as a choice."""
        return [result("choices", ANSWER, {"choices": list(self.labels_of(target))})]

    def read_studio_results(self, results: Sequence[Mapping[str, Any]], example: Example, control: str) -> str:
        """Return the label that was chosen; raises ``ValueError`` for several."""
        texts = texts_of(values_of(results, control), "choices")
        if len(texts) > 1:
            raise ValueError("it has several labels: choose one")
        return str(texts[0]) if texts else ""


def button_data(labels: Sequence[str]) -> dict[str, Any]:
    """Return what the page needs to show labels as buttons: they, by what is typed, and whether one key is enough."""
    by_key = len(labels) <= KEYS
    return {"labels": [list(pair) for pair in numbered(labels, by_key).items()], "by_key": by_key}


def named(labels: Sequence[str]) -> str:
    """Return the labels, or the first of them and where all stand."""
    if len(labels) <= FEW:
        return ", ".join(labels)
    return f"one of the {len(labels)} labels in the head of the csv ({', '.join(labels[:3])} ...)"


def numbered(labels: Sequence[str], by_key: bool) -> dict[str, str]:
    """Return the labels by what is typed for them: their places, or themselves where all of them are numbers."""
    if all(label.isascii() and label.isdecimal() and (len(label) == 1 or not by_key) for label in labels):
        return {label: label for label in labels}
    return {str(number): label for number, label in enumerate(labels, start=1)}
