"""What was read in another way than it stands in a file of entities, counted by rows, and said in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from dal_nlp.core.text import counted
from dal_nlp.readers.entities.tags import OUTSIDE, UNNAMED, split_tag

#: Labels that most models of entities tell apart.
USUAL = frozenset({"per", "pers", "person", "loc", "location", "org", "organization", "misc", "gpe", "date", "time"})
#: What to do where what was read as a tag is a label; its name goes into the braces.
_WHOLE = "if it is a label, write 'B-{0}' and 'I-{0}'"


@dataclass
class Mended:
    """What was read in another way than it stands there; a row that is read again counts once.

    Attributes:
        begun: Entities that a B- opens, by row.
        inside: Entities that an I- or E- opens, by row.
        unnamed: Rows whose tags are B and I alone.
        bare: Rows by the labels that stand there without a prefix.
        prefixed: Rows with tags that have one.
        tags: The different tags that have one.
        beside: Rows by the labels of which two words side by side both begin an entity.
        placed: Rows of words with marked parts.
        counted: Rows whose marked parts lie elsewhere where places count units of UTF-16.
        at_blanks: Texts that were split at blanks alone, as their tags number these parts, and not at signs too.
    """

    begun: dict[int, int] = field(default_factory=dict)
    inside: dict[int, int] = field(default_factory=dict)
    unnamed: set[int] = field(default_factory=set)
    bare: dict[str, set[int]] = field(default_factory=dict)
    prefixed: set[int] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    beside: dict[str, set[int]] = field(default_factory=dict)
    placed: set[int] = field(default_factory=set)
    counted: set[int] = field(default_factory=set)
    at_blanks: set[int] = field(default_factory=set)

    def saw(self, tags: Sequence[str], row: int) -> None:
        """Take the tags of a row as they are decoded."""
        for prefix, label in map(split_tag, set(tags)):
            if prefix == "":
                self.bare.setdefault(label, set()).add(row)
            elif prefix != OUTSIDE:
                self.prefixed.add(row)
                self.tags.add(f"{prefix}-{label}")
        for one, other in pairwise(tags):
            if one == other and split_tag(one)[0] == "B":
                self.beside.setdefault(split_tag(one)[1], set()).add(row)

    def remarks(self) -> list[str]:
        """Return what should be known of it, in sentences."""
        mended = sum(self.inside.values())
        remarks = (
            [f"Tags without a label (B, I) were read as entities of the label {UNNAMED!r}."] if self.unnamed else []
        )
        if self.bare and self.prefixed:
            bare = counted(len(set().union(*self.bare.values())), "text")
            listed = ", ".join(map(repr, sorted(self.bare)[:5])) + (", …" if len(self.bare) > 5 else "")
            remarks.append(
                f"Tags without a prefix were read as labels in {bare} ({listed}), beside "
                f"{counted(len(self.prefixed), 'text')} with prefixes (B-, I-)."
            )
            alike = [tag for tag in sorted(self.tags) if any(one.endswith(tag[1:]) for one in self.bare)]
            if alike:
                remarks.append(
                    f"{alike[0]!r} was read as the tag B or I of {alike[0][2:]!r}: {_WHOLE.format(alike[0])}."
                )
        # A file with tags of several labels writes B- as a prefix, and so does one of people or places.
        several = len({split_tag(tag)[1] for tag in self.tags}) > 1
        for label, texts in [] if several else sorted(self.beside.items()):
            if label.casefold() not in USUAL and not any(f"{prefix}-{label}" in self.tags for prefix in "IEML"):
                remarks.append(
                    f"'B-{label}' stands at words side by side in {counted(len(texts), 'text')}, and no tag goes on "
                    f"with {label!r}: each word was read as an entity by itself; {_WHOLE.format(f'B-{label}')}."
                )
        if self.placed:
            remarks.append(
                f"Places of marked parts were read as characters of the words with a blank between, in "
                f"{counted(len(self.placed), 'text')} that are given as words."
            )
        if self.counted:
            remarks.append(
                f"Places of marked parts were read as characters in {counted(len(self.counted), 'text')} with signs "
                'such as emoji, which programs in JavaScript or Java count twice: with the text of each part ("text") '
                "they would be checked."
            )
        if self.at_blanks:
            remarks.append(
                f"Words were split at blanks alone in {counted(len(self.at_blanks), 'text')}, whose tags number these "
                "parts; texts without tags, as in predict, are split at signs too: --set task_options.split=blanks "
                "splits all at blanks."
            )
        if not mended:
            return remarks
        if not any(self.begun.values()):
            scheme = "The tags are IOB1 or IO: an entity begins with I-, and with B- only right behind another one."
            return [*remarks, scheme]
        rows = sum(map(bool, self.inside.values()))
        return [
            *remarks,
            f"Tags that do not follow from the one before were mended in {counted(rows, 'text')}: "
            f"{counted(mended, 'time')} an I- without an entity to go on opens one.",
        ]
