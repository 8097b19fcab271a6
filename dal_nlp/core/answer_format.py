"""The seam of an answer format: one object for each kind of answer, which everything that reads or writes one asks."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dal_nlp.core.targets import Target

if TYPE_CHECKING:
    from dal_nlp.core.task import Example

#: What an annotator may answer to everything in place of an answer.
REFUSALS = ("skip", "unsure")


def refusals(labels: Sequence[str]) -> Sequence[str]:
    """Return which of them are refusals still where these are the labels, in whatever capitals."""
    known = {label.strip().casefold() for label in labels}
    return [word for word in REFUSALS if word not in known]


StudioResult = dict[str, Any]  # one entry of "result" in an annotation of Label Studio


@dataclass(frozen=True)
class AgreementMeasure:
    """A measure of how far two people, or two models, agree.

    Attributes:
        name: As people write it.
        between: Returns it for the answers of both to the same N > 0 examples, 1 where all are the same.
    """

    name: str
    between: Callable[[Sequence[Target], Sequence[Target]], float]


@dataclass(frozen=True)
class TerminalPrompt:
    """The way in which a terminal asks.

    Attributes:
        how: What to type, as the beginning of a sentence.
        numbers: Choices by what may be typed for them.
        separator: What stands between several of them in a line; "" where a line holds one.
        by_key: Whether the keys of a choice are the whole answer, without Enter.
        offsets: Whether the last text is shown with the offsets of its lines.
    """

    how: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    separator: str = ""
    by_key: bool = False
    offsets: bool = False

    def answer(self, typed: str) -> str:
        """Return a line with the choices in place of their numbers.

        Numbers of several choices may also stand with blanks or commas between, or, of one digit each, with nothing.
        """
        if not self.separator:
            return self.numbers.get(typed.strip(), typed)
        words = re.split(rf"[\s,;{re.escape(self.separator)}]+", typed.strip())
        for keys in (words, list("".join(words))):
            if all(key in self.numbers for key in keys):
                return self.separator.join(self.numbers[key] for key in keys)
        parts = [part.strip() for part in typed.split(self.separator)]
        return f"{self.separator} ".join(self.numbers.get(part, part) for part in parts)


@dataclass(frozen=True)
class Widget:
    """The part of the page in which an answer is given; the page says in its own words how it is used.

    Attributes:
        name: One of the widgets of ``annotate_widgets.js.j2``: "label", "labels", "span", "entities" or "text".
        data: What it needs beside, as JSON values.
        drafted: Whether it begins with what the model answers, shown as that or not.
    """

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    drafted: bool = False


class AnswerFormat(ABC):
    """A kind of answer: how people give it in every place, how it is written down, and how two of them compare.

    A task returns the one of its answers; nothing else tells kinds apart.

    Attributes:
        agreement: The measure of agreement.
    """

    agreement: AgreementMeasure

    # Text

    @abstractmethod
    def parse_answer(self, typed: str, example: "Example") -> Target:
        """Return the target that an annotator typed; raises ``ValueError`` with the reason on nonsense."""

    @abstractmethod
    def format_answer(self, target: Target, example: "Example") -> str:
        """Return what would be typed for a target: ``parse_answer`` returns the same target, and it is no refusal."""

    # What can be chosen

    @property
    def choices(self) -> Sequence[str]:
        """Answers, or parts of them, that are chosen from a list; the others are typed or marked."""
        return ()

    @property
    def classes(self) -> Sequence[str]:
        """The labels of which every answer is exactly one; empty where answers are anything else."""
        return ()

    def labels_of(self, target: Target) -> Sequence[str]:
        """Return which of the task's labels a target holds."""
        return ()

    # Sheets, terminal and page

    def sheet_hint(self) -> str:
        """Return what may be written into a sheet, in a few words."""
        return f"{' and '.join(REFUSALS)} are answers too"

    @abstractmethod
    def terminal(self, by_key: bool) -> TerminalPrompt:
        """Return how a terminal asks; ``by_key`` tells whether it can read single keys."""

    @abstractmethod
    def widget(self) -> Widget:
        """Return the widget of the page."""

    def shown_value(self, target: Target) -> dict[str, Any]:
        """Return what the widget needs to show a target beside its text, as JSON values by name."""
        return {}

    # Label Studio

    @abstractmethod
    def studio_controls(self, text: str) -> list[str]:
        """Return the lines of the labeling interface from the text that is answered about on.

        Args:
            text: The tag of that text; see ``answer_formats.studio`` for its name and those of the controls.
        """

    @abstractmethod
    def studio_results(self, target: Target) -> list[StudioResult]:
        """Return a target as the results of an annotation or a prediction."""

    @abstractmethod
    def read_studio_results(self, results: Sequence[Mapping[str, Any]], example: "Example", control: str) -> str:
        """Return the results of an annotation as a person would type the answer, "" where there is none.

        Args:
            results: Of one annotation.
            example: That it is about.
            control: The name of the control that holds the answer.

        Raises:
            ValueError: They hold something else than the interface asks for.
        """

    # Files

    def cell(self, target: Target, example: "Example") -> Any:
        """Return what a file holds for a target, as a JSON value that ``Task.read_target`` reads again."""
        return self.format_answer(target, example)

    def text_cell(self, target: Target, example: "Example") -> str:
        """Return the same as text, for a table."""
        cell = self.cell(target, example)
        return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)

    def feature(self) -> Any:
        """Return the type of ``cell`` in a dataset of Hugging Face; None where the cells themselves show it."""
        from datasets import Value

        return Value("string")

    @property
    def further_files(self) -> Mapping[str, Callable[[Target, "Example"], str]]:
        """Formats of files that only answers of this kind have: of each the part of the file that is one answer."""
        return {}
