"""Numbers as people write them, texts as a terminal may show them, and the words of a text in any script."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

#: What joins letters in many scripts, and hides where a word may be cut: harmless, although it is invisible.
_JOINERS = "\u200c\u200d\u00ad"
#: Most letters of a message, and of one word in it; of a word and a message that have more, so many are shown in front
#: of what is left out, and so many behind it.
_MESSAGE, _WORD = 3000, re.compile(r"\S{301,}")
_WORD_ENDS, _MESSAGE_ENDS = (200, 40), (1800, 800)
#: Beginnings of the Unicode names of characters that are written without blanks between words.
_UNSPACED = (
    *("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "HALFWIDTH KATAKANA ", "BOPOMOFO "),
    *("THAI ", "LAO ", "MYANMAR ", "KHMER "),
)


def counted(number: int, thing: str) -> str:
    """Return how many there are of a thing: "1 label", "2,000 labels"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def without_folders(location: str) -> str:
    """Return what a file or folder is called, without where it lies on this machine; names on the Hub stay whole."""
    path = Path(location)
    return path.name if path.is_absolute() or ".." in path.parts or location.startswith("~") else location


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


def shortened(message: str) -> str:
    """Return a message that quotes what people gave, such as a header of 20,000 letters, at a length that is read.

    Example:
        >>> shortened("There is no task '" + "x" * 5000 + "'.")[190:260]
        'xxxxxxxxxxxxxxxxxxxxxxxxxxx...(4,763 letters)...xxxxxxxxxxxxxxxxxxxxxx'
    """
    message = _WORD.sub(lambda word: _without_middle(word[0], *_WORD_ENDS), message)
    return message if len(message) <= _MESSAGE else _without_middle(message, *_MESSAGE_ENDS)


def _without_middle(text: str, front: int, back: int) -> str:
    return f"{text[:front]}...({len(text) - front - back:,} letters)...{text[-back:]}"


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
        offset = 0
        for match in re.finditer(r"(\S+)\s*|\s+", line):
            end = match.end(1) if match[1] else match.end()
            if end - offset > width and match.start() > offset:
                yield start + offset, line[offset : match.start()]
                offset = match.start()
            while end - offset > width:  # a word that is longer than the line
                yield start + offset, line[offset : offset + width]
                offset += width
        yield start + offset, line[offset:]
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


class _Spaced(dict[int, str]):
    """Character code -> what stands for it in a text whose tokens are one blank apart, found out when first needed."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = value = _spaced(character)
        return value


def _spaced(character: str) -> str:
    name, category = unicodedata.name(character, ""), unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return " "
    # Joiners, soft hyphens and the like are not seen; a word is the same with and without them.
    if category == "Cf" or name.startswith("VARIATION SELECTOR"):
        return ""
    if is_word(character) and not name.startswith(_UNSPACED):
        return character
    return f" {character} "


_SPACED = _Spaced()


def words(text: str) -> list[str]:
    """Return the words of a text in any script, and each of its punctuation marks and symbols as a token of its own.

    A word is a run of letters, digits and the marks that belong to them, so "don't" is three tokens and "3.5" too.
    In scripts without blanks between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) each character is a token.
    All is in lower case, because a word at the start of a sentence is not another one, and composed (Unicode's NFC).
    """
    return unicodedata.normalize("NFC", text).lower().translate(_SPACED).split()


@cache
def is_word(token: str) -> bool:
    """Return whether a token of ``words`` begins with a letter, a digit or a mark of one: others are punctuation."""
    return unicodedata.category(token[0])[0] in "LMN"


def split_names(text: str) -> list[str]:
    """Read "a,b" as ["a", "b"]; a name that holds a comma is in double quotes, as in csv."""
    try:
        (cells,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        cells = text.split(",")
    return [cell.strip() for cell in cells if cell.strip()]


def join_names(names: Sequence[str]) -> str:
    """Return names as ``split_names`` reads them."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()


def as_names(value: object) -> object:
    """Read a text as a list of names; leave lists alone."""
    return split_names(value) if isinstance(value, str) else value


def as_share(value: object) -> object:
    """Read "10%" as 0.1."""
    if not isinstance(value, str) or not value.strip().endswith("%"):
        return value
    try:
        return float(value.strip()[:-1]) / 100
    except ValueError:
        return value
