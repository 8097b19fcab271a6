"""Further forms in which programs write the same rows: what stands above and between them, indexes, damaged bytes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import ExampleReader
from dal_nlp.data.hashing import id_of_content
from dal_nlp.readers.encodings import decode
from dal_nlp.readers.reading import unix_ends
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests.data.files import ALL, PLAIN, ROWS, TEXTS, complaint, lines, put, read, table

HEADLESS = table(ROWS, header=False).decode()


@pytest.mark.parametrize(
    ("name", "content", "remark"),
    [
        ("sep.csv", b"\xef\xbb\xbfsep=;\r\n" + table(ROWS, sep=";"), "separated by semicolons"),
        ("sep.tsv", '"sep=\t"\n' + table(ROWS, sep="\t").decode(), ""),
        ("quoted.csv", '"text" , "label" \n' + HEADLESS, ""),
        ("twice.csv", table(ROWS[:2]) + table(ROWS[2:]), "its header 1 more time among its rows"),
        ("marked.csv", table(ROWS[:2]) + b"\xef\xbb\xbf" + table(ROWS[2:]), "its header 1 more time"),
        ("commas.jsonl", lines(ROWS).replace("}\n", "},\n"), "commas after them"),
        ("python.jsonl", "".join(f"{row!r}\n" for row in ROWS), "as Python writes them"),
        ("sets.csv", table([{**row, "label": {row["label"]}} for row in ROWS]), ""),
        ("choices.csv", table([{**row, "label": json.dumps({"choices": [row["label"]]})} for row in ROWS]), ""),
        ("choices.jsonl", lines([{**row, "label": {"choices": [row["label"]]}} for row in ROWS]), ""),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 16 else "",
)
@pytest.mark.parametrize("block", [2**23, 40])
def test_the_same_rows(
    tmp_path: Path, name: str, content: bytes | str, remark: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.readers.encodings.BLOCK", block)
    found, remarks = read(put(tmp_path, name, content))
    assert found == ALL
    assert any(remark in text for text in remarks) if remark else not remarks, remarks


def test_a_broken_formula_is_no_label(tmp_path: Path) -> None:
    rows = [{**row, "label": "#N/A" if i == 1 else row["label"]} for i, row in enumerate(ROWS)]
    assert [label for _, label in read(put(tmp_path, "p.csv", table(rows)))[0]] == ["bad", None, "bad", "good"]


def test_objects_by_their_ids_keep_these(tmp_path: Path) -> None:
    file = str(put(tmp_path, "p.json", json.dumps({f"t{i}": row for i, row in enumerate(PLAIN)})))
    config = RunConfig(task="classification", data=file)
    assert [example.id for example in ExampleReader(file, make_task(config), config).examples()] == [
        "t0",
        "t1",
        "t2",
        "t3",
    ]


@pytest.mark.parametrize(("ids", "said"), [("abcd", True), ("aabb", False)])
@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_column_whose_values_repeat_is_not_proposed_as_the_ids(
    tmp_path: Path, name: str, ids: str, said: bool
) -> None:
    rows = [{"ID": id, **row} for id, row in zip(ids, ROWS, strict=True)]
    file = str(put(tmp_path, name, table(rows) if name == "p.csv" else lines(rows)))
    config = RunConfig(task="classification", data=file)
    reader = ExampleReader(file, make_task(config), config)
    assert len(list(reader.examples())) == len(ROWS)
    told = ["--id-column ID takes 'ID' for it, if these are ids" in remark for remark in reader.remarks]
    assert told == [True] * said


@pytest.mark.parametrize("ids", [["7", "3", "9", "4"], ["a0", "a1", "a2", "a3"]])
@pytest.mark.parametrize("orient", ["columns", "index", "split"])
@pytest.mark.parametrize("columns", [["text", "label"], ["text"]])
def test_an_index_of_pandas_is_the_ids_or_can_be(
    tmp_path: Path, ids: list[str], orient: Any, columns: list[str]
) -> None:
    file = str(put(tmp_path, "p.json", pd.DataFrame(ROWS, index=ids)[columns].to_json(orient=orient)))
    config = RunConfig(task="classification", data=file)
    reader = ExampleReader(file, make_task(config), config)
    found = list(reader.examples())
    named = ids[0] == "a0" and orient != "split"
    if not named:  # what runs that are under way know these rows by
        assert [example.id for example in found] == [id_of_content(example.fields or {}) for example in found]
        told = config.model_copy(update={"id_column": "index"})
        found = list(ExampleReader(file, make_task(told), told).examples())
    assert [(example.id, (example.fields or {})["text"]) for example in found] == list(zip(ids, TEXTS, strict=True))
    assert ("its index was taken for it" if named else "--id-column index takes") in reader.remarks[0]
    plain = str(put(tmp_path, "q.json", pd.DataFrame(ROWS)[columns].to_json(orient=orient)))
    assert ExampleReader(plain, make_task(config), config.model_copy(update={"data": plain})).opened.columns == columns


def test_an_index_that_repeats_or_is_called_like_a_column_hides_nothing(tmp_path: Path) -> None:
    joined = pd.concat([pd.DataFrame(ROWS[:2]), pd.DataFrame(ROWS[2:])])
    several = pd.DataFrame(ROWS, index=pd.MultiIndex.from_product([["u", "v"], [1, 2]]))
    named = pd.DataFrame(ROWS, index=["text", "id", "c", "d"])
    given = {
        "joined": joined.to_json(orient="split"),
        "several": several.to_json(orient="split"),
        "named": named.to_json(orient="index"),
        "blank": json.dumps([{**row, "text ": "x"} for row in ROWS]),
    }
    for name, content in given.items():
        file = str(put(tmp_path, f"{name}.json", content))
        config = RunConfig(task="classification", data=file)
        found = list(ExampleReader(file, make_task(config), config).examples())
        assert [(example.fields or {})["text"] for example in found] == TEXTS, name
        assert len({example.id for example in found}) == 4, name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", json.dumps(ROWS)),
        ("p.json", json.dumps({"text": TEXTS})),
        ("p.json", json.dumps({"data": {"text": TEXTS}})),
    ],
)
def test_json_of_further_forms(tmp_path: Path, name: str, content: str) -> None:
    file = str(put(tmp_path, name, content))
    config = RunConfig(task="classification", data=file)
    assert [(e.fields or {})["text"] for e in ExampleReader(file, make_task(config), config).examples()] == TEXTS


@pytest.mark.parametrize("first", [True, False])
def test_a_damaged_byte_in_utf_8_is_named_wherever_it_is(tmp_path: Path, first: bool) -> None:
    rows = [f"größer {i},good\n".encode() for i in range(8)]
    rows.insert(0 if first else 5, b"gr\xf6\xdfer,good\n")
    file = put(tmp_path, "p.csv", b"text,label\n" + b"".join(rows))
    assert f"line {2 if first else 7} is not UTF-8" in complaint(file)
    with pytest.raises(UserError, match="is not UTF-8"):
        decode(file.read_bytes())
    korean = "text,label\n" + "".join(
        f"{text} {i},good\n" for i in range(4) for text in ("죄송합니다", "배송이 늦어요")
    )
    assert len(read(put(tmp_path, "k.csv", korean.encode("cp949")))[0]) == 8
    joined = "text,label\n" + "".join(f"été {i},good\n" for i in range(100))
    both = joined.encode() + "".join(f"été {i},bad\n" for i in range(100)).encode("cp1252")
    assert "line 102 is not UTF-8" in complaint(put(tmp_path, "both.csv", both))


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("p.csv", gzip.compress(table(ROWS)), "is a gzip file, whatever its ending says"),
        ("p.csv", b"PK\x03\x04\x00\x00", "is a workbook or an archive"),
        ("p.jsonl", b"PAR1\x00\x00", "is a parquet file"),
        ("p.parquet", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("p.csv", b"\n<!doctype html>\n<html>", "is a web page"),
        ("p.csv", b"# made in 2024\n" + table(ROWS), "has it a header?"),
        ("p.csv", 'text, label\n"a", "b, c"\n', "take out the blanks before its quotation marks"),
        ("p.csv", 'text,label\n"he said \\"no\\"",b\n', "a backslash will not do"),
        ("p.csv", table([{**ROWS[0], "label": '{"name": "good"}'}]), "holds an object where a label is expected"),
        ("p.jsonl", json.dumps(ROWS[0], indent=1), "put each object on one line"),
    ],
)
def test_what_is_refused_is_called_what_it_is(tmp_path: Path, name: str, content: bytes | str, wrong: str) -> None:
    assert wrong in complaint(put(tmp_path, name, content))


def test_a_carriage_return_ends_lines_only_of_a_file_without_line_feeds_so_far() -> None:
    assert list(unix_ends([b"a\rb", b"c\rd\n", b"e\rf"])) == [b"a\nb", b"c\rd\n", b"e\rf"]


CELLS = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(rows=[("\r", "")], separator=",", block=3, end="\n")
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    block=st.sampled_from([3, 40, 2**23]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_every_table_that_a_writer_quotes_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], separator: str, block: int, end: str
) -> None:
    import csv
    import io

    from dal_nlp.readers import encodings
    from dal_nlp.readers.reading import Reading
    from dal_nlp.readers.sources import read_rows

    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [("text", "label"), *rows]
    )
    file = put(tmp_path, "p.csv", buffer.getvalue())
    before, encodings.BLOCK = encodings.BLOCK, block
    try:
        found = [(row["text"], row["label"]) for _, row in read_rows(str(file), Reading(needed=("text", "label")))]
    except UserError as error:
        assert "swallowed" in str(error)
        return
    finally:
        encodings.BLOCK = before
    assert found == rows
