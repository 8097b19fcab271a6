"""The encodings that write other letters with bytes of ASCII: ISO-2022, HZ and UTF-7.

To whoever looks at single bytes, such a file is ASCII, which is UTF-8; its texts would be read as gibberish in silence.
"""

import re

from dal_nlp.core.errors import DataError

#: An escape sequence for letters of several bytes or of a Japanese typewriter; colors of a terminal are none.
_ESCAPE = re.compile(rb"\x1b(?:\$[@AB]|\$[()][@-Z]|\([IJ])")
#: The codecs, the first that fits counts.
_ISO_2022 = ("iso2022_jp_ext", "iso2022_jp_2004", "iso2022_jp_2")
_KOREAN = b"\x1b$)C"  # stands once at the beginning of a file, or of its first line with such letters
_LEAST = 3  # sequences that only look like UTF-7 are rarer
#: Whose letters a language is written in; chance makes letters of all of them.
_LANGUAGES = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("gb2312", "big5", "shift_jis", "euc_kr"),
)
_SHARE = 0.95  # of the letters, as a text may have a few of another language


def escaped(block: bytes) -> str:
    """Return the encoding that bytes of ASCII are in if letters beyond ASCII are written with them, "" if none are.

    Args:
        block: Whole lines.

    Raises:
        UserError: It is one that cannot be read; the message goes after the name of the file.
    """
    if b"\x1b" in block and (found := _ESCAPE.search(block)):
        if _KOREAN in block:
            return "iso2022_kr"
        if found[0].startswith(b"\x1b$)"):
            raise DataError("is in ISO-2022-CN, which cannot be read: save it as UTF-8.")
        return next((name for name in _ISO_2022 if _as(block, name) is not None), _ISO_2022[0])
    # Both are strict about their signs, so that a text which only holds them does not fit. One byte is looked for
    # first, as that is faster by far than counting.
    if b"~" in block and block.count(b"~{") > 1 and block.count(b"~}") > 1 and _as(block, "hz") is not None:
        return "hz"
    return "utf-7" if _is_utf7(block) else ""


def decoded(block: bytes, encoding: str) -> str:
    """Return the text of whole lines, the first of a file or later ones; raises ``UnicodeDecodeError``."""
    if encoding == "iso2022_kr" and _KOREAN not in block:
        block = _KOREAN + block  # as the first lines have said
    return block.decode(encoding)


def _is_utf7(block: bytes) -> bool:
    if b"+" not in block or block.count(b"+") < _LEAST or len(re.findall(rb"\+[A-Za-z0-9/]{3}", block)) < _LEAST:
        return False
    beyond = "".join(c for c in _as(block, "utf-7") or "" if c > "\x7f")
    shares = (len(beyond.encode(name, "ignore").decode(name)) for name in _LANGUAGES)
    return bool(beyond) and max(shares) >= _SHARE * len(beyond)


def _as(block: bytes, encoding: str) -> str | None:
    try:
        return block.decode(encoding)
    except UnicodeDecodeError:
        return None
