"""Rows -> a corpus: ids, answers, what is dropped, what is an error, and what a second start does."""

import csv
import gc
import json
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from dal_nlp.core.errors import EmptyRow, RowError, UnusableRow, UserError
from dal_nlp.core.task import Task
from dal_nlp.data import corpus as corpus_module
from dal_nlp.data import staging
from dal_nlp.data.corpus import Corpus, Rejected, read_corpus, read_pool, write_rejected
from dal_nlp.data.examples import Answers
from dal_nlp.data.hashing import HEADER, ID_HASH, Index, PoolCopy, digest
from dal_nlp.data.tokenized import describe
from dal_nlp.joins.joined_answers import read_answers
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests import tiny
from tests.tiny import write

LABELS = ("good", "bad")


class Toy:
    """A task that reads texts and a list of words, knows two labels, and counts how often it encodes."""

    def __init__(self) -> None:
        self.tokenizer = tiny.tokenizer()
        self.encoded = 0

    def columns(self) -> list[str]:
        return ["text"]

    def further_columns(self) -> list[str]:
        return []

    def answer_column(self, columns: Collection[str]) -> str:
        return "answer" if "answer" in columns else "label"

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if not row["text"].strip():
            raise EmptyRow("column 'text' is empty")
        if row["text"].startswith("?"):
            raise UnusableRow("no question.")
        return {"text": row["text"], "pair": None, "words": row["text"].split()[1:]}

    def read_target(self, row: Mapping[str, Any]) -> Any:
        label = row[self.answer_column(row.keys())]
        if label == "both":
            raise UnusableRow("two answers at once")
        if label and label not in LABELS:
            raise RowError(f"has the label {label!r}, which is not one of good, bad: correct it.")
        return label or None

    def encode(self, examples: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        self.encoded += 1
        features = self.tokenizer(examples["text"], truncation=True, max_length=8)
        return {"input_ids": features["input_ids"], "length": [len(ids) for ids in features["input_ids"]]}


def toy() -> Task:
    return cast(Task, Toy())


def config(**changes: Any) -> RunConfig:
    columns = {"text_column": ["text"], "label_column": "label", "id_column": "id"}
    return RunConfig.model_construct(**{"task": "toy", "labels": None, "max_length": 8, **columns, **changes})


def row(id: str, text: str, label: str | None = "good") -> dict[str, str | None]:
    return {"id": id, "text": text, "label": label}


def read(tmp_path: Path, rows: Iterable[Mapping[str, Any]], **arguments: Any) -> Corpus:
    arguments = {"need_targets": True, **arguments}
    return read_corpus(write(tmp_path / "p.jsonl", rows), toy(), config(), tmp_path / "cache", "test", **arguments)


def complaint(tmp_path: Path, rows: Iterable[Mapping[str, Any]], settings: RunConfig | None = None, **more: Any) -> str:
    source = write(tmp_path / "p.jsonl", rows)
    with pytest.raises(UserError) as caught:
        read_corpus(source, toy(), settings or config(), tmp_path / "cache", "test", **{"need_targets": True, **more})
    assert not list((tmp_path / "cache").iterdir()), "a source that was refused leaves a file behind"
    assert str(caught.value).startswith(source)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def test_dataset(tmp_path: Path) -> None:
    corpus = read(tmp_path, [row("a", "one two"), row("b", "three", "bad")])
    assert len(corpus) == 2
    assert corpus.dataset.to_list() == [
        {"id": "a", "target": '"good"', "text": "one two", "pair": None, "words": ["two"]},
        {"id": "b", "target": '"bad"', "text": "three", "pair": None, "words": []},
    ]
    assert [file["filename"] for file in corpus.dataset.cache_files] == [str(tmp_path / "cache" / "test.arrow")]
    assert corpus.rejected == []
    assert corpus.targets() == ["good", "bad"]
    assert corpus.targets(np.array([1])) == ["bad"]
    assert corpus.distinct_targets() == ["good", "bad"]


def test_types_of_a_first_batch_without_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BATCH", 2)
    corpus = read(tmp_path, [row("a", "x", None), row("b", "y", None), row("c", "z more")], need_targets=False)
    assert corpus.dataset["words"][:] == [[], [], ["more"]]
    assert corpus.targets() == [None, None, "good"]
    assert corpus.distinct_targets() == ["good"]


def test_ids_are_text_or_hashes_of_the_content(tmp_path: Path) -> None:
    numbers = read(tmp_path, [{"id": 7, "text": "one", "label": "good"}])
    assert numbers.dataset["id"][:] == ["7"]
    rows = [{"text": "one", "label": "good"}, {"text": "two", "label": "bad"}]
    hashed, turned = read(tmp_path, rows).dataset["id"][:], read(tmp_path, rows[::-1]).dataset["id"][:]
    assert hashed == turned[::-1]
    assert len(set(hashed)) == 2
    assert all(len(id) == 16 for id in hashed)


def test_positions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BATCH", 7)
    corpus = read(tmp_path, [row(f"r{i}", f"text {i}") for i in range(50)])
    wanted = [f"r{i}" for i in (49, 0, 17, 17, 3)]
    assert corpus.positions(wanted).tolist() == [49, 0, 17, 17, 3]
    assert corpus.positions(wanted).dtype == np.int64
    assert corpus.find(["r4", "nobody", "r5"]).tolist() == [4, -1, 5]
    assert corpus.find(["nobody"]).tolist() == [-1]
    assert corpus.find([]).tolist() == corpus.positions([]).tolist() == []
    with pytest.raises(UserError, match=r"p\.jsonl has no usable row with the id 'nobody': put the row back"):
        corpus.positions(["r1", "nobody"])


def test_an_id_is_found_by_itself_and_not_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = read(tmp_path, [row("a", "one"), row("b", "two")])
    same = {"a": int(corpus._ids.hashes[0]), "b": int(corpus._ids.hashes[1]), "stranger": int(corpus._ids.hashes[0])}
    monkeypatch.setattr(corpus_module, "hash64", same.__getitem__)
    assert corpus.find(["stranger", "b", "a"]).tolist() == [-1, 1, 0]


def test_index_matches_a_dictionary() -> None:
    rng = np.random.default_rng(0)
    hashes = np.unique(rng.integers(0, 2**64 - 1, 200, dtype=np.uint64))[rng.permutation(200)]
    where = {int(value): i for i, value in enumerate(hashes)}
    wanted = np.concatenate([rng.permutation(hashes), hashes + np.uint64(1), np.array([0, 2**64 - 1], np.uint64)])
    rows, known = Index(hashes).find(wanted)
    assert [int(r) if k else -1 for r, k in zip(rows, known, strict=True)] == [where.get(int(w), -1) for w in wanted]


def test_digest_is_of_the_set(tmp_path: Path) -> None:
    rows = [row(f"r{i}", f"text {i}") for i in range(20)]
    first = read(tmp_path, rows).digest
    assert first == read(tmp_path, rows[::-1]).digest
    assert first == read(tmp_path, [{**r, "label": "bad"} for r in rows]).digest
    assert first != read(tmp_path, rows[1:]).digest
    assert first != read(tmp_path, [*rows[1:], row("r0", "other")]).digest
    assert first != read(tmp_path, [*rows[1:], row("other", "text 0")]).digest
    one, two = np.array([1, 2], np.uint64), np.array([3, 4], np.uint64)
    assert digest(one, two) == digest(one[::-1], two[::-1]) != digest(one, two[::-1])


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
    assert read(tmp_path, rows, answers=Answers({"a": "good", "b": "bad"})).targets() == ["good", "bad"]


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
    corpus = read(tmp_path, rows, answers=Answers({"b": "good", "c": "bad"}))
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


def test_no_file_is_left_by_a_process_that_dies_while_reading(tmp_path: Path) -> None:
    source = write(tmp_path / "p.jsonl", [row(f"r{i}", f"text {i}") for i in range(3)])

    class Dying(Toy):
        def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
            assert list((tmp_path / "cache").iterdir()) == []
            return super().read(row)

    read_corpus(source, cast(Task, Dying()), config(), tmp_path / "cache", "test", need_targets=True)
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["test.arrow"]


def test_without_a_cache_the_files_go_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = write(tmp_path / "p.jsonl", [row("a", "one")])
    corpus = read_corpus(source, toy(), config(), None, "test", need_targets=True)
    assert len(list(tmp_path.glob("dal-nlp-*"))) == 1
    del corpus
    gc.collect()
    assert list(tmp_path.glob("dal-nlp-*")) == []
    with pytest.raises(UserError):
        read_corpus(write(tmp_path / "p.jsonl", [row("a", "")]), toy(), config(), None, "test", need_targets=True)
    assert list(tmp_path.glob("dal-nlp-*")) == []


# encoded


def encoded_by(corpus: Corpus, **changes: Any) -> tuple[Dataset, int]:
    task = Toy()
    for name, value in changes.items():
        setattr(task, name, value)
    return corpus.encoded(cast(Task, task)), task.encoded


FILMS = [row("a", "good film"), row("b", "bad film", "bad")]


def test_encoded_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, times = encoded_by(read(tmp_path, FILMS))
    assert times == 1
    assert data["text"][:] == ["good film", "bad film"]
    assert data["target"][:] == ['"good"', '"bad"']
    assert data["length"][:] == [4, 4]
    again, times = encoded_by(read(tmp_path, FILMS))
    assert times == 0
    assert again.to_list() == data.to_list()
    assert len(list((tmp_path / "cache").glob("test-encoded-*.arrow"))) == 1
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        ([FILMS[1], FILMS[0]], {}, []),
        ([FILMS[0], row("b", "bad film", "good")], {}, []),
        ([FILMS[0], row("b", "bad plot", "bad")], {}, []),
        ([FILMS[0], row("c", "bad film", "bad")], {}, []),
        (FILMS, {"max_length": 9}, []),
        (FILMS, {}, ["film!"]),
    ],
    ids=["order", "target", "text", "id", "settings", "tokenizer"],
)
def test_encoded_anew(tmp_path: Path, rows: list[Any], settings: dict[str, Any], words: list[str]) -> None:
    encoded_by(read(tmp_path, FILMS))
    source = write(tmp_path / "p.jsonl", rows)
    corpus = read_corpus(source, toy(), config(**settings), tmp_path / "cache", "test", need_targets=True)
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(words)
    data, times = encoded_by(corpus, tokenizer=tokenizer)
    assert times == 1
    assert data.remove_columns(["input_ids", "length"]).to_list() == corpus.dataset.to_list()
    assert len(list((tmp_path / "cache").glob("test-encoded-*.arrow"))) == 1, "what is out of date is removed"


