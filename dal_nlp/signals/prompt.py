"""The prompt that a language model is asked with: guidelines, what the labels mean, the text, and the question."""

import re
from collections.abc import Sequence

from dal_nlp.core.errors import UserError
from dal_nlp.signals.base import Labels

#: What is asked where no prompt is given.
DEFAULT = "{about}Text: {text}\nIs this text {labels}?"
_NAMES = ("about", "labels", "text")


def listed(words: Sequence[str]) -> str:
    """Return "a, b or c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def about(guidelines: str, labels: Labels) -> str:
    """Return the guidelines and a line for each label that is described; "" where there are neither."""
    told, named = labels.descriptions, zip(labels.names, labels.spoken, strict=True)
    lines = [f"{words}: {' '.join(told[name])}" for name, words in named if name in told]
    parts = [part for part in (guidelines.strip(), "\n".join(lines)) if part]
    return "".join(f"{part}\n\n" for part in parts)


class Prompt:
    """A template with {text}, {labels} ("a, b or c") and {about} (guidelines and descriptions).

    Args:
        template: None or "" for the default.
        guidelines: What annotators are told; "" for nothing.
        labels: Of the run.

    Raises:
        UserError: A template without {text}, or with another name in braces.
    """

    def __init__(self, template: str | None, guidelines: str, labels: Labels) -> None:
        self.template = template or DEFAULT
        names = re.findall(r"\{(\w*)\}", self.template)
        wrong = [name for name in names if name not in _NAMES]
        if wrong or "text" not in names:
            problem = f"holds {{{wrong[0]}}}" if wrong else "does not hold {text}"
            raise UserError(f"The prompt {problem}: it may hold {{about}} and {{labels}}, and must hold {{text}}.")
        self._values = {"about": about(guidelines, labels), "labels": listed(labels.spoken)}

    def of(self, text: str, labels: str | None = None) -> str:
        """Return what is asked about a text; ``labels`` stands for the list of them where it is another one."""
        values = {**self._values, "text": text} | ({} if labels is None else {"labels": labels})
        return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], self.template)
