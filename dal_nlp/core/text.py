"""Numbers as people write them, and texts as a terminal may show them."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

#: What joins letters in many scripts, and hides where a word may be cut: harmless, although it is invisible.
_JOINERS = "\u200c\u200d\u00ad"


def counted(number: int, thing: str) -> str:
    """Return how many there are of a thing: "1 label", "2,000 labels"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def without_folders(place: str) -> str:
    """Return what a file or folder is called, without where it lies on this machine; names on the Hub stay whole."""
    path = Path(place)
    return path.name if path.is_absolute() or ".." in path.parts or place.startswith("~") else place


def duration(seconds: float) -> str:
    """Return a time span in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(count: float) -> str:
    """Return bytes in megabytes, or in gigabytes where there are that many."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):,.1f} MB"


def harmless(text: str) -> str:
    """Return the text with control characters and invisible marks made visible; line breaks stay, tabs are blanks."""
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\n" or category not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") or character in _JOINERS:
        return character
    if character == "\t":
        return "  "
    if character < " ":
        return chr(0x2400 + ord(character))  # the pictures of control characters
    if unicodedata.bidirectional(character) == "AN":
        return character  # signs over Arabic numbers
    return f"<U+{ord(character):04X}>"


def lines(text: str, width: int) -> Iterator[tuple[int, str]]:
    """Yield (offset of its first character, line) of a text that is cut between words to a width in characters."""
    start = 0
    for line in text.split("\n"):
        place = 0
        for match in re.finditer(r"(\S+)\s*|\s+", line):
            end = match.end(1) if match[1] else match.end()
            if end - place > width and match.start() > place:
                yield start + place, line[place : match.start()]
                place = match.start()
            while end - place > width:  # a word that is longer than the line
                yield start + place, line[place : place + width]
                place += width
        yield start + place, line[place:]
        start += len(line) + 1


def with_offsets(text: str, width: int) -> str:
    """Return a text, harmless, with the offset of each line's first character before it."""
    digits = len(str(len(text)))
    return "\n".join(f"{offset:>{digits}} | {harmless(line)}" for offset, line in lines(text, width - digits - 3))


def sentences(value: object) -> object:
    """Read a text as the list of its sentences; leave lists alone."""
    if not isinstance(value, str):
        return value
    return [part for part in re.split(r"(?<=[.!?])\s+", value.strip()) if part]
