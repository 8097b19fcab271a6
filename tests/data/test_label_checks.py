"""What is odd about labels and texts is said, or stops the run."""

from collections import Counter

import pyarrow as pa
import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.data.label_checks import check_labels, check_spelling, words_for_nothing

PLAIN = Counter({"good": 40, "bad": 40})


def remarks(pool: dict[str, int], test: dict[str, int] | None = None, named: bool = False, strict: bool = False) -> str:
    counts = {"pool": Counter(pool), "test": Counter(test or pool)}
    return " ".join(check_labels(counts, list(pool), ["test"], named=named, strict=strict))


def test_nothing_is_said_of_plain_labels() -> None:
    assert remarks({"good": 40, "bad": 40}) == ""
    assert remarks({f"class {i}": 5 for i in range(50)}) == ""
    assert remarks({"good": 40, "bad": 40, "rare": 1}) == ""


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"Good": 3, "good": 40, "bad": 9}, "'Good' (6 rows) and 'good' (80 rows)"),
        ({"01": 3, "1": 40, "2": 9}, "'01' (6 rows) and '1' (80 rows)"),
        ({"NA": 3, "good": 40, "bad": 9}, "'NA' (6 rows)"),
        ({"None": 3, "nan": 1, "bad": 9, "good": 9}, "'None' (6 rows), 'nan' (2 rows)"),
    ],
)
def test_labels_that_look_alike_or_like_nothing(labels: dict[str, int], said: str) -> None:
    assert said in remarks(labels)
    with pytest.raises(UserError, match="leave out --strict"):
        remarks(labels, strict=True)


def test_labels_of_which_an_answer_holds_several_may_look_alike_too() -> None:
    held = [["Joy", "fear"], ["joy"], ["joy", "joy"], []]
    (said,) = check_spelling(held, strict=False)
    assert "'Joy' (1 row) and 'joy' (2 rows)" in said
    with pytest.raises(UserError, match="leave out --strict"):
        check_spelling(held, strict=True)
    assert check_spelling([["joy", "fear"], ["joy"]], strict=True) == []


def test_scores() -> None:
    scores = {f"{i / 7:.3f}": 1 for i in range(40)}
    assert "are these scores?" in remarks(scores, {"0.000": 9})
    texts = {f"a {i}": 2 for i in range(60)}
    assert "each of them in several rows: are these classes?" in remarks(texts)
    assert "1 of them in one row only: are these texts?" in remarks({**texts, "a b": 1}, texts)
    assert (
        remarks(scores, {"0.000": 9}, named=True)
        == "All 9 rows of test have the label '0.000': a score on one class says little."
    )


def test_a_file_that_measures_nothing_that_can_be_learnt() -> None:
    with pytest.raises(
        UserError, match=r"None of the labels in test \('0', '1'\) is one that can be learnt \('bad', 'good'\)"
    ):
        remarks({"good": 4, "bad": 4}, {"0": 3, "1": 3})
    assert remarks({"good": 4, "bad": 4}, {"0": 3, "good": 3}) == ""
    assert check_labels({"test": PLAIN}, [], ["test"], named=False, strict=False) == []


def test_one_class() -> None:
    assert "All 3 rows of test have the label 'good'" in remarks({"good": 4, "bad": 4}, {"good": 3})


def test_texts_that_are_words_for_nothing() -> None:
    table = pa.table(
        {"id": ["nan", "b", "c"], "document": ["nan", "nano tubes", "None"], "target": ['"nan"', None, None]}
    )
    (said,) = words_for_nothing("p.csv", table)
    assert said == "p.csv has 2 texts that look like missing values ('None', 'nan'): empty these cells if they are."
    assert words_for_nothing("p.csv", table.slice(1, 1)) == []
    (said,) = words_for_nothing("p.csv", table.slice(0, 1))
    assert "has 1 text that looks like missing values ('nan')" in said
