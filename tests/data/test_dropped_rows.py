"""Rows that cannot be used: each is dropped for one reason that is counted and said, or refused."""

import csv
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.data import staging
from dal_nlp.data.corpus import Rejected, read_corpus, write_rejected
from dal_nlp.data.examples import AnswersById
from tests.data.test_corpus import complaint, config, read, row, toy
from tests.data.test_pool_copies import pool
from tests.tiny import write

DROPPED = [
    (row("e", "  "), "empty text"),
    (row("q", "? what"), "no question"),
    (row("b", "one", "both"), "two answers at once"),
    (row("f", "kept"), "repeat of an earlier text"),
    (row("a", "kept"), "repeat of an earlier text"),
    (row("g", "measured"), "also in the test set"),
    (row("h", "checked"), "also in the validation set"),
    (row("i", "unanswered", None), "no answer"),
]


def exclusions(tmp_path: Path) -> dict[str, Any]:
    test = read(tmp_path, [row("t", "measured")]).contents.copy()
    validation = read(tmp_path, [row("v", "checked")]).contents.copy()
    return {"test": test, "validation": validation}


@pytest.mark.parametrize(("bad", "reason"), DROPPED, ids=[f"{bad['id']}-{reason}" for bad, reason in DROPPED])
def test_dropped_rows(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    exclude = exclusions(tmp_path)
    corpus = read(tmp_path, [row("a", "kept"), bad, row("z", "last")], exclude=exclude)
    assert corpus.dataset["id"][:] == ["a", "z"]
    assert corpus.contents.tolist() == [int(c) for c in read(tmp_path, [row("a", "kept"), row("z", "last")]).contents]
    assert corpus.rejected == [Rejected(str(tmp_path / "p.jsonl"), 2, bad["id"], reason)]


@pytest.mark.parametrize(("bad", "reason"), DROPPED, ids=[f"{bad['id']}-{reason}" for bad, reason in DROPPED])
def test_strict(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    exclude = exclusions(tmp_path)
    (tmp_path / "cache" / "test.arrow").unlink()
    message = complaint(tmp_path, [row("a", "kept"), bad, row("e2", "")], exclude=exclude, strict=True)
    assert "p.jsonl, line 2 cannot be used" in message
    assert f"({reason}), the first of 2 to drop" in message
    assert "leave out --strict" in message


def test_dropped_rows_are_counted_in_the_order_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BATCH", 2)
    exclude = exclusions(tmp_path)
    corpus = read(tmp_path, [row("a", "kept"), *(bad for bad, _ in DROPPED), row("z", "last")], exclude=exclude)
    assert [(bad.row, bad.reason) for bad in corpus.rejected] == [
        (i, why) for i, (_, why) in enumerate(DROPPED, start=2)
    ]
    assert corpus.dataset["text"][:] == ["kept", "last"]
    write_rejected(tmp_path / "rejected.csv", corpus.rejected)
    with (tmp_path / "rejected.csv").open(newline="") as file:
        listed = list(csv.reader(file))
    assert listed[:2] == [["file", "row", "id", "reason"], [str(tmp_path / "p.jsonl"), "2", "e", "empty text"]]
    assert len(listed) == 1 + len(DROPPED)


def test_a_row_is_dropped_for_the_first_of_several_reasons(tmp_path: Path) -> None:
    both = read(tmp_path, [row("t", "measured"), row("v", "checked")]).contents.copy()
    rows = [row("a", "kept"), row("b", "measured"), row("c", "measured"), row("d", "checked", None)]
    corpus = read(tmp_path, rows, exclude={"test": both, "validation": both})
    assert [bad.reason for bad in corpus.rejected] == ["also in the test set", "also in the test set", "no answer"]


def test_an_answered_repeat_stays_where_the_first_has_no_answer(tmp_path: Path) -> None:
    corpus = read(tmp_path, [row("a", "same", None), row("b", "same", "bad")])
    assert corpus.dataset["id"][:] == ["b"]
    assert [bad.reason for bad in corpus.rejected] == ["no answer"]


def test_the_task_says_which_column_has_the_answers(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "one", "answer": "good"}, {"id": "b", "text": "two", "answer": "bad", "label": "good"}]
    corpus = read(tmp_path, [*rows, row("c", "three")])
    assert corpus.targets() == ["good", "bad"]
    assert corpus.rejected == [Rejected(str(tmp_path / "p.jsonl"), 3, "c", "no answer")]


def test_an_answer_that_cannot_be_used_drops_the_row_only_where_it_is_read(tmp_path: Path) -> None:
    rows = [row("a", "one"), row("b", "two", "both")]
    assert read(tmp_path, rows, need_targets=False).dataset["id"][:] == ["a"]
    assert read(tmp_path, rows, answers=AnswersById({"a": "good", "b": "bad"})).targets() == ["good", "bad"]


def test_unusable_rows_do_not_clash(tmp_path: Path) -> None:
    corpus = read(tmp_path, [row("a", "one"), row("a", "? two"), row("a", "three", "both"), row("a", "")])
    assert corpus.dataset["text"][:] == ["one"]
    assert [bad.reason for bad in corpus.rejected] == ["no question", "two answers at once", "empty text"]


def test_rows_without_answers_stay_where_none_are_needed(tmp_path: Path) -> None:
    corpus = read(tmp_path, [{"id": "a", "text": "one"}, row("b", "two", None)], need_targets=False)
    assert corpus.targets() == [None, None]
    assert corpus.rejected == []


def test_given_answers_replace_those_of_the_rows(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}, {"id": "c", "text": "three", "label": "nonsense"}]
    corpus = read(tmp_path, rows, answers=AnswersById({"b": "good", "c": "bad"}))
    assert corpus.targets() == ["good", "bad"]
    assert [(bad.id, bad.reason) for bad in corpus.rejected] == [("a", "no answer")]


