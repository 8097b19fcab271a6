"""Words of a text in any script."""

import unicodedata
from functools import cache

#: Beginnings of the Unicode names of characters that are written without blanks between words.
_UNSPACED = (
    *("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "HALFWIDTH KATAKANA ", "BOPOMOFO "),
    *("THAI ", "LAO ", "MYANMAR ", "KHMER "),
)


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
