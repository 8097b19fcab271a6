"""Language models that list the entities of a text, without their places: behind an endpoint, or on this machine."""

import json
import re
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from dal_nlp.core.text import counted
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.readers.literals import load_json
from dal_nlp.signals.base import CONFIDENCE, LabelSet, Making
from dal_nlp.signals.matching import match, plain
from dal_nlp.signals.prompt import Prompt
from dal_nlp.span_witnesses.endpoint import WritingEndpoint
from dal_nlp.span_witnesses.writing import TURN, Writer

#: What is asked where no prompt is given; and of a model whose tokens know no line end.
LISTING, LISTING_IN_A_LINE = (
    "{about}List each {labels} that the text names, "
    + parted
    + "as label: words, with the words copied letter by letter. Write none where there is none, and nothing else."
    + "\n\nText: {text}"
    for parted in ("one in a line, ", "with ; between them, ")
)
#: What a reply says that lists nothing, and most tokens of one.
NOTHING, WRITTEN = ("none", "no entities", "no entity"), 300
#: The keys of an answer: the reply as it came, and what was read in it.
_REPLY, _LISTED = "reply", "listed"


class EntityEndpoint(WritingEndpoint):
    """An endpoint that lists entities; each list is believed as much as a file's without a confidence."""

    usual, kept_as = LISTING, "endpoint lists"
    strange = "no list of entities"
    writes = 30
    longest = WRITTEN

    @property
    def key(self) -> str:
        """Model, prompt and words."""
        return "\n".join([super().key, *self._labels.spoken])

    def read(self, reply: str) -> tuple[float | None, str]:
        """Return how far a list is believed, None where a reply is none, and the reply."""
        return answer_in(reply, self._labels)


class EntityWriter(Writer):
    """A causal or sequence-to-sequence model on this machine that lists entities; believed as an endpoint's lists are.

    Args:
        making: Its target is a folder or Hub id; ``llm`` says the rest.
    """

    most = WRITTEN
    cut = "text"
    writes = "list"

    def __init__(self, making: Making) -> None:
        super().__init__(making)
        prompt = making.llm.prompt or (LISTING if _writes_lines(self._source) else LISTING_IN_A_LINE)
        self._prompt = Prompt(prompt, making.guidelines, making.labels)
        self._no_list = 0

    @property
    def key(self) -> str:
        """Weights, prompt and words."""
        return "\n".join(["lists", self.weights_key, self._prompt.of("{text}" + TURN), *self._labels.spoken])

    def read(
        self, tokens: Sequence[int], log_probs: Sequence[float], ends: Collection[int]
    ) -> tuple[float | None, str]:
        """Return how far the list is believed that was written, None where it is none, and what was written."""
        log_p, raw = answer_in(self._loaded[0].decode(tokens, skip_special_tokens=True), self._labels)
        self._no_list += log_p is None
        return log_p, raw

    def remarks(self) -> list[str]:
        """Return how many texts and lists were cut, and how many replies were no lists."""
        were = "was" if self._no_list == 1 else "were"
        remark = f"{counted(self._no_list, 'answer')} of {self._making.target} {were} no list of entities."
        return [*super().remarks(), *([remark] if self._no_list else [])]


def _writes_lines(source: str) -> bool:
    """Tell whether the tokens of a model know a line end; those of T5 make a space of it."""
    tokenizer = load_tokenizer(source)
    return "\n" in tokenizer.decode(tokenizer("a\nb")["input_ids"])


def answer_in(reply: str, labels: LabelSet) -> tuple[float | None, str]:
    """Return how far the list in a reply is believed, in logs, None where it is none, and what is kept of it."""
    listed = read_list(reply, labels)
    raw = json.dumps({_REPLY: reply, _LISTED: listed})
    return None if listed is None else float(np.log(CONFIDENCE)), raw


def read_list(reply: str, labels: LabelSet) -> list[tuple[str, str]] | None:
    """Return the label and the words of each entity that a reply lists; None where it is no list.

    A label is matched as an answer of one label is. A line without a label that the run has is no entity; a further
    label in a line, letter by letter and before a colon, begins the next entity.
    """
    names = "|".join(re.escape(name) for name in sorted({*labels.spoken, *labels.names}, key=len, reverse=True))
    begins = re.compile(rf"(?:^|[\s,;|])[\s,;|*\u2022-]*(?:{names})\**\s*:", re.IGNORECASE)
    lines = list[str]()
    for line in reply.splitlines():
        cuts = [0, *(begun.start() for begun in begins.finditer(line)), len(line)]
        parts = (line[first:last].lstrip(" \t,;|-*\u2022").rstrip() for first, last in pairwise(cuts))
        lines += [part for part in parts if part]
    entities = list[tuple[str, str]]()
    for line in lines:
        prefix, colon, words = line.partition(":")
        index = match(prefix, labels.spoken) if colon else None
        if index is None and colon:
            index = match(prefix, labels.names)
        if index is not None and words.strip():
            entities.append((labels.names[index], words.strip().strip("\"'\u201c\u201d")))
    entities = [(label, words) for label, words in entities if plain(words) not in NOTHING]
    empty = bool(lines) and all(plain(line.rpartition(":")[2]) in NOTHING for line in lines)
    return entities if entities or empty else None


def listed_in(raw: str) -> list[tuple[str, str]] | None:
    """Return what ``answer_in`` has written down of a reply; None for what is from elsewhere, as from a file."""
    try:
        values = load_json(raw)
    except ValueError:
        return None
    if not isinstance(values, dict) or values.keys() != {_REPLY, _LISTED}:
        return None
    return [(str(label), str(words)) for label, words in values[_LISTED] or ()]