def test_a_tokenizer_is_described_whatever_it_did_last() -> None:
    tokenizer = tiny.tokenizer()
    before = describe(tokenizer)
    tokenizer(["good film", "film"], truncation=True, max_length=3, padding=True)
    assert describe(tokenizer) == before
    tokenizer.truncation_side = "left"
    assert describe(tokenizer) != before


def test_a_tokenizer_without_a_fast_core_is_described_by_its_words() -> None:
    class Plain:
        def __init__(self, *words: str) -> None:
            self.words = words

        def get_vocab(self) -> dict[str, int]:
            return {word: i for i, word in enumerate(self.words)}

    assert describe(Plain("a", "b")) == describe(Plain("a", "b")) != describe(Plain("b", "a"))


# read_pool


class Unread(Toy):
    """A task that must not be asked to read."""

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError("the source was read")


ROWS = [row(f"r{i}", f"text {i}") for i in range(6)]


def pool(tmp_path: Path, rows: Iterable[Mapping[str, Any]], task: Task | None = None, **arguments: Any) -> Corpus:
    settings = arguments.pop("settings", config())
    source = write(tmp_path / "pool.jsonl", rows)
    return read_pool(source, task or toy(), settings, tmp_path / "cache", **{"need_targets": True, **arguments})


def test_an_unchanged_pool_is_not_read_again(tmp_path: Path) -> None:
    rows = [*ROWS, row("empty", "")]
    first = pool(tmp_path, rows)
    again = pool(tmp_path, rows, cast(Task, Unread()), previous=first.digest)
    assert again.dataset.to_list() == first.dataset.to_list()
    assert again.rejected == first.rejected == [Rejected(str(tmp_path / "pool.jsonl"), 7, "empty", "empty text")]
    assert (again.digest, again.added, again.gone) == (first.digest, 0, 0)
    assert again.contents.tolist() == first.contents.tolist()
    assert again.positions(["r5"]).tolist() == [5]


