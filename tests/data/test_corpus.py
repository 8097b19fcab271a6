"""Rows -> a corpus: ids, answers, what is dropped, what is an error, and what a second start does."""

import gc
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from dal_nlp.core.errors import EmptyRow, RowError, UnusableRow, UserError
from dal_nlp.core.task import Task
from dal_nlp.data import corpus as corpus_module
from dal_nlp.data import staging
from dal_nlp.data.corpus import Corpus, read_corpus
from dal_nlp.data.hashing import Index, digest
from dal_nlp.joins.joined_answers import read_answers
from dal_nlp.session.config import RunConfig
from tests import tiny
from tests.tiny import write

LABELS = ("good", "bad")


class Toy:
    """A task that reads texts and a list of words, knows two labels, and counts how often it encodes."""

    naming = "name the column with --label-column"

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
        (
            [{"key": "a", "label": "good"}],
            "has no column 'id' but 'key', 'label'",
            "call the column of the pool's ids so",
        ),
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
