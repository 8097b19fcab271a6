"""Sources -> rows: every kind of source, and a sentence with file, row and mend for everything that can be wrong."""

import json
import re
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from dal_nlp.core.errors import UserError
from dal_nlp.downloads import demo
from dal_nlp.readers import sources as data
from dal_nlp.readers.sources import read_rows, source_digest
from dal_nlp.readers.text_files import place

ROWS = [{"id": "a", "text": "warm, bright", "label": "good"}, {"id": "b", "text": 'a "dull"\nplot', "label": "bad"}]
CLASSES = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
NUMBERED = {"text": ["one", "two", "three"], "label": [1, 0, -1]}


def put(folder: Path, name: str, content: str | bytes) -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def complaint(source: str) -> str:
    with pytest.raises(UserError) as caught:
        list(read_rows(source))
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", 'id,text,label\na,"warm, bright",good\nb,"a ""dull""\nplot",bad\n'),
        ("P.CSV", 'id,text,label\r\na,"warm, bright",good\r\n\r\nb,"a ""dull""\nplot",bad'),
        ("p.tsv", 'id\ttext\tlabel\na\twarm, bright\tgood\nb\t"a ""dull""\nplot"\tbad\n'),
        ("p.jsonl", "\n".join(json.dumps(row) for row in ROWS) + "\n\n"),
        ("p.json", json.dumps(ROWS, indent=1)),
        ("q.json", json.dumps({"version": 1, "data": ROWS})),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_text_files(tmp_path: Path, name: str, content: str, mark: bytes) -> None:
    assert [row for _, row in read_rows(put(tmp_path, name, mark + content.encode()))] == ROWS


def test_numbers_are_those_of_a_person(tmp_path: Path) -> None:
    table = put(tmp_path, "p.csv", 'text\n"two\nlines"\n\nlast\n')
    assert [number for number, _ in read_rows(table)] == [2, 5]
    lines = put(tmp_path, "p.jsonl", '{"text": 1}\n\n{"text": 2}\n')
    assert [number for number, _ in read_rows(lines)] == [1, 3]
    whole = put(tmp_path, "p.json", '[{"text": 1},\n\n{"text": 2}]')
    assert [number for number, _ in read_rows(whole)] == [1, 2]
    assert place(table, 5) == f"{table}, line 5"
    assert place(whole, 2) == f"{whole}, row 2"


def test_long_cell(tmp_path: Path) -> None:
    text = "word " * 50_000
    ((_, row),) = read_rows(put(tmp_path, "p.csv", f"text\n{text}\n"))
    assert row["text"] == text


def test_rows_come_before_the_file_is_read_whole(tmp_path: Path) -> None:
    rows = read_rows(put(tmp_path, "p.jsonl", '{"text": "fine"}\n' * 5000 + "broken\n"))
    assert next(rows) == (1, {"text": "fine"})
    with pytest.raises(UserError, match="line 5001 is broken JSON"):
        list(rows)


def test_parquet_gives_names_for_class_numbers(tmp_path: Path) -> None:
    file = tmp_path / "p.parquet"
    Dataset.from_dict(NUMBERED, features=CLASSES).to_parquet(file)
    assert [(n, row["text"], row["label"]) for n, row in read_rows(str(file))] == [
        (1, "one", "good"),
        (2, "two", "bad"),
        (3, "three", None),
    ]


@pytest.mark.parametrize(("there", "damaged"), [(b"ordinary", b"ordi\xff\xfe\xff\xfe"), (b"ordinary", b"ord")])
def test_a_page_of_parquet_that_holds_no_text_any_more_is_said(tmp_path: Path, there: bytes, damaged: bytes) -> None:
    file = tmp_path / "p.parquet"
    table = pa.table({"text": [f"some ordinary words {i}" for i in range(20)], "label": ["a", "b"] * 10})
    pq.write_table(table, file, compression="none", use_dictionary=False, write_statistics=False)
    file.write_bytes(file.read_bytes().replace(there, damaged, 1))
    with pytest.raises(UserError, match=re.escape("p.parquet")):
        list(read_rows(str(file)))


def test_arrow_folder(tmp_path: Path) -> None:
    one = Dataset.from_dict(NUMBERED, features=CLASSES)
    one.save_to_disk(tmp_path / "one")
    assert [row["label"] for _, row in read_rows(str(tmp_path / "one"))] == ["good", "bad", None]
    other = Dataset.from_dict({"text": ["other"]})
    DatasetDict({"test": other}).save_to_disk(tmp_path / "single")
    assert [row["text"] for _, row in read_rows(str(tmp_path / "single"))] == ["other"]
    DatasetDict({"test": other, "train": one}).save_to_disk(tmp_path / "many")
    assert len(list(read_rows(str(tmp_path / "many")))) == 3
    assert list(read_rows(f"{tmp_path / 'many'}:test")) == [(1, {"text": "other"})]