@pytest.mark.parametrize(
    "change",
    [
        {"answers": Answers({"r1": "bad"})},
        {"exclude": {"test": np.array([1], np.uint64)}},
        {"need_targets": False},
        {"settings": config(labels=["good", "bad"])},
        {"settings": config(label_column="other"), "need_targets": False},
    ],
    ids=str,
)
def test_what_the_rows_depend_on_makes_it_read_again(tmp_path: Path, change: dict[str, Any]) -> None:
    digest = pool(tmp_path, ROWS).digest
    with pytest.raises(AssertionError, match="the source was read"):
        pool(tmp_path, ROWS, cast(Task, Unread()), previous=digest, **change)
    changed = pool(tmp_path, ROWS, previous=digest, **change)
    pool(tmp_path, ROWS, cast(Task, Unread()), previous=changed.digest, **change)


def test_rows_that_come_and_go(tmp_path: Path) -> None:
    first = pool(tmp_path, ROWS)
    rows = [row("new", "another"), *ROWS[2:], row("newer", "yet another"), row("empty", "")]
    second = pool(tmp_path, rows, previous=first.digest)
    assert (second.added, second.gone, len(second)) == (2, 2, 6)
    assert second.digest != first.digest
    killed_before_the_event = pool(tmp_path, rows, cast(Task, Unread()), previous=first.digest)
    assert (killed_before_the_event.added, killed_before_the_event.gone) == (2, 2)
    turned = pool(tmp_path, rows[::-1], previous=second.digest)
    assert (turned.added, turned.gone, turned.digest) == (0, 0, second.digest)


