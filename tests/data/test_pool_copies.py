"""What a pool's copy on the disk saves: it is encoded once, and read again only where something changed."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset

from dal_nlp.core.errors import UserError
from dal_nlp.core.task import Task
from dal_nlp.data.corpus import Corpus, Rejected, read_corpus, read_pool
from dal_nlp.data.examples import AnswersById
from dal_nlp.data.hashing import HEADER, ID_HASH, PoolCopy
from dal_nlp.data.tokenized import describe
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests import tiny
from tests.data.test_corpus import Toy, config, read, row, toy
from tests.tiny import write

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
        {"answers": AnswersById({"r1": "bad"})},
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
    first = pool(tmp_path, ROWS, answers=AnswersById({"r1": "bad"}))
    second = pool(tmp_path, ROWS, answers=AnswersById({"r1": "good"}), previous=first.digest)
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


def test_a_disk_that_is_full_while_a_file_is_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = write(tmp_path / "pool.jsonl", tiny.sentences(200))
    full = lambda dir: Path("/dev/full").open("r+b")  # noqa: E731, SIM115
    monkeypatch.setattr("dal_nlp.data.staging.tempfile.TemporaryFile", full)
    settings = RunConfig(task="classification", data=pool)
    with pytest.raises(UserError, match=f"{tmp_path}/cache could not be written .No space left on device; .* free in"):
        read_pool(pool, make_task(settings), settings, tmp_path / "cache", need_targets=True)


def test_copies_with_the_hashes_of_older_versions_are_used_and_compared_by_nothing_that_differs(tmp_path: Path) -> None:
    pool = write(tmp_path / "pool.jsonl", tiny.sentences(20))
    settings = RunConfig(task="classification", data=pool)
    task, cache = make_task(settings), tmp_path / "cache"
    ids = read_pool(pool, task, settings, cache, need_targets=True).dataset["id"][:]
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
    old = read_pool(pool, task, settings, cache, need_targets=True, previous="0123456789abcdef")
    assert old.digest == "0123456789abcdef", "the copy of the older version is taken as it is"
    assert [int(i) for i in old.find(ids)] == list(range(20))
    assert PoolCopy(tmp_path).example(ids[7])["text"] == texts[ids[7]]
    write(tmp_path / "pool.jsonl", tiny.sentences(25))
    new = read_pool(pool, task, settings, cache, need_targets=True, previous="0123456789abcdef")
    assert len(new) == 25 and new.digest.startswith("xxh3:")
