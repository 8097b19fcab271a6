"""The answer format of a text that is written for another one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dal_nlp.answer_formats.studio import ABOUT, ANSWER, result, texts_of, values_of
from dal_nlp.core.answer_format import REFUSALS, AgreementMeasure, AnswerFormat, StudioResult, TerminalPrompt, Widget
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Example
from dal_nlp.data.references import read_references, references


@dataclass(frozen=True)
class TextFormat(AnswerFormat):
    """A text, or a list of several that are right.

    Attributes:
        agreement: See ``AnswerFormat``.
        noun: What the text is.
    """

    agreement: AgreementMeasure
    noun: str = "summary"

    def parse_answer(self, typed: str, example: Example) -> Target:
        """Return the text, or the several texts of a JSON list; raises ``ValueError`` for one without a word."""
        texts = read_references(typed)
        if texts is None:
            raise ValueError("a text is missing: write one, or skip the document")
        return texts

    def format_answer(self, target: Target, example: Example) -> str:
        """Return the text, as a JSON list where it is one of several or could be taken for something else."""
        plain = isinstance(target, str) and target.casefold() not in REFUSALS and read_references(target) == target
        return str(target) if plain else json.dumps(references(target), ensure_ascii=False)

    def terminal(self, by_key: bool) -> TerminalPrompt:
        """Return a prompt for a line, or an editor."""
        return TerminalPrompt(f"Type the {self.noun}, or :edit to write it in your editor")

    def widget(self) -> Widget:
        """Return a field that begins with the model's draft."""
        return Widget("text", {"title": f"Your {self.noun}"}, drafted=True)

    def studio_controls(self, text: str) -> list[str]:
        """Return the text above a field."""
        return [text, f'<TextArea name="{ANSWER}" toName="{ABOUT}" maxSubmissions="1" editable="true"/>']

    def studio_results(self, target: Target) -> list[StudioResult]:
        """Return the texts in the field."""
        return [result("textarea", ANSWER, {"text": references(target)})]

    def read_studio_results(self, results: Sequence[Mapping[str, Any]], example: Example, control: str) -> str:
        """Return the text, or several."""
        texts = texts_of(values_of(results, control), "text")
        return self.format_answer(texts[0] if len(texts) == 1 else texts, example) if texts else ""