def test_rows_that_may_no_longer_be_used_are_gone(tmp_path: Path) -> None:
    first = pool(tmp_path, ROWS)
    second = pool(tmp_path, ROWS, previous=first.digest, exclude={"test": first.contents[2:4].copy()})
    assert (second.added, second.gone, len(second)) == (0, 2, 4)


def test_changed_answers_make_it_read_again(tmp_path: Path) -> None:
    first = pool(tmp_path, ROWS, answers=Answers({"r1": "bad"}))
    second = pool(tmp_path, ROWS, answers=Answers({"r1": "good"}), previous=first.digest)
    assert (first.targets(), second.targets()) == (["bad"], ["good"])


def test_a_changed_text_under_an_old_id(tmp_path: Path) -> None:
    first = pool(tmp_path, ROWS)
    rows = [row("new", "another"), *ROWS[:3], row("r3", "changed"), row("r4", "text 0")]
    with pytest.raises(UserError) as caught:
        pool(tmp_path, rows, previous=first.digest)
    assert str(caught.value).startswith(f"{tmp_path / 'pool.jsonl'}, line 5 has another text under the id 'r3'")
    assert "put the old text back" in str(caught.value)
    assert "another --out" in str(caught.value)
    with pytest.raises(UserError, match="line 5 has another text under the id 'r4'"):
        pool(tmp_path, [*ROWS[:4], row("r4", "text 0")], previous=first.digest)  # a repeat now, but not what it was
    kept = pool(tmp_path, ROWS, cast(Task, Unread()), previous=first.digest)
    assert kept.digest == first.digest, "a refused pool must not replace the copy"


def test_before_the_first_event_a_text_may_change(tmp_path: Path) -> None:
    pool(tmp_path, ROWS)
    assert pool(tmp_path, [row("r0", "corrected"), *ROWS[1:]]).dataset["text"][0] == "corrected"


def test_a_lost_copy(tmp_path: Path) -> None:
    first = pool(tmp_path, ROWS)
    copy = tmp_path / "cache" / "pool.arrow"
    copy.unlink()
    assert pool(tmp_path, ROWS, previous=first.digest).digest == first.digest
    for _ in range(2):
        copy.unlink(missing_ok=True)
        with pytest.raises(UserError) as caught:
            pool(tmp_path, [*ROWS, row("new", "another")], previous=first.digest)
        assert str(tmp_path / "pool.jsonl") in str(caught.value)
        assert f"without {copy}" in str(caught.value)
        assert "put the earlier file back, or start with another --out" in str(caught.value)
        assert not copy.exists()


def test_strict_holds_for_the_copy_too(tmp_path: Path) -> None:
    first = pool(tmp_path, [*ROWS, row("empty", "")])
    with pytest.raises(UserError, match=r"pool\.jsonl, line 7 cannot be used \(empty text\), the first of 1 to drop"):
        pool(tmp_path, [*ROWS, row("empty", "")], previous=first.digest, strict=True)


def test_a_pool_without_answers_says_where_they_may_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no column 'label'.*--label-column, or give the answers with --answers FILE"):
        pool(tmp_path, [{"id": "a", "text": "one"}])


def test_a_pool_that_is_gone(tmp_path: Path) -> None:
    first = pool(tmp_path, ROWS)
    with pytest.raises(UserError, match=r"There is no file .*poool\.jsonl \(did you mean 'pool\.jsonl'\?\)"):
        read_pool(
            str(tmp_path / "poool.jsonl"),
            toy(),
            config(),
            tmp_path / "cache",
            need_targets=True,
            previous=first.digest,
        )