def test_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "demo_rows", lambda source: iter([(1, {"text": source})]))
    assert list(read_rows("demo:sentiment")) == [(1, {"text": "demo:sentiment"})]
    assert source_digest("demo:sentiment") == "demo:sentiment"


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("imdb", [("imdb", None, "train")]),
        ("owner/name:test", [("owner/name", None, "test")]),
        ("glue/sst2", [("glue/sst2", None, "train"), ("glue", "sst2", "train")]),
        ("owner/name/sub:dev", [("owner/name", "sub", "dev")]),
    ],
)
def test_hub_names(monkeypatch: pytest.MonkeyPatch, source: str, calls: list[Any]) -> None:
    made = []

    def load(name: str, config: str | None = None, *, split: str) -> Dataset:
        made.append((name, config, split))
        if name == "glue/sst2":
            raise datasets.exceptions.DatasetNotFoundError("no such dataset")
        return Dataset.from_dict(NUMBERED, features=CLASSES)

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert [row["label"] for _, row in read_rows(source)] == ["good", "bad", None]
    assert made == calls


def test_no_network_for_a_hub_name() -> None:
    message = complaint("glue/sst2:train")
    assert "no file glue/sst2:train" in message
    assert "no network for a Hub name" in message
    assert message.endswith("use a file instead.")


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (datasets.exceptions.DatasetNotFoundError("Dataset 'imbd' doesn't exist.\nmore"), ("imbd", "correct the name")),
        (ValueError('Unknown split "train".'), ("imbd", "correct the name or the split")),
        (datasets.exceptions.DatasetGenerationError("broken"), ("imbd", "correct the name or the split")),
    ],
)
def test_hub_errors(monkeypatch: pytest.MonkeyPatch, error: Exception, parts: tuple[str, ...]) -> None:
    def load(name: str, *, split: str) -> Dataset:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load)
    message = complaint("imbd")
    assert all(part in message for part in parts)
    assert "\n" not in message


def test_half_a_minute_without_network_is_spent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load(name: str, config: str | None = None, *, split: str) -> Dataset:
        calls.append(name)
        raise ConnectionError("unreachable")

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    complaint("glue/sst2")
    assert calls == ["glue/sst2"]


FAULTS = [
    ("empty.csv", b"", "is empty", "one example a row"),
    ("header.csv", "text,label\n", "is empty", "one example a row"),
    ("blank.jsonl", "\n\n", "is empty", "one example a row"),
    ("list.json", "[]", "is empty", "one example a row"),
    ("broken.jsonl", '{"text": "a"}\n{"text": \n', "line 2 is broken JSON", "correct or remove it"),
    ("array.jsonl", '{"text": "a"}\n\n["a"]\n', "line 3 is no JSON object", 'write it as {"text"'),
    ("broken.json", '[{"text": "a"},\n {"text" "b"}]', "line 2 is broken JSON", "correct it"),
    ("deep.json", "[" * 100_000, "is broken JSON (it is nested too deeply)", "correct it"),
    ("deep.jsonl", '{"text": "a"}\n' + "[" * 100_000, "line 2 is broken JSON (it is nested", "correct or remove it"),
    ("item.json", '[{"text": "a"}, 3]', "row 2 is no JSON object", 'write it as {"text"'),
    ("scalar.json", "3", "is no list of objects", 'write it as [{"text"'),
    ("data.json", '{"data": {"text": 1}}', "is no list of objects", 'write it as [{"text"'),
    ("many.csv", "text,label\na,b\nc,d,e\n", "line 3 has 3 cells and the header 2", "in double quotes"),
    ("names.csv", '"text","label"\n"1","a, b","c"\n"2","d","e"\n', "one cell more in every row", "put a name for them"),
    ("names.tsv", "text\tlabel\n7\ta\tb\n\n12\tb\tc\n", "one cell more in every row", "put a name for them before"),
    ("ends.csv", "id;text;label\n1;a;neg;\n2;b;pos;so so\n3;c;neg;\n", "line 3 has 4 cells and the header 3", ""),
    ("marks.csv", "id,text,label\na0,a\\,b,neg\na1,c\\,d,pos\n", "line 2 has 4 cells and the header 3", ""),
    ("same.csv", "text,label\nWell, a,b\nWell, c,d\n", "line 2 has 3 cells and the header 2", "in double quotes"),
    ("some.csv", "text,label\na,b\nWell, a,b\nOh, c,d\n", "line 3 has 3 cells", "in double quotes"),
    ("quoted.txt", '"text" "label"\n"1" "a" "b"\n', "its columns separated by blanks", "with commas or tabs"),
    ("open.csv", 'text,label\na,b\nc,"d\ne,f\n', "line 3 cannot be read", "close every quoted cell"),
    ("mixed.csv", "text\né\n".encode() + "café\n".encode("latin-1"), "line 3 is not UTF-8", "--encoding"),
    ("notes.xlsx", b"PK", "is no whole workbook", "save it anew"),
    ("notes.doc", b"text", "has an unknown ending", ".csv, .tsv, .tab, .txt, .jsonl, .ndjson, .json, .parquet, .xlsx"),
    ("p.csv.gz", b"\x1f\x8bno", "is no whole .gz file", "compress it anew"),
    ("bad.parquet", b"PAR1 and then nothing", "is no whole parquet file", "write it anew"),
    ("zero.parquet", b"", "is empty", "one example a row"),
]


