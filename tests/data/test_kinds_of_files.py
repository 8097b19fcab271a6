"""Files as other programs write them: read rightly, mended with a remark, or refused with the reason."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dal_nlp.readers import text_files
from tests.data.files import LABELS, PLAIN, ROWS, TEXTS, complaint, lines, put, read, table


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