# read_answers


def answers(tmp_path: Path, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return read_answers(write(tmp_path / "answers.jsonl", rows), toy(), config())


def test_answers(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "label": "good"},
        {"id": "b", "label": "bad"},
        {"id": "b", "label": "bad"},
        {"id": "c", "label": ""},
    ]
    assert answers(tmp_path, rows) == {"1": "good", "b": "bad"}


def test_answers_are_in_the_column_that_the_task_names(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": "a", "answer": "bad", "label": "good"}, {"id": "b", "label": "good"}]
    assert answers(tmp_path, rows) == {"a": "bad"}


@pytest.mark.parametrize(
    ("rows", "wrong", "mend"),
    [
        ([{"key": "a", "label": "good"}], "has no column 'id' but 'key', 'label'", "--id-column"),
        ([{"id": "a", "lable": "good"}], "has no column 'label' (did you mean 'lable'?)", "--label-column"),
        (
            [{"id": "a", "label": "good"}, {"id": "a", "label": "bad"}],
            "line 2 answers the id 'a' in another way",
            "keep one",
        ),
        ([{"id": "a", "label": "good"}, {"id": "", "label": "bad"}], "line 2 has no id in column 'id'", "fill it in"),
        ([{"id": "a", "label": "good"}, {"label": "bad"}], "line 2 has no column 'id'", "give every answer its id"),
        ([{"id": "a", "label": "good"}, {"id": "b", "label": "goood"}], "line 2 has the label 'goood'", "correct it"),
        (
            [{"id": "a", "label": "good"}, {"id": "b", "label": "both"}],
            "line 2 cannot be used (two answers at once)",
            "correct or remove it",
        ),
    ],
)
def test_wrong_answers(tmp_path: Path, rows: list[Any], wrong: str, mend: str) -> None:
    with pytest.raises(UserError) as caught:
        answers(tmp_path, rows)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "answers.jsonl"))
    assert wrong in message
    assert mend in message


def test_a_disk_that_is_full_while_a_file_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = write(tmp_path / "pool.jsonl", tiny.sentences(200))
    full = lambda dir: Path("/dev/full").open("r+b")  # noqa: E731, SIM115
    monkeypatch.setattr("dal_nlp.data.staging.tempfile.TemporaryFile", full)
    config = RunConfig(task="classification", data=pool)
    with pytest.raises(UserError, match=f"{tmp_path}/cache could not be written .No space left on device; .* free in"):
        read_pool(pool, make_task(config), config, tmp_path / "cache", need_targets=True)


def test_copies_with_the_hashes_of_older_versions_are_used_and_compared_by_nothing_that_differs(tmp_path: Path) -> None:
    pool = write(tmp_path / "pool.jsonl", tiny.sentences(20))
    config = RunConfig(task="classification", data=pool)
    task, cache = make_task(config), tmp_path / "cache"
    ids = read_pool(pool, task, config, cache, need_targets=True).dataset["id"][:]
    texts = {row["id"]: row["text"] for row in tiny.sentences(20)}
    with pa.ipc.open_stream(cache / "pool.arrow") as stream:
        table = stream.read_all()
    header = json.loads(table.schema.metadata[HEADER.encode()])
    header = {name: value for name, value in header.items() if name != "hashes"} | {"digest": "0123456789abcdef"}
    older = table.set_column(table.column_names.index(ID_HASH), ID_HASH, pa.array(range(20), pa.uint64()))
    older = older.replace_schema_metadata({HEADER: json.dumps(header)})
    with pa.OSFile(str(cache / "older"), "wb") as file, pa.ipc.new_stream(file, older.schema) as stream:
        stream.write_table(older)
    (cache / "older").replace(cache / "pool.arrow")
    old = read_pool(pool, task, config, cache, need_targets=True, previous="0123456789abcdef")
    assert old.digest == "0123456789abcdef", "the copy of the older version is taken as it is"
    assert [int(i) for i in old.find(ids)] == list(range(20))
    assert PoolCopy(tmp_path).example(ids[7])["text"] == texts[ids[7]]
    write(tmp_path / "pool.jsonl", tiny.sentences(25))
    new = read_pool(pool, task, config, cache, need_targets=True, previous="0123456789abcdef")
    assert len(new) == 25 and new.digest.startswith("xxh3:")
