"""Files as other programs write them: read rightly, mended with a remark, or refused with the reason."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import Reader, class_names
from dal_nlp.data.hashing import id_of_content
from dal_nlp.readers import text_files
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task

TEXTS = ["the fish was raw", 'they said "no, never" twice', "über-\nall good", "a;b|c, d"]
LABELS = ["bad", "good", "bad", "good"]
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
PLAIN = [{"text": f"plain text {i}", "label": LABELS[i]} for i in range(4)]


def read(source: Path | str, task: str = "classification", **changes: Any) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return (text, answer) of each usable row, and the remarks; by rows and by columns it is the same."""
    config = RunConfig(task=task, data=str(source), **changes)
    made = make_task(config)
    readers = [Reader(str(source), made, config, need_targets=True, need_ids=False) for _ in range(2)]
    by_row = [(e.row, e.id, e.id_hash, e.content_hash, e.fields, e.target, e.reason) for e in readers[0].examples()]
    batches = list(readers[1].batches())
    usable = [row for row in by_row if row[4] is not None]
    assert [int(n) for batch in batches for n in batch.rows] == [row[0] for row in usable]
    assert [int(n) for batch in batches for n in batch.ids] == [row[2] for row in usable]
    assert [int(n) for batch in batches for n in batch.contents] == [row[3] for row in usable]
    assert [row for batch in batches for row in batch.unusable] == [
        (row[0], row[1], row[6]) for row in by_row if row[4] is None
    ]
    columns = [pa.array(batch.columns[name]).to_pylist() for name in ("id", "target") for batch in batches]
    assert [cell for column in columns[: len(batches)] for cell in column] == [row[1] for row in usable]
    assert [cell for column in columns[len(batches) :] for cell in column] == [row[5] for row in usable]
    assert readers[0].remarks == readers[1].remarks
    found = [(made.show({"pair": None, **(row[4] or {})}), row[5] and json.loads(row[5])) for row in usable]
    return found, readers[0].remarks


