"""Texts that are there several times, with one answer or with several."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp import RunConfig, UserError
from dal_nlp.data.corpus import Corpus, read_corpus
from dal_nlp.data.repeats import Repeats, choose, contradictions
from tests import tiny
from tests.tiny import write

ROWS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=20)


def brute(rows: list[tuple[int, int]], rule: Repeats) -> tuple[list[bool], list[bool]]:
    keep, disagree = [False] * len(rows), [False] * len(rows)
    for text in {text for text, _ in rows}:
        mine = [i for i, row in enumerate(rows) if row[0] == text]
        votes = Counter(rows[i][1] for i in mine if rows[i][1])
        best = votes.most_common()
        if rule == "first" or len(votes) < 2:
            keep[mine[0]] = True
        elif rule == "majority" and best[0][1] > best[1][1]:
            keep[next(i for i in mine if rows[i][1] == best[0][0])] = True
        else:
            for i in mine:
                disagree[i] = True
    return keep, disagree


@given(ROWS, st.sampled_from(["first", "majority", "drop"]))
def test_as_counted_one_by_one(rows: list[tuple[int, int]], rule: Repeats) -> None:
    texts, answers = np.array(rows, np.uint64).T
    keep, disagree = choose(texts, answers, rule)
    assert (keep.tolist(), disagree.tolist()) == brute(rows, rule)
    several = {text for text, _ in rows if len({answer for other, answer in rows if other == text and answer}) > 1}
    assert {int(texts[group[0]]) for group in contradictions(texts, answers)} == several


def corpus(folder: Path, labels: str, **config: Any) -> Corpus:
    rows = [{"text": "one text", "label": label} for label in labels.split()]
    source = write(folder / "rows.jsonl", [*rows, {"text": "another", "label": "negative"}])
    return read_corpus(
        source, tiny.task(), RunConfig(task="classification", data="x", **config), None, "test", need_targets=True
    )


def test_several_answers_to_one_text_stop_the_run_and_the_ways_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        corpus(tmp_path, "positive positive negative")
    assert "line 3 has the text of " in str(caught.value) and "('negative' and 'positive')" in str(caught.value)
    assert "1 text is answered in several ways" in str(caught.value)
    assert "--repeats first, --repeats majority, or --repeats drop" in str(caught.value)


@pytest.mark.parametrize("column", ["annotator", "_annotator_id", "reader"])
def test_where_the_answers_are_signed_it_is_said_who_reads_names(tmp_path: Path, column: str) -> None:
    rows = [{"text": "one", "label": label, column: who} for label, who in (("positive", "anna"), ("negative", "ben"))]
    config = RunConfig(task="classification", data="x")
    with pytest.raises(UserError, match=r"--repeats drop\.") as caught:
        read_corpus(write(tmp_path / "a.jsonl", rows), tiny.task(), config, None, "labeled", need_targets=True)
    said = f"Who answered, as in the column {column!r}, is read by `dal-nlp ingest` alone"
    assert (said in str(caught.value)) is (column != "reader")


@pytest.mark.parametrize(
    ("rule", "labels", "expected"),
    [
        ("first", "positive negative negative", ["positive", "negative"]),
        ("majority", "positive negative negative", ["negative", "negative"]),
        ("majority", "positive negative", ["negative"]),
        ("drop", "positive negative negative", ["negative"]),
    ],
)
def test_what_counts(tmp_path: Path, rule: str, labels: str, expected: list[str]) -> None:
    found = corpus(tmp_path, labels, repeats=rule)
    assert found.targets() == expected
    assert len(found) + len(found.rejected) == len(labels.split()) + 1
    reason = "repeat of an earlier text" if len(expected) == 2 else "answered in several ways"
    assert {row.reason for row in found.rejected} == {reason}