def test_one_id_with_two_texts(tmp_path: Path) -> None:
    rows = [row("a", "one"), row("b", "two"), row("a", "one"), row("a", "three", None), row("b", "four")]
    message = complaint(tmp_path, rows)
    assert "p.jsonl, line 4 has the id 'a' and so has " in message
    assert "p.jsonl, line 3, with another text" in message
    assert "give each text an id of its own, or choose the column of ids with --id-column" in message
    assert "or say --id-column none" in message


def test_the_first_of_several_clashes_is_named(tmp_path: Path) -> None:
    rows = [row(f"r{i}", f"text {i}") for i in range(20)]
    assert "line 21 has the id 'r13'" in complaint(
        tmp_path, [*rows, row("r13", "x"), *(row(r["id"] or "", "y") for r in rows)]
    )


def test_what_is_known_of_a_file_is_said_with_its_error(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "one", "label": "good", "answer": "reject"}]
    message = complaint(tmp_path, rows)
    assert "has the label 'reject'" in message and "is an export of Prodigy" in message


def test_answers_of_the_pool_that_another_set_contradicts_are_counted(tmp_path: Path) -> None:
    given = [row("x", "one", "bad"), row("y", "two", "good"), row("z", "three", "good"), row("v", "four", None)]
    labeled = read(tmp_path, given, need_targets=False)
    rows = [row("a", "one"), row("b", "two", "bad"), row("z", "three"), row("v", "four")]
    (remark,) = pool(tmp_path, rows, beside={"labeled": labeled.known}).remarks
    assert remark.startswith("2 rows of ") and "'one', here 'good': that of the labeled set counts" in remark


def test_wrong_label(tmp_path: Path) -> None:
    message = complaint(tmp_path, [row("a", "one"), row("b", "two", "goood")])
    assert "p.jsonl, line 2 has the label 'goood', which is not one of good, bad: correct it." in message


def test_nothing_left(tmp_path: Path) -> None:
    message = complaint(tmp_path, [row("a", " "), row("b", "", None)])
    assert "has no usable row, but 2 to drop (2 empty text): correct it" in message
    assert "(1 no answer, 1 empty text)" in complaint(tmp_path, [row("a", "one", None), row("b", "")])


@pytest.mark.parametrize(
    ("settings", "first", "parts"),
    [
        (
            {},
            {"txt": "one", "label": "good"},
            ("no column 'text' (did you mean 'txt'?)", "but 'txt', 'label'", "--text-column"),
        ),
        ({}, {"text": "one", "labels": "good"}, ("no column 'label' (did you mean 'labels'?)", "--label-column")),
    ],
)
def test_missing_columns(
    tmp_path: Path, settings: dict[str, Any], first: dict[str, Any], parts: tuple[str, ...]
) -> None:
    message = complaint(tmp_path, [first], config(**settings))
    assert all(part in message for part in parts), message
    assert "--answers" not in message


@pytest.mark.parametrize(
    ("settings", "second", "wrong", "mend"),
    [
        ({}, {"id": "", "text": "two", "label": "good"}, "line 2 has no id in column 'id'", "fill it in"),
        ({}, {"id": None, "text": "two", "label": "good"}, "line 2 has no id in column 'id'", "fill it in"),
        ({}, {"id": float("nan"), "text": "two", "label": "good"}, "line 2 has no id in column 'id'", "fill it in"),
        (
            {},
            {"id": ["b"], "text": "two", "label": "good"},
            "line 2 has no id in column 'id' (the id is",
            "--id-column",
        ),
        (
            {"id_column": "key"},
            {"text": "two", "label": "good"},
            "line 2 has no id in column 'key'",
            "--id-column none",
        ),
        ({}, {"id": "b", "text": "two \ud83d", "label": "good"}, "line 2 holds half a surrogate pair", "remove it"),
        ({}, {"id": "\ud83d", "text": "two", "label": "good"}, "(holds half a surrogate pair", "remove it"),
    ],
)
def test_later_rows(tmp_path: Path, settings: dict[str, Any], second: dict[str, Any], wrong: str, mend: str) -> None:
    with pytest.raises(UserError) as caught:
        pool(tmp_path, [{**row("a", "one"), "key": "k"}, second], settings=config(**settings))
    assert wrong in str(caught.value)
    assert mend in str(caught.value)


def test_a_row_without_a_text_is_an_empty_one(tmp_path: Path) -> None:
    corpus = read(tmp_path, [{"id": "a", "label": "good"}, row("b", "two"), {"id": "c", "text": None}])
    assert corpus.dataset["id"][:] == ["b"]
    assert [(bad.row, bad.id, bad.reason) for bad in corpus.rejected] == [
        (1, "a", "empty text"),
        (3, "c", "empty text"),
    ]


def test_ids_are_for_the_pool(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'key' but 'id', 'text', 'label'.* --id-column, or none"):
        pool(tmp_path, [row("a", "one")], settings=config(id_column="key"))
    source = write(tmp_path / "test.jsonl", [row("", "one"), {"text": "two", "label": "bad"}])
    for column in ("id", "key"):
        settings = config(id_column=column)
        corpus = read_corpus(source, toy(), settings, tmp_path / "cache", "test", need_targets=True)
        assert len(set(corpus.dataset["id"][:])) == 2
    twice = [row("a", "one"), row("a", "two")]
    assert len(pool(tmp_path, twice, settings=config(id_column="none"))) == 2