def complaint(source: Path | str, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(source, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def table(rows: list[dict[str, Any]], **arguments: Any) -> bytes:
    return pd.DataFrame(rows).to_csv(index=False, **arguments).encode()


def put(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as file:
        file.write(content)
    return bytes(sink.getvalue())


READ: list[tuple[str, bytes | str, str]] = [
    ("plain.csv", table(ROWS), ""),
    ("crlf.csv", table(ROWS, lineterminator="\r\n"), ""),
    ("bars.csv", table(ROWS, sep="|"), "separated by bars"),
    ("semicolons.csv", table(ROWS, sep=";"), "separated by semicolons"),
    ("tabs.csv", table(ROWS, sep="\t"), "separated by tabs"),
    ("commas.tsv", table(ROWS), "separated by commas"),
    ("unicode.txt", table(ROWS, sep="\t").decode().encode("utf-16"), "UTF-16"),
    ("nomark.csv", table(ROWS).decode().encode("utf-16-be"), "UTF-16"),
    ("western.csv", table(ROWS).decode().encode("cp1252"), "cp1252"),
    ("western.jsonl", lines(ROWS).encode("latin-1"), "cp1252"),
    ("western.json", json.dumps(ROWS, ensure_ascii=False).encode("cp1252"), "cp1252"),
    ("packed.csv.gz", gzip.compress(table(ROWS)), ""),
    ("packed.tsv.bz2", bz2.compress(table(ROWS, sep="\t")), ""),
    ("packed.jsonl.xz", lzma.compress(lines(ROWS).encode()), ""),
    ("packed.json.zst", zstd(json.dumps(ROWS).encode()), ""),
    ("capitals.csv", table([{" Text ": row["text"], "LABEL": row["label"]} for row in ROWS]), "taken for it"),
    (
        "empty.csv",
        "text,label,,,\n" + table([{**row, "a": "", "b": "", "c": ""} for row in ROWS], header=False).decode(),
        "",
    ),
    ("lines.json", lines(ROWS), "one object a line"),
    ("list.jsonl", json.dumps(ROWS, indent=1), "list of objects"),
    ("columns.json", pd.DataFrame(ROWS).to_json(), ""),
    ("index.json", pd.DataFrame(ROWS).to_json(orient="index"), ""),
    ("split.json", pd.DataFrame(ROWS).to_json(orient="split"), ""),
    ("table.json", pd.DataFrame(ROWS).to_json(orient="table"), ""),
    ("lists.json", json.dumps({"text": TEXTS, "label": LABELS}), ""),
    ("splits.json", json.dumps({"train": ROWS, "test": ROWS[:1]}), "'train' was read"),
    ("missing.ndjson", lines([*ROWS, {"text": "no label"}]), ""),
    ("first.jsonl", lines([{"text": "no label"}, *ROWS]), ""),
    ("doccano.jsonl", lines([{"id": i, "text": r["text"], "label": [r["label"]]} for i, r in enumerate(ROWS)]), ""),
    ("repr.csv", table([{**row, "label": [row["label"]]} for row in ROWS]), ""),
    (
        "prodigy.jsonl",
        lines(
            [{**row, "answer": "accept", "_task_hash": 1} for row in ROWS]
            + [{"text": "x", "label": "bad", "answer": "reject"}]
        ),
        "Prodigy",
    ),
    (
        "choice.jsonl",
        lines([{"text": r["text"], "accept": [r["label"]], "answer": "accept", "_input_hash": 1} for r in ROWS]),
        "Prodigy",
    ),
    (
        "studio.json",
        json.dumps(
            [
                {
                    "id": i,
                    "data": {"text": row["text"]},
                    "annotations": [
                        {"was_cancelled": True, "result": []},
                        {"result": [{"from_name": "any", "value": {"choices": [row["label"]]}, "type": "choices"}]},
                    ],
                }
                for i, row in enumerate(ROWS)
            ]
        ),
        "Label Studio",
    ),
    (
        "min.json",
        json.dumps(
            [{"id": 1, "text": r["text"], "mood": r["label"], "annotator": 1, "annotation_id": 2} for r in ROWS]
        ),
        "'mood'",
    ),
    (
        "min.csv",
        table([{"annotation_id": 1, "annotator": 2, "id": 3, "mood": r["label"], "text": r["text"]} for r in ROWS]),
        "'mood'",
    ),
    (
        "argilla.json",
        json.dumps(
            [
                {
                    "id": str(i),
                    "fields": {"text": r["text"]},
                    "responses": {
                        "label": [{"value": r["label"], "status": "submitted"}, {"value": "x", "status": "draft"}]
                    },
                }
                for i, r in enumerate(ROWS)
            ]
        ),
        "Argilla",
    ),
    (
        "argilla.jsonl",
        lines(
            [{"text": r["text"], "label": [{"user_id": "u", "value": r["label"], "status": "submitted"}]} for r in ROWS]
        ),
        "",
    ),
]


@pytest.mark.parametrize(("name", "content", "remark"), READ, ids=[case[0] for case in READ])
def test_files_that_are_read(tmp_path: Path, name: str, content: bytes | str, remark: str) -> None:
    found, remarks = read(put(tmp_path, name, content))
    answered = [row for row in found if row[1] is not None]
    assert answered == list(zip(TEXTS, LABELS, strict=True))
    assert len(found) - len(answered) == (name in ("missing.ndjson", "first.jsonl", "prodigy.jsonl"))
    assert any(remark in text for text in remarks) if remark else not remarks, remarks


def test_a_mark_at_the_beginning_is_no_part_of_a_name(tmp_path: Path) -> None:
    for name, content in (
        ("a.csv", table(ROWS)),
        ("a.jsonl", lines(ROWS).encode()),
        ("a.json", json.dumps(ROWS).encode()),
    ):
        found, remarks = read(put(tmp_path, name, b"\xef\xbb\xbf" + content))
        assert len(found) == 4 and not remarks


def test_old_line_ends(tmp_path: Path) -> None:
    found, remarks = read(put(tmp_path, "mac.csv", table(PLAIN, lineterminator="\r")))
    assert [text for text, _ in found] == [row["text"] for row in PLAIN]
    assert "Macintosh" in remarks[0]


def test_an_encoding_that_is_named_overrules(tmp_path: Path) -> None:
    file = put(tmp_path, "p.csv", "text,label\nжизнь,good\n".encode("koi8-r"))
    assert read(file, encoding="koi8-r") == ([("жизнь", "good")], [])
    assert "no encoding 'koi9'" in complaint(file, encoding="koi9")
    assert "no encoding 'undefined'" in complaint(file, encoding="undefined")
    assert "is not UTF-8" in complaint(file, encoding="utf-8")


def test_rows_without_their_last_cells(tmp_path: Path) -> None:
    found, remarks = read(put(tmp_path, "short.csv", "text,label,note\na b,good\nc d,bad,x\ne f\n"))
    assert found == [("a b", "good"), ("c d", "bad"), ("e f", None)]
    assert "2 rows with fewer cells" in remarks[0]


REFUSED: list[tuple[str, bytes | str, str]] = [
    ("list.jsonl", lines([{"text": ["a", "b"], "label": "good"}]), "line 1 holds a list where a text is expected"),
    ("dict.jsonl", lines([ROWS[0], {"text": {"en": "a"}, "label": "good"}]), "line 2 holds an object"),
    ("bool.jsonl", lines([{"text": True, "label": "good"}]), "line 1 holds a true or false"),
    ("several.jsonl", lines([{"text": "a", "label": ["good", "bad"]}]), "line 1 holds 2 labels"),
    ("object.jsonl", lines([{"text": "a", "label": {"good": 1}}]), "holds an object where a label is expected"),
    ("half.jsonl", '{"text": "a", "label": "\\ud800"}\n', "half a surrogate pair"),
    ("noheader.tsv", "bad\tthe fish was raw\nbad\tno\ngood\tyes\n", "has it a header?"),
    ("twice.csv", "text,label,text\na,b,c\n", "names the column 'text' twice"),
    ("Twice.csv", "Text,label,Text\na,b,c\n", "names the column 'Text' twice"),
    ("long.csv", "text,label\na,b,c\n", "line 2 has 3 cells and the header 2"),
    ("open.csv", 'text,label\na,b\n"c,d\n', "line 3 cannot be read"),
    ("inner.csv", 'text,label\na,b\n"c" d,e\nf,g\n', "line 3 cannot be read"),
    ("old.xls", b"\xd0\xcf\x11\xe0", "save it as .xlsx"),
    (
        "pairs.json",
        json.dumps({"train": [["a", "b"]] * 2, "test": [["a", "b"]] * 2}),
        "is no list of objects: write it",
    ),
    ("title.csv", "Survey 2024,,\n" + table(PLAIN).decode(), "(has it a header? These are the cells of its first row)"),
    ("lists.json", json.dumps({"one": ROWS, "two": ROWS}), "has the lists one, two: choose one, as in"),
]


@pytest.mark.parametrize(("name", "content", "wrong"), REFUSED, ids=[case[0] for case in REFUSED])
def test_files_that_are_refused(tmp_path: Path, name: str, content: bytes | str, wrong: str) -> None:
    assert wrong in complaint(put(tmp_path, name, content))


def test_what_is_missing_is_empty(tmp_path: Path) -> None:
    rows = '{"text": NaN, "label": "good"}\n{"text": null}\n{"label": "bad"}\n{"text": "a", "label": NaN}\n'
    rows += '{"text": "\\u200b"}\n'
    assert read(put(tmp_path, "p.jsonl", rows))[0] == [("a", None)]


def test_numbers_of_any_length_and_unused_cells_of_any_depth(tmp_path: Path) -> None:
    long = "7" * 5000
    found, _ = read(put(tmp_path, "p.jsonl", f'{{"text": "a", "label": {long}, "x": {"[" * 50}{"]" * 50}}}\n'))
    assert found == [("a", long)]


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


def test_a_small_file_with_huge_texts_is_refused_before_they_are_made(tmp_path: Path) -> None:
    text = pa.array(["a " * 2**20]).dictionary_encode()
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), text.dictionary)
    pq.write_table(pa.table({"text": column, "label": ["good"] * 4000}), tmp_path / "p.parquet", compression="zstd")
    assert (tmp_path / "p.parquet").stat().st_size < 10_000
    assert "GB in the column 'text'" in complaint(tmp_path / "p.parquet")


def test_short_numbers_are_as_they_are_written(tmp_path: Path) -> None:
    kinds = pa.schema({"text": pa.string(), "label": pa.float32()})
    pq.write_table(pa.table({"text": TEXTS, "label": [0.1, 2.0, None, 0.3]}, kinds), tmp_path / "p.parquet")
    assert [label for _, label in read(tmp_path / "p.parquet")[0]] == ["0.1", "2", None, "0.3"]


def test_class_numbers_in_one_file_have_the_names_of_another(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0, -1]}, features).to_parquet(tmp_path / "pool.parquet")
    numbers = put(tmp_path, "test.csv", "text,label\na,1\nb,0\nc,good\nd,-1\n")
    config = RunConfig(task="classification", data=str(tmp_path / "pool.parquet"))
    names = class_names([str(numbers), str(tmp_path / "pool.parquet")], make_task(config), config)
    assert names == ["bad", "good"]
    reader = Reader(str(numbers), make_task(config), config, need_ids=False, classes=names)
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
    readers = [Reader(str(file), make_task(config), config, classes=["1", "2", "3", "4", "5"]) for _ in range(2)]
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
        reader = Reader(file, make_task(config), config, need_targets=True)
        # What runs that are under way know these rows by.
        assert [one.id for one in reader.examples()] == [id_of_content(one.fields or {}) for one in reader.examples()]
        told = config.model_copy(update={"id_column": "ID"})
        assert [one.id for one in Reader(file, make_task(told), told).examples()] == ["00", "01", "02", "03"]
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
    reader = Reader(config.data, make_task(config), config)
    found = {(one.fields or {})["text"]: one.id for one in reader.examples()}
    assert found == {f"text {id[1:]}": id for id in found.values()} and len(found) > 1000
    (remark,) = reader.remarks
    assert remark.endswith(" has 'ID' where some of its rows lack 'id': it was taken for it.")


