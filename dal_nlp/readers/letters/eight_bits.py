"""The encodings in which letters are single bytes beyond ASCII: which one a file is in is a guess."""

import re
from itertools import pairwise

_SAMPLE = 2**16  # bytes of lines with other letters, by which an encoding is told
_HIGH = bytes(range(128, 256))
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_USUAL = 0.1  # by so much better must the letters of another encoding make a language than those of cp1252
#: Signs that stand beside letters: quotation marks, dashes, marks of money and measure.
_BESIDE = (
    "\u00a0\u00a1\u00a3\u00ab\u00ad\u00ae\u00b0\u00b2\u00b7\u00bb\u00bf\u2013\u2014\u2018\u2019"
    "\u201a\u201c\u201d\u201e\u2022\u2026\u2039\u203a\u20ac\u2122"
)
#: The letters beside ASCII of the languages that are written in an encoding; the others are of Western Europe.
_LETTERS = {
    "cp1250": ("ąćęłńóśźż", "áäčďéěíĺľňóôŕřšťúůýž", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
    "cp1254": ("âçğıîöşûü",),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöšüž"),
}
_WESTERN = ("àáâäåæçèéêëìíîïñòóôöøùúûüßœ", "áæðéíóöúýþ", "àáâãçéêíóôõúü", "äõöü")
_EUROPEAN = ["cp1252", "cp1250", "cp1254", "cp1257", "mac_roman", "cp850"]


def is_damaged(block: bytes) -> bool:
    """Tell whether bytes that are not UTF-8 are meant so: all but one make letters, 4 of 5, or all in 1 of 5 lines."""
    lines = [line for line in block.splitlines() if not line.isascii()]
    high, letters = (sum(map(len, of.findall(block))) for of in (re.compile(rb"[\x80-\xff]"), _UTF8))
    whole = sum(_as(line, "utf-8") is not None for line in lines)
    return letters > 0 and (high - letters <= 1 or 5 * letters >= 4 * high or 5 * whole >= len(lines))


def guessed(block: bytes) -> str:
    """Return the likeliest encoding of bytes that are not UTF-8; of those alike, that of Western Europe's Windows.

    Which languages the letters make is for ``charset-normalizer`` to say; a guess that puts signs or capitals into the
    middle of words is no likely one.
    """
    from charset_normalizer import from_bytes

    letters, size = [], 0
    for line in block.splitlines():
        if not line.isascii():
            letters.append(line)
            size += len(line)
            if size > _SAMPLE:
                break
    sample = b"\n".join(letters)
    runs = re.findall(rb"[\x80-\xff]+", sample)
    # Letters that stand alone among ASCII are those of a European language; others come in pairs or words.
    alone = sum(len(run) <= 2 for run in runs) > 0.7 * len(runs) and len(sample) < 2.5 * len(
        sample.translate(None, _HIGH)
    )
    matches = list(from_bytes(sample, cp_isolation=_EUROPEAN if alone else None))
    fit = {name: 0.0 for name in ("cp1252", *_EUROPEAN)} if alone else {}
    for match in matches:
        fit |= {name: max(match.coherence, fit.get(name, 0)) for name in match.could_be_from_charset}
    candidates: list[tuple[int, float, str]] = []
    for rank, name in enumerate(fit):
        text = _as(sample, name)
        if text is not None:
            likely = fit[name] + (name == "cp1252") * _USUAL if alone else -rank - len(fit) * name.startswith("mac_")
            candidates.append((_oddities(text) + alone * _foreign(text, name), -likely, name))
    return min(candidates)[2] if candidates else "cp1252"


def _as(sample: bytes, encoding: str) -> str | None:
    try:
        return sample.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _foreign(text: str, encoding: str) -> int:
    """Return how many letters beside ASCII are not of the language that has the most of them."""
    letters = [c for c in text.lower() if c.isalpha() and not c.isascii()]
    return min(sum(c not in language for c in letters) for language in _LETTERS.get(encoding, _WESTERN))


def _oddities(text: str) -> int:
    """Return how often a sign is beside a letter, a capital behind a small letter, or a character is none."""
    odd = 0
    for word in re.findall(r"\S*[^\x00-\x7f]\S*", text):
        for one, other in pairwise(word):
            signs = [c for c in (one, other) if not c.isascii() and not c.isalpha() and c not in _BESIDE]
            capital = one.islower() and other.isupper() and not (one + other).isascii()
            odd += capital or (bool(signs) and (one.isalpha() or other.isalpha()))
        odd += sum(not c.isprintable() or "\u2500" <= c <= "\u259f" for c in word)
    return odd
