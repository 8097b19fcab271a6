"""The rules of what a text, a label, an id and a missing value are, the same for every kind of file.

The functions are pure. A value that none of the rules takes raises ``RowError``, which names its type; the caller adds
the place.
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from dal_nlp.core.errors import EmptyRow, RowError
from dal_nlp.readers.literals import literal
from dal_nlp.readers.spreadsheets import plain

#: What other programs write where there is nothing. A label of such a spelling is one, and is said.
_NOTHING = frozenset(
    {
        *("na", "n/a", "n.a.", "<na>", "nan", "nat", "none", "<none>", "(none)", "null", "<null>", "(null)", "nil"),
        *("\\n", "#n/a", "#null!", "undefined", "(blank)", "(empty)"),
    }
)
#: What spreadsheets show in place of a formula's result, in English, German, French and Spanish.
_SPREADSHEET_ERRORS = frozenset(
    (
        *("#NAME?", "#N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!"),
        *("#BLOCKED!", "#UNKNOWN!", "#GETTING_DATA", "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#NOM?", "#VALEUR!"),
        *("#NOMBRE!", "#NOMBRE?", "#\u00bfNOMBRE?", "#\u00a1VALOR!", "#\u00a1REF!", "#\u00a1DIV/0!"),
    )
)
#: Characters without a width that say nothing in a label: soft hyphens, zero-width blanks, marks of direction.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
#: Joiners belong to emoji and to scripts of Asia, so they stay between two characters that are not ASCII.
_JOINERS = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?![^\x00-\x7f])")
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_WHOLE = re.compile(r"([+-]?[0-9]+)\.0+")
_BOOLEANS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
_SCIENTIFIC = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]{2,3}")
_TRUE = frozenset({"true", "1", "yes", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "n", "f"})
#: Characters that a cell of a spreadsheet holds; it cuts off what is longer.
_CELL = 32_000
_BEGINNING = 40  # characters of a text in a message
_LONGEST_INTEGER = 4300  # digits, as Python's own limit


def is_missing(value: object) -> bool:
    """Tell whether a cell is empty: None, NaN, or a text of blanks and invisible characters only."""
    if isinstance(value, str):
        if value[:1].isascii() and value[:1].isalnum():  # nearly every text, and the checks below take long
            return False
        return not value or value.isspace() or not _INVISIBLE.sub("", value).strip()
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def text_of(value: object) -> str | None:
    """Return a text as it stands, None for a missing one; a number is a text, and bytes are UTF-8.

    Raises:
        RowError: It is a list, an object, a truth value or bytes of another kind.
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, bytes):
        text = _decoded(value)
        return None if is_missing(text) else text
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number(value)
    raise RowError(f"holds {kind(value)} where a text is expected")


def read_text(row: Mapping[str, Any], column: str) -> str:
    """Return the text in a column of a row.

    Raises:
        EmptyRow: There is none.
        RowError: It is something else.
    """
    try:
        text = text_of(row[column])
    except RowError as error:
        raise RowError(f"{error} (column {column!r}): name another column with --text-column, or correct it") from None
    if text is None:
        raise EmptyRow(f"column {column!r} is empty")
    return text


def label_of(value: object, names: Sequence[str] = ()) -> str | None:
    """Return a label in its canonical form, None for a missing one.

    A list of one label is that label, also where it is the text of a list in JSON or Python; an empty list is none.
    Label Studio's {"choices": [...]} is that list, and what a spreadsheet shows for a broken formula is no label.

    Args:
        value: A cell.
        names: Of the classes that numbers stand for in this data, in their order; what is a name itself is no number.

    Raises:
        RowError: It is a list of several, an object, or bytes that are not UTF-8.
    """
    if isinstance(value, bytes):
        value = _decoded(value)
    if isinstance(value, str) and value.lstrip().startswith(("[", "(", "{")):
        listed = literal(value)
        is_list = isinstance(listed, list | tuple) and all(map(_is_plain, listed))
        value = listed if is_list or isinstance(listed, Mapping) else value
    if isinstance(value, Mapping) and list(value) == ["choices"]:
        value = value["choices"]
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise RowError(
                f"holds {len(value)} labels, and one label a text is what can be learnt: give one label a row"
            )
        return label_of(value[0], names) if value else None
    if is_missing(value) or (isinstance(value, str) and is_spreadsheet_error(value)):
        return None
    if not _is_plain(value):
        raise RowError(f"holds {kind(value)} where a label is expected")
    label = canonical_label(_whole(value) if isinstance(value, str) else _number(value))
    return _named(label, names) if names else label or None


def canonical_label(text: str) -> str:
    """Return the form that all spellings of one label share: that of labels that look alike or are the same number.

    Unicode is composed (NFC); invisible characters and outer blanks go; every kind of blank is a plain one; ``1.0`` is
    ``1``, and ``True`` is ``true``. Capitals and leading zeros stay.
    """
    if text.isascii():
        shown = text.strip()
    else:
        shown = _JOINERS.sub("", _BLANKS.sub(" ", _INVISIBLE.sub("", text)).strip())
        shown = unicodedata.normalize("NFC", shown).strip()
        if shown != text:
            return canonical_label(shown)  # what was taken off may have stood before something else of the kind
    whole = _WHOLE.fullmatch(shown)
    if whole:
        return "0" if whole[1] in ("-0", "+0") else whole[1]
    return _BOOLEANS.get(shown, shown)