def test_another_column_beside_the_ids_is_not_taken_for_them(tmp_path: Path) -> None:
    rows = [{"id": "1", "ID": "x", "text": "a"}, {"ID": "y", "text": "b"}, {"id": "3", "text": "c"}]
    file = str(put(tmp_path, "p.jsonl", lines(rows)))
    config = RunConfig(task="classification", data=file)
    reader = Reader(file, make_task(config), config)
    first, second, third = reader.examples()
    assert (first.id, second.id, third.id) == ("1", id_of_content(second.fields or {}), "3")


def test_keys_that_a_row_has_both_of_are_two_columns(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "x", "Label": "y"}, {"text": "b", "Label": "z"}, {"text": "c", "label": "y"}]
    assert read(put(tmp_path, "p.jsonl", lines(rows))) == ([("a", "x"), ("b", None), ("c", "y")], [])


def test_folders_and_patterns_of_shards(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        rows = [{"text": f"text {number} {i}", "label": "good"} for i in range(3)]
        put(tmp_path, f"shards/part-{number}.jsonl", lines(rows))
    put(tmp_path, "shards/_SUCCESS", "")
    for source in (tmp_path / "shards", tmp_path / "shards" / "part-*.jsonl"):
        found, _ = read(source)
        assert [text for text, _ in found] == [f"text {n} {i}" for n in (1, 2, 10) for i in range(3)]
    put(tmp_path, "shards/part-2.jsonl", '{"text": "a", "label": "b"}\n{"text": [1]}\n')
    assert f"{tmp_path / 'shards' / 'part-2.jsonl'}, line 2 holds a list" in complaint(tmp_path / "shards")
    put(tmp_path, "shards/more.csv", "text,label\n")
    assert "several kinds (.csv, .jsonl)" in complaint(tmp_path / "shards")
    assert "holds no files" in complaint(tmp_path / "none-*.csv")


def test_workbooks(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in ([], ["text", "label", None], ["one", 1, "x"], ["two", 1.0], [None, None], [2024, True], ["#N/A", "a"]):
        sheet.append(row)
    book.create_sheet("second").append(["text", "label"])
    book["second"].append(["other", "b"])
    book.save(tmp_path / "p.xlsx")
    found, remarks = read(tmp_path / "p.xlsx")
    assert found == [("one", "1"), ("two", "1"), ("2024", "true")]
    assert "'Sheet' was read" in remarks[0]
    assert read(f"{tmp_path / 'p.xlsx'}:second")[0] == [("other", "b")]
    assert "no sheet 'sekond' (did you mean 'second'?)" in complaint(f"{tmp_path / 'p.xlsx'}:sekond")


def test_what_excel_writes_for_characters_without_a_place_in_xml_is_read_back(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["text", "label"], ["good_x000D_\nfilm", "a"], ["_x005F_x000D_", "b"], ["my_xyz_", "b"]):
        book.active.append(row)
    book.save(tmp_path / "p.xlsx")
    assert [text for text, _ in read(tmp_path / "p.xlsx")[0]] == ["good\r\nfilm", "_x000D_", "my_xyz_"]


def test_the_fast_reader_and_the_slow_one_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, "p.csv", table(ROWS * 50) + b"\n\n" + table(PLAIN, header=False))
    fast = read(file)
    slow: Callable[..., None] = lambda *_: None  # noqa: E731
    monkeypatch.setattr(text_files, "lay_out", slow)
    assert read(file) == fast


def test_a_title_above_the_header_of_a_sheet_is_asked_about(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Survey", None], ["text", "label"], ["good film", "a"]):
        book.active.append(row)
    book.save(tmp_path / "p.xlsx")
    assert "no column 'text' but 'Survey' (has it a header? These are the cells" in complaint(tmp_path / "p.xlsx")
    assert "has it a" not in complaint(put(tmp_path, "one.csv", "review\na\nb\n"))
