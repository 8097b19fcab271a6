"""What is odd about the labels of a run's files: said before anything is trained, or a reason to stop."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from dal_nlp.core.errors import DataError
from dal_nlp.core.text import counted
from dal_nlp.data.examples import CONTEXT, GROUP
from dal_nlp.readers.values import alike, spells_nothing

#: More classes than that, or a share of rows that have their class to themselves, look like scores.
_MOST_CLASSES, _MOST_SINGLE = 50, 0.2
_SHOWN = 5
_LONGEST_WORD = 15  # bytes

LabelCounts = Mapping[str, Counter[str]]  # by a file's name, how many rows have each label


def check_labels(
    counts: LabelCounts, learnable: Collection[str], measuring: Iterable[str], *, named: bool, strict: bool
) -> list[str]:
    """Return what should be known of the labels, in sentences.

    Args:
        counts: Of every file that has labels.
        learnable: The labels that rows can be given; none where nobody knows yet.
        measuring: The files of ``counts`` that only measure.
        named: Whether the user has named the labels.
        strict: Raise where labels look the same, or like missing values.

    Raises:
        UserError: A file that measures has none of the labels that can be learnt; and see ``strict``.
    """
    whole: Counter[str] = sum(counts.values(), Counter())
    doubtful = _doubtful(whole, learnable, strict)
    measures = [name for name in measuring if counts.get(name)]
    for name in measures:
        _check_learnable(name, counts[name], learnable)
    remarks = [*doubtful, *(_one_class(name, counts[name]) for name in measures if len(counts[name]) == 1)]
    return remarks if named else remarks + _scores(whole)


def check_spelling(held: Iterable[Collection[str]], *, strict: bool) -> list[str]:
    """Return what should be known of labels of which an answer holds any number, in sentences.

    Args:
        held: The labels of each answer.
        strict: See ``check_labels``; so are the errors.
    """
    return _doubtful(Counter(label for labels in held for label in set(labels)), (), strict)


def _doubtful(labels: Counter[str], further: Collection[str], strict: bool) -> list[str]:
    doubtful = [*_look_alike(labels, further), *_nothing(labels)]
    if strict and doubtful:
        raise DataError(f"{doubtful[0]} Correct the files, or leave out --strict.")
    return doubtful


def words_for_nothing(source: str, table: pa.Table) -> list[str]:
    """Return a sentence on texts of a corpus that are nothing but nan, None or the like; [] where there is none.

    Args:
        source: Where the corpus was read from.
        table: Its columns; labels are looked at by ``check_labels``.
    """
    counts: Counter[str] = Counter()
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in ("id", "target", GROUP, CONTEXT) or not pa.types.is_string(column.type):
            continue
        short = column.filter(pc.less_equal(pc.binary_length(column), _LONGEST_WORD))
        counts.update(text for text in short.drop_null().to_pylist() if spells_nothing(text))
    if not counts:
        return []
    words = ", ".join(map(repr, sorted(counts)))
    return [
        f"{source} has {counted(counts.total(), 'text')} that look{'s' * (counts.total() == 1)} like missing values "
        f"({words}): empty these cells if they are."
    ]


def _look_alike(labels: Counter[str], further: Collection[str]) -> list[str]:
    """Name labels that differ in capitals, blanks or zeros only."""
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted({*labels, *further}):
        groups[alike(label)].append(label)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return []
    named = [" and ".join(f"{label!r} ({counted(labels[label], 'row')})" for label in group) for group in several]
    more = f", and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return [
        f"Labels that differ only in capitals, blanks or zeros are different classes: {', '.join(named[:_SHOWN])}"
        f"{more}; give them one spelling where they mean the same."
    ]


def _nothing(labels: Counter[str]) -> list[str]:
    """Name labels that are written as other programs write a missing value."""
    named = [f"{label!r} ({counted(labels[label], 'row')})" for label in sorted(labels) if spells_nothing(label)]
    if not named:
        return []
    return [
        f"Labels that look like missing values are classes here: {', '.join(named)}; empty these cells if they are."
    ]


def _check_learnable(name: str, measured: Counter[str], learnable: Collection[str]) -> None:
    """Refuse a file that measures nothing which can be learnt."""
    if not learnable or any(label in learnable for label in measured):
        return
    raise DataError(
        f"None of the labels in {name} ({listed(sorted(measured))}) is one that can be learnt "
        f"({listed(sorted(learnable))}), so every score would be 0: give the two files the same labels."
    )


def _one_class(name: str, measured: Counter[str]) -> str:
    (label,) = measured
    return f"All {measured[label]:,} rows of {name} have the label {label!r}: a score on one class says little."


def _scores(labels: Counter[str]) -> list[str]:
    """Ask whether the labels are classes at all."""
    rows = sum(labels.values())
    single = sum(number for number in labels.values() if number == 1)
    if len(labels) <= _MOST_CLASSES and single < max(_MOST_SINGLE * rows, 2):
        return []
    if len(labels) <= 2:
        return []
    question = "scores" if sum(map(_is_number, labels)) > len(labels) / 2 else "texts" if single else "classes"
    rows_of = f"{single:,} of them in one row only" if single else "each of them in several rows"
    return [
        f"There are {len(labels):,} different labels ({listed(sorted(labels))}), {rows_of}: "
        f"are these {question}? Classes are learnt from several rows each."
    ]


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def listed(labels: Sequence[str]) -> str:
    """Return the first few labels, and how many more there are."""
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(map(repr, labels[:_SHOWN])) + more
