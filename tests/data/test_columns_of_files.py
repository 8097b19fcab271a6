"""The columns of files: how names and keys are found, which are read, ids, and class numbers with their names."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import ExampleReader, class_names
from dal_nlp.data.hashing import id_of_content
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests.data.files import LABELS, ROWS, TEXTS, complaint, lines, put, read, table


def test_only_the_columns_that_are_needed_are_read(tmp_path: Path) -> None:
    unused = {
        "map": pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())),
        "time": pa.array([2**62] * 4, pa.timestamp("us")),
        "bytes": pa.array([b"\xff"] * 4),
        "deep": pa.array([[[{"a": [1]}]]] * 4),
    }
    columns = {"text": pa.array([text.encode() for text in TEXTS]), "label": pa.array(LABELS).dictionary_encode()}
    pq.write_table(pa.table({**unused, **columns}), tmp_path / "p.parquet")
    assert read(tmp_path / "p.parquet")[0] == list(zip(TEXTS, LABELS, strict=True))
    features = Features({"text": Value("string"), "label": Value("string"), "image": Image()})
    broken = [{"path": None, "bytes": b"no image"}] * 4
    Dataset.from_dict({"text": TEXTS, "label": LABELS, "image": broken}, features).save_to_disk(tmp_path / "arrow")
    assert read(tmp_path / "arrow")[0] == list(zip(TEXTS, LABELS, strict=True))
    wide = ["comment"] * 3000 + [f"c{i}" for i in range(37_000)] + ["text", "label"]
    put(tmp_path, "wide.csv", ",".join(wide) + "\n" + "," * 40_000 + "a b,good\n")
    assert read(tmp_path / "wide.csv")[0] == [("a b", "good")]


def test_class_numbers_in_one_file_have_the_names_of_another(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0, -1]}, features).to_parquet(tmp_path / "pool.parquet")
    numbers = put(tmp_path, "test.csv", "text,label\na,1\nb,0\nc,good\nd,-1\n")
    config = RunConfig(task="classification", data=str(tmp_path / "pool.parquet"))
    names = class_names([str(numbers), str(tmp_path / "pool.parquet")], make_task(config), config)
    assert names == ["bad", "good"]
    reader = ExampleReader(str(numbers), make_task(config), config, need_ids=False, classes=names)
    assert [e.target for e in reader.examples()] == ['"good"', '"bad"', '"good"', None]
    assert [t for batch in reader.batches() for t in pa.array(batch.columns["target"]).to_pylist()] == [
        '"good"', '"bad"', '"good"', None,
    ]  # fmt: skip


@pytest.mark.parametrize("typed", ["Text (English)", "text (english)", r"Text\n(English)", "Text\n (English)"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_name_with_a_line_end_is_found_however_it_is_typed(tmp_path: Path, typed: str, kind: str) -> None:
    rows = [{"Text\n(English)": row["text"], "which\xa0label": row["label"]} for row in ROWS]
    if kind == "parquet":
        pd.DataFrame(rows).to_parquet(tmp_path / "p.parquet")
    else:
        put(tmp_path, f"p.{kind}", table(rows, sep=";") if kind == "csv" else lines(rows))
    found, remarks = read(tmp_path / f"p.{kind}", text_column=typed, label_column="which label")
    assert found == list(zip(TEXTS, LABELS, strict=True))
    assert r"'Text\n(English)' was taken for it" in " ".join(remarks)


def test_files_of_a_folder_are_asked_for_class_names_as_they_are_read(tmp_path: Path) -> None:
    for kind in ("csv", "parquet"):
        (tmp_path / kind).mkdir()
    put(tmp_path, "csv/a.csv", "text,label\na,good\n")
    put(tmp_path, "csv/b.csv", "Text;Label\nb;bad\n".encode("utf-16"))
    for name, called in (("a", "Label"), ("b", "label")):
        features = Features({"text": Value("string"), called: ClassLabel(names=["bad", "good"])})
        written = Dataset.from_dict({"text": [name], called: [1]}, features)
        written.to_parquet(tmp_path / "parquet" / f"{name}.parquet")
    config = RunConfig(task="classification", data="")
    for source, names in (("csv", []), ("csv/*.csv", []), ("parquet", ["bad", "good"]), ("parquet/*", ["bad", "good"])):
        assert class_names([str(tmp_path / source)], make_task(config), config) == names
    assert read(tmp_path / "parquet/a.parquet")[0] == [("a", "good")]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("0 4 2", ["1", "5", "3"]),
        ("1 5 2", ["1", "5", "2"]),
        ("1 4 2", "were read as names of classes, which they may be"),
        ("0 5 2", "'5' and '0' in its column 'label', and the classes are '1', '2'"),
    ],
)
def test_names_of_classes_that_are_numbers_are_decided_on_by_the_whole_column(
    tmp_path: Path, numbers: str, expected: list[str] | str
) -> None:
    file = put(tmp_path, "test.csv", "text,label\n" + "".join(f"a{n},{n}\n" for n in numbers.split()))
    config = RunConfig(task="classification", data=str(file))
    readers = [ExampleReader(str(file), make_task(config), config, classes=["1", "2", "3", "4", "5"]) for _ in range(2)]
    try:
        found = [json.loads(example.target or "") for example in readers[0].examples()]
    except UserError as error:
        assert expected in str(error)
        return
    assert found == (expected if isinstance(expected, list) else numbers.split())
    batches = [pa.array(batch.columns["target"]).to_pylist() for batch in readers[1].batches()]
    assert [json.loads(target) for batch in batches for target in batch] == found
    assert readers[0].remarks == [] if isinstance(expected, list) else expected in readers[0].remarks[0]


def test_ids_and_keys_are_found_with_other_capitals(tmp_path: Path) -> None:
    rows = [{"ID": f"0{i}", "Text": f"text {i}", "Label": "ab"[i % 2]} for i in range(4)]
    for name, content in (("p.csv", table(rows)), ("p.jsonl", lines(rows)), ("p.json", json.dumps(rows))):
        file = str(put(tmp_path, name, content))
        config = RunConfig(task="classification", data=file)
        reader = ExampleReader(file, make_task(config), config, need_targets=True)
        # What runs that are under way know these rows by.
        assert [one.id for one in reader.examples()] == [id_of_content(one.fields or {}) for one in reader.examples()]
        told = config.model_copy(update={"id_column": "ID"})
        assert [one.id for one in ExampleReader(file, make_task(told), told).examples()] == ["00", "01", "02", "03"]
        assert {f"no column {name!r}" in " ".join(reader.remarks) for name in ("id", "text", "label")} == {True}
    assert read(put(tmp_path, "q.jsonl", lines([{**row, "text": "x"} for row in rows])))[0][0] == ("x", "a")


@pytest.mark.parametrize("names", ["id,text,label,id", "id ,text,label,id"])
def test_a_column_of_ids_that_is_there_twice_is_refused(tmp_path: Path, names: str) -> None:
    columns = names.split(",")
    csv = put(tmp_path, "p.csv", f"{names}\n1,a,b,2\n")
    pq.write_table(pa.Table.from_arrays([pa.array(["x", "y"])] * 4, names=columns), tmp_path / "p.parquet")
    for file in (csv, tmp_path / "p.parquet"):
        assert complaint(file) == f"{file} names the column 'id' twice: rename one of the two."
        assert read(file, id_column="none")[0]


@pytest.mark.parametrize("rows", [4, 1200])
@pytest.mark.parametrize("form", ["p.jsonl", "p.json"])
def test_keys_of_single_rows_are_found_with_other_capitals(tmp_path: Path, rows: int, form: str) -> None:
    plain = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(rows)]
    mixed = [*plain[:-1], {"Text": plain[-1]["text"], "LABEL": plain[-1]["label"]}]  # beyond the first thousand, too
    file = put(tmp_path, form, lines(mixed) if form == "p.jsonl" else json.dumps(mixed))
    found, remarks = read(file)
    assert found == read(put(tmp_path, "plain.jsonl", lines(plain)))[0]
    assert [remark.removeprefix(str(file)) for remark in sorted(remarks)] == [
        f" has {key!r} where some of its rows lack {name!r}: it was taken for it."
        for key, name in (("LABEL", "label"), ("Text", "text"))
    ]


@pytest.mark.parametrize("form", ["p.jsonl", "p.json", "shards"])
def test_ids_of_single_rows_are_found_with_other_capitals(tmp_path: Path, form: str) -> None:
    rows = [{"ID" if i % 2 or i > 1000 else "id": f"a{i}", "text": f"text {i}"} for i in range(1200)]
    if form == "shards":
        for number, part in enumerate((rows[1::2], rows[:1000:2])):
            put(tmp_path, f"{form}/{number}.jsonl", lines(part))
    else:
        put(tmp_path, form, lines(rows) if form == "p.jsonl" else json.dumps(rows))
    config = RunConfig(task="classification", data=str(tmp_path / form))
    reader = ExampleReader(config.data, make_task(config), config)
    found = {(one.fields or {})["text"]: one.id for one in reader.examples()}
    assert found == {f"text {id[1:]}": id for id in found.values()} and len(found) > 1000
    (remark,) = reader.remarks
    assert remark.endswith(" has 'ID' where some of its rows lack 'id': it was taken for it.")


def test_another_column_beside_the_ids_is_not_taken_for_them(tmp_path: Path) -> None:
    rows = [{"id": "1", "ID": "x", "text": "a"}, {"ID": "y", "text": "b"}, {"id": "3", "text": "c"}]
    file = str(put(tmp_path, "p.jsonl", lines(rows)))
    config = RunConfig(task="classification", data=file)
    reader = ExampleReader(file, make_task(config), config)
    first, second, third = reader.examples()
    assert (first.id, second.id, third.id) == ("1", id_of_content(second.fields or {}), "3")


def test_keys_that_a_row_has_both_of_are_two_columns(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "Label": "y"}, {"text": "b", "Label": "z"}, {"text": "c", "label": "y"}]
    assert read(put(tmp_path, "p.jsonl", lines(rows))) == ([("a", "x"), ("b", None), ("c", "y")], [])
