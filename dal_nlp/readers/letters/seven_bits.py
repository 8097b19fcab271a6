"""The encodings that write other letters with bytes of ASCII, after escape sequences: ISO-2022.

To whoever looks at single bytes, such a file is ASCII, which is UTF-8; its texts would be read as gibberish in silence.
HZ and UTF-7 are not looked for: their signs are ordinary in texts ("TV+internet", "~{oo~}"), which would be spoilt.
"""

import re

from dal_nlp.core.errors import DataError

#: An escape sequence for letters of several bytes or of a Japanese typewriter; colors of a terminal are none.
_ESCAPE = re.compile(rb"\x1b(?:\$[@AB]|\$[()][@-Z]|\([IJ])")
#: The codecs, the first that fits counts.
_ISO_2022 = ("iso2022_jp_ext", "iso2022_jp_2004", "iso2022_jp_2")
_KOREAN = b"\x1b$)C"  # stands once at the beginning of a file, or of its first line with such letters


def escaped(block: bytes) -> str:
    """Return the encoding that bytes of ASCII are in if letters beyond ASCII are written with them, "" if none are.

    Args:
        block: Whole lines.

    Raises:
        UserError: It is one that cannot be read; the message goes after the name of the file.
    """
    if b"\x1b" in block and (match := _ESCAPE.search(block)):
        if _KOREAN in block:
            return "iso2022_kr"
        if match[0].startswith(b"\x1b$)"):
            raise DataError("is in ISO-2022-CN, which cannot be read: save it as UTF-8.")
        return next((name for name in _ISO_2022 if _as(block, name) is not None), _ISO_2022[0])
    return ""


def decoded(block: bytes, encoding: str) -> str:
    """Return the text of whole lines, the first of a file or later ones; raises ``UnicodeDecodeError``."""
    if encoding == "iso2022_kr" and _KOREAN not in block:
        block = _KOREAN + block  # as the first lines have said
    return block.decode(encoding)


def _as(block: bytes, encoding: str) -> str | None:
    try:
        return block.decode(encoding)
    except UnicodeDecodeError:
        return None