@pytest.mark.parametrize(("name", "content", "wrong", "mend"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_faults(tmp_path: Path, name: str, content: str | bytes, wrong: str, mend: str) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    source = put(tmp_path, name, content)
    message = complaint(source)
    assert message.startswith(source)
    assert wrong in message
    assert mend in message
    assert message.endswith(".")
    assert "\n" not in message


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "pool.csv", "text\na\n")
    message = complaint(str(tmp_path / "pol.csv"))
    assert f"no file {tmp_path / 'pol.csv'}" in message
    assert "did you mean 'pool.csv'?" in message
    assert "nor a folder" in complaint(str(tmp_path / "nowhere" / "pool.csv"))
    monkeypatch.chdir(tmp_path)
    for source in ("foo.csv", "./foo", "~/foo", "foo/"):
        assert complaint(source).startswith(f"There is no file {source}")


def test_folders_that_hold_no_dataset(tmp_path: Path) -> None:
    message = complaint(str(tmp_path))
    assert message.startswith(str(tmp_path))
    assert "is no Arrow folder" in message
    assert "save_to_disk" in message
    (tmp_path / "state.json").write_text("{}")
    assert "is no whole Arrow folder" in complaint(str(tmp_path))


def test_splits_that_are_not_there(tmp_path: Path) -> None:
    part = Dataset.from_dict({"text": ["a"]})
    DatasetDict({"dev": part, "test": part}).save_to_disk(tmp_path / "dict")
    folder = str(tmp_path / "dict")
    assert f"{folder} has no split 'train' but dev, test: choose one, as in {folder}:dev" in complaint(folder)
    assert "no split 'tset'" in complaint(f"{folder}:tset")
    part.save_to_disk(tmp_path / "plain")
    assert "leave out ':test'" in complaint(f"{tmp_path / 'plain'}:test")


def test_digest_of_a_source(tmp_path: Path) -> None:
    file = put(tmp_path, "p.csv", "text\na\n")
    first = source_digest(file)
    assert first == source_digest(put(tmp_path, "q.csv", "text\na\n"))
    assert first != source_digest(put(tmp_path, "p.csv", "text\nb\n"))
    part = Dataset.from_dict({"text": ["a"]})
    DatasetDict({"dev": part, "test": part}).save_to_disk(tmp_path / "dict")
    assert source_digest(f"{tmp_path / 'dict'}:dev") != source_digest(f"{tmp_path / 'dict'}:test")
    assert source_digest("owner/name:test") == "owner/name:test"
    with pytest.raises(UserError, match="There is no file"):
        source_digest(str(tmp_path / "gone.csv"))


@pytest.mark.parametrize("shown", [True, False])
def test_quiet_leaves_the_progress_bars_as_they_were(shown: bool) -> None:
    before = datasets.utils.are_progress_bars_disabled()
    switch = {True: datasets.enable_progress_bars, False: datasets.disable_progress_bars}
    try:
        switch[shown]()
        with pytest.raises(ZeroDivisionError), data.quiet():
            assert datasets.utils.are_progress_bars_disabled()
            raise ZeroDivisionError
        assert datasets.utils.are_progress_bars_disabled() is not shown
    finally:
        switch[not before]()