def alike(label: str) -> str:
    """Return what labels share that differ in capitals, blanks, width, signs or zeros of a number only."""
    text = " ".join(unicodedata.normalize("NFKC", canonical_label(label)).casefold().split())
    return str(int(text)) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text


def spells_nothing(label: str) -> bool:
    """Tell whether a label is how other programs write a missing value: NA, NaN, None, null."""
    return label.strip().casefold() in _NOTHING or is_spreadsheet_error(label)


def is_spreadsheet_error(text: str) -> bool:
    """Tell whether a text is what a spreadsheet shows in place of a formula's result, such as #NAME?."""
    return text.strip() in _SPREADSHEET_ERRORS


def is_true(value: object) -> bool:
    """Tell whether a cell says yes: a truth value, 1, or either as text."""
    if isinstance(value, str):
        return canonical_label(value).casefold() in _TRUE
    return isinstance(value, bool | int | float) and value == 1


def is_false(value: object) -> bool:
    """Tell whether a cell says no: a truth value, 0, or either as text."""
    if isinstance(value, str):
        return canonical_label(value).casefold() in _FALSE
    return isinstance(value, bool | int | float) and value == 0


def id_of(value: object) -> str | None:
    """Return an id as text, None for a missing one; a whole number is written without a point.

    Raises:
        RowError: It is neither a text nor a number.
    """
    if isinstance(value, bytes):
        value = _decoded(value)
    if is_missing(value):
        return None
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _number(value)
    raise RowError(f"the id is neither text nor a number but {kind(value)}")


def canonical_id(id: str) -> str:
    """Return what an id and the forms in which tables give it back share: ``1.0`` for 1, outer blanks.

    It is for joining: an id that is there as it is written wins.
    """
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", id)).strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def is_rewritten_id(id: str) -> bool:
    """Tell whether an id is a number that a spreadsheet has shortened, such as 1.29442E+18."""
    return _SCIENTIFIC.fullmatch(id.strip()) is not None


def kind(value: object) -> str:
    """Return what a value is, for a message: "a list", "an object", "a true or false"."""
    names: dict[type, str] = {
        bool: "a true or false",
        list: "a list",
        tuple: "a list",
        set: "a set",
        dict: "an object",
        bytes: "bytes",
        int: "a number",
        float: "a number",
        str: "a text",
        type(None): "nothing",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def flat(text: str) -> str:
    """Return what a text and the forms in which tables and tools give it back share."""
    return " ".join(canonical_label(plain(text)).split())


def same_text(one: str, other: str) -> bool:
    """Tell whether two texts are one, whatever became of blanks, line ends and what a cell has no room for."""
    if one == other:
        return True
    short, long = sorted((flat(one), flat(other)), key=len)
    return short == long or (len(short) >= _CELL and long.startswith(short))


def near_text(one: str, other: str) -> bool:
    """Tell whether one text may be the other after a correction: they share most of their words."""
    words = [set(flat(text).casefold().split()) for text in (one, other)]
    return 2 * len(words[0] & words[1]) > len(words[0] | words[1])


def is_rewritten(id: str, original: str) -> bool:
    """Tell whether an id may be what a spreadsheet has made of another: rounded, or without the zeros in front."""
    try:
        one, other = float(id.replace(",", ".")), float(original)
    except ValueError:
        return False
    return math.isclose(one, other, rel_tol=1e-2 if is_rewritten_id(id) else 1e-12)


def beginning(text: str) -> str:
    """Return how a text begins, for a message."""
    shown = " ".join(text.split())
    return repr(shown if len(shown) <= _BEGINNING else f"{shown[:_BEGINNING]}...")


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | Decimal)


def _whole(text: str) -> str:
    """Return a text whose characters can be written to a file; raises ``RowError``."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise RowError("holds half a surrogate pair, which is no character: remove it") from None
    return text


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RowError(f"holds {len(value):,} bytes that are no UTF-8 where a text is expected") from None


def _number(value: Any) -> str:
    """Write a number as a table without gaps has it: 1 for 1.0; truth values in small letters."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        if math.isinf(value):
            raise RowError("holds an infinite number")
        shown = repr(value) if isinstance(value, float) else str(value)
        return str(int(value)) if value == int(value) else shown
    if value.bit_length() > 3 * _LONGEST_INTEGER:
        raise RowError(f"holds a number of more than {_LONGEST_INTEGER:,} digits: write it as a text, in quotes")
    return str(value)


def _named(label: str, names: Sequence[str]) -> str | None:
    """Return the name of a class number; -1 is no label, as Hugging Face's data sets have it."""
    known = [canonical_label(name) for name in names]
    if label in known or not re.fullmatch("-1|[0-9]{1,9}", label):
        return label
    if label == "-1":
        return None
    if int(label) >= len(known):
        raise RowError(f"has the class number {label}, and there are {len(known)} classes: {', '.join(known)}")
    return known[int(label)]
