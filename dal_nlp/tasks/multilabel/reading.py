"""How files hold several labels a text: a list, labels with a separator between, or a column for each label."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dal_nlp.core.errors import RowError
from dal_nlp.readers.literals import literal
from dal_nlp.readers.values import canonical_label, is_false, is_missing, is_true, label_of, text_of

#: What data sets write where a row was not labeled.
_UNLABELED = "-1"
#: What stands between labels in most files, and in others.
_USUAL, _SELDOM = ("|", ";", ","), ("/", "+", "&", "#", ":", "\t", "\n", " ")
#: How people type what cannot be seen.
_ESCAPED = {"\t": "\\t", "\n": "\\n"}


#: What else than ``--label-columns`` has a cell for each label.
_OBJECT = "its object of labels"
#: What is wrong with zeros and ones.
BITS = (
    "as zeros and ones are that say which labels are given: write the names of these labels, or give each a column and "
    "name them with --label-columns"
)
_UNQUOTED = re.compile(r"\[[^\[\]\"']*,[^\[\]\"']*\]")


def listed_labels(value: object, separator: str, named: Collection[str] = ()) -> list[str] | None:
    """Return the labels in a cell, None for an empty cell; an empty list is no label.

    Args:
        value: A list, the text of a list, or labels with ``separator`` between.
        separator: "" where a text is one label.
        named: Labels that the user has named: with -1 among them it is one, and not what says that there is none.

    Raises:
        RowError: It is something else.
    """
    if isinstance(value, bytes):
        value = text_of(value)
    if isinstance(value, str) and value.lstrip().startswith(("[", "(", "{")):
        listed = literal(value)
        value = listed if isinstance(listed, list | tuple | Mapping) else value
    if isinstance(value, Mapping) and list(value) == ["choices"]:  # of Label Studio
        value = value["choices"]
    plain = isinstance(value, Mapping) and not any(isinstance(part, list | Mapping) for part in value.values())
    if isinstance(value, Mapping) and not value:
        raise RowError("holds an empty object, which says nothing of any label: write [] where there is none")
    if isinstance(value, Mapping) and plain:  # of spaCy: what each label says, yes or no
        return one_hot_labels(value, list(value), _OBJECT)
    if value == "set()":  # as Python writes an empty one
        return []
    if isinstance(value, list | tuple | set):
        numbers = bool(value) and all(isinstance(part, int | float) for part in value)
        if numbers and (len(set(value)) < len(value) or any(isinstance(part, bool) for part in value)):
            raise RowError(f"holds a list of {len(value)} numbers with repeats or truth values, {BITS}")
        return _answered([_label(part) for part in value], named)
    if is_missing(value):
        return None
    if isinstance(value, str) and _UNQUOTED.fullmatch(value.strip()):
        raise RowError(
            f"holds {value.strip()[:60]!r}, a list without quotation marks: write it as JSON, or without brackets"
        )
    if isinstance(value, str) and separator:
        return _answered([_label(part) for part in value.split(separator) if part.strip()], named)
    return _answered([_label(value)], named)


def _answered(labels: list[str], named: Collection[str]) -> list[str] | None:
    """Return the labels of a cell, None for -1 alone; raises ``RowError`` for -1 beside a label."""
    if _UNLABELED not in labels or _UNLABELED in named:
        return labels
    if set(labels) == {_UNLABELED}:
        return None
    raise RowError(
        f"holds {_UNLABELED}, which says that a row is not labeled, beside other labels: take it out, or name it with "
        "--labels"
    )


def _label(value: object) -> str:
    label = None if isinstance(value, list | tuple | set) else label_of(value)
    if label is None:
        raise RowError("holds a list of labels with something else than a label in it: give texts or numbers")
    return label


def one_hot_labels(row: Mapping[str, Any], columns: Sequence[str], where: str = "--label-columns") -> list[str] | None:
    """Return the columns of a row that say yes; None where all are empty or -1, as of a row that nobody labeled.

    Args:
        row: Of a file, or an object of labels.
        columns: Those of the labels.
        where: What has them, for messages.

    Raises:
        RowError: A cell says neither yes nor no.
    """
    cells = {name: _cell(row.get(name)) for name in columns}
    if not any(cells.values()):
        return None
    kind = f"in {_OBJECT} for" if where == _OBJECT else "in column"
    for name, cell in cells.items():
        if not cell:
            content = "nothing" if is_missing(row.get(name)) else _UNLABELED
            raise RowError(f"has {content} {kind} {name!r} and something in others of {where}: fill in 0 or 1")
        if not is_true(cell) and not is_false(cell):
            mend = "correct it, or give a list of labels" if where == _OBJECT else "correct it"
            raise RowError(f"has {cell!r} {kind} {name!r}, which is neither 1 nor 0 (yes or no): {mend}")
    return [name for name, cell in cells.items() if is_true(cell)]


def _cell(value: object) -> str:
    """Return a cell as text, "" where nobody has said anything."""
    if is_missing(value):
        return ""
    if isinstance(value, list | tuple | dict | set | bytes):
        raise RowError("holds a list or an object in one of --label-columns, where 0 or 1 is expected")
    text = canonical_label(str(value))
    return "" if text == _UNLABELED else text


def of_several(labels: Sequence[str]) -> tuple[str, str] | None:
    """Return a label that is other labels with a usual separator between, and it; None where there is none."""
    return _joined(labels, _USUAL, set(labels))


def seem_several(labels: Sequence[str]) -> tuple[str, str] | None:
    """Return a label that may be several with a separator between, and the separator; None where there is none.

    Between labels stands one that is seldom a separator; or, as where most texts have several labels, half of the parts
    of such labels are other labels or parts of these too.
    """
    for separator in _USUAL:
        times = Counter(part for label in labels for part in set(_parts(label, separator)))
        joined = {part for label in labels if separator in label for part in _parts(label, separator)}
        if joined and 2 * sum(times[part] > 1 for part in joined) >= len(joined):
            return _joined(labels, (separator,), set(times))
    return _joined(labels, _SELDOM, set(labels))


def not_known(label: str, known: Sequence[str]) -> str:
    """Return the separator where a label that is none of those known is several of them, "" where it is not."""
    joined = _joined([label], (*_USUAL, *_SELDOM), set(known))
    return joined[1] if joined else ""


def as_meant(separator: str) -> str:
    """Return a separator as it stands in files: a tab where somebody typed a backslash and a t."""
    return next((sign for sign, typed in _ESCAPED.items() if typed == separator), separator)


def as_typed(separator: str) -> str:
    """Return a separator as it is typed; see ``as_meant``."""
    return _ESCAPED.get(separator, separator)


def _joined(labels: Sequence[str], separators: Sequence[str], known: set[str]) -> tuple[str, str] | None:
    """Return the first label all parts of which are known, and what stands between them."""
    for label in labels:
        for separator in separators:
            parts = _parts(label, separator)
            if len(parts) > 1 and known.issuperset(parts):
                return label, separator
    return None


def _parts(label: str, separator: str) -> list[str]:
    return [part.strip() for part in label.split(separator)]
