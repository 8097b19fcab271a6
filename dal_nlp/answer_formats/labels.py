"""The answer format of any number of labels, chosen from a list."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from dal_nlp.answer_formats.label import LabelFormat, button_data, numbered
from dal_nlp.answer_formats.studio import texts_of, values_of
from dal_nlp.core.answer_format import REFUSALS, TerminalPrompt, Widget
from dal_nlp.core.targets import NO_LABEL, Target
from dal_nlp.core.task import Example
from dal_nlp.readers.literals import literal
from dal_nlp.readers.values import alike, is_false, is_true

#: What stands between labels in a line, and what people type in its place.
SEPARATOR, _OTHERS = "|", (",", ";")


@dataclass(frozen=True)
class LabelsFormat(LabelFormat):
    """Any number of labels a text, as a sorted list."""

    studio_choice: ClassVar[str] = "multiple"

    @property
    def classes(self) -> Sequence[str]:
        """Nothing: an answer is a set of labels."""
        return ()

    @property
    def nothing(self) -> str:
        """What is written for a text without any label: a word, or an empty list where a label is called so."""
        return "[]" if any(alike(label) == NO_LABEL for label in self.labels) else NO_LABEL

    def parse_answer(self, typed: str, example: Example) -> Target:
        """Return the labels that are meant: ``a|b``, with commas where no label has one, or a list in JSON."""
        text = typed.strip()
        listed = literal(text) if text.startswith(("[", "{")) else None
        if isinstance(listed, Mapping) and listed:  # what each label says, as files have it
            if not all(is_true(value) or is_false(value) for value in listed.values()):
                raise ValueError("it has an object of labels that says something else than yes or no (1 or 0)")
            return self._sorted([str(label) for label, value in listed.items() if is_true(value)])
        if isinstance(listed, list | tuple):
            parts = [str(part) for part in listed]
            return [] if [alike(part) for part in parts] == [self.nothing] else self._sorted(parts)
        if alike(text) == self.nothing:
            return []
        try:
            return self._sorted(_parts(text, SEPARATOR))
        except ValueError:
            for separator in _OTHERS:
                if separator in text and not any(separator in label for label in self.labels):
                    return self._sorted(_parts(text, separator))
            raise

    def _sorted(self, parts: Sequence[str]) -> list[str]:
        """Return the labels that texts name, each once."""
        return sorted({self.label_meant(part) for part in parts})

    def format_answer(self, target: Target, example: Example) -> str:
        """Return the labels with ``|`` between, or as a list in JSON where that could be read as something else."""
        text = SEPARATOR.join(target) or self.nothing
        odd = any(SEPARATOR in label or label.startswith("[") for label in target)
        return json.dumps(target, ensure_ascii=False) if odd or text.casefold() in REFUSALS else text

    def labels_of(self, target: Target) -> Sequence[str]:
        """Return the labels."""
        return list(target)

    def sheet_hint(self) -> str:
        """Return the labels, if they are few, and how several are written."""
        return f"{super().sheet_hint()}; several labels as a{SEPARATOR}b, {self.nothing} for no label"

    def terminal(self, by_key: bool) -> TerminalPrompt:
        """Return a prompt for labels or their numbers."""
        how = f"Type labels or their numbers with {SEPARATOR} between, or {self.nothing}"
        return TerminalPrompt(how, numbered(self.labels, False), separator=SEPARATOR)

    def widget(self) -> Widget:
        """Return a button for each label, which is pressed and let go."""
        data = {**button_data(self.labels), "none": self.nothing}
        return Widget("labels", data)

    def shown_value(self, target: Target) -> dict[str, Any]:
        """Return the labels whose buttons are down."""
        return {"labels": list(target)}

    def read_studio_results(self, results: Sequence[Mapping[str, Any]], example: Example, control: str) -> str:
        """Return the labels that were chosen; an annotation without any says that there are none."""
        return self.format_answer(sorted(texts_of(values_of(results, control), "choices")), example)

    def cell(self, target: Target, example: Example) -> Any:
        """Return the labels as a list."""
        return list(target)

    def feature(self) -> Any:
        """Return the type of a list of texts."""
        from datasets import List, Value

        return List(Value("string"))


def _parts(text: str, separator: str) -> list[str]:
    """Return what stands between separators, without blanks around it."""
    return [part for part in map(str.strip, text.split(separator)) if part] or [text]
