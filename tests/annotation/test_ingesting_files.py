"""The files that answers are taken from: tables of any kind, their letters and headers, and what is another file."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Value

from dal_nlp import UserError
from dal_nlp.joins.tool_rows import Columns
from tests.annotation.exchange import Waiting, read
from tests.waiting_runs import state


@pytest.mark.parametrize(
    ("format", "content", "part"),
    [
        ("label-studio", b'[{"data": {}}]', "dal_nlp_id"),
        ("csv", b"text\na\n", r"no column of answers \('answer' or 'label'\) but 'text'"),
        ("jsonl", b'{"id": "1", "label": ""}', "no answer in any of its rows"),
        ("csv", b"id,label\n", "has no rows"),
        ("cvs", b"", "'csv'"),
        ("hf-dataset", b"", "no folder of a dataset"),
    ],
)
def test_files_that_are_something_else(waiting: Waiting, format: str, content: bytes, part: str) -> None:
    folder = waiting("sentiment")
    (folder / "file").write_bytes(content)
    with pytest.raises(UserError, match=part):
        read(folder, folder / "file", format)
    assert not state(folder).given


def test_a_file_of_another_format_is_called_that(waiting: Waiting, tmp_path: Path) -> None:
    folder = waiting("sentiment")
    file = tmp_path / "answers.csv"
    file.write_text("id,label\ns0-1,positive\n")
    with pytest.raises(UserError, match=r"has no row that can be read, 2 that cannot .*line 1.*leave out --format"):
        read(folder, file, "jsonl")


@pytest.mark.parametrize(
    "name", ["a.tsv", "a.xlsx", "a.parquet", "a.jsonl", "a.json", "a.csv.gz", "cp1252.csv", "utf16.csv"]
)
def test_a_table_of_any_kind_is_read_by_its_ending(waiting: Waiting, name: str) -> None:
    folder = waiting("sentiment")
    ids = list(state(folder).waiting)
    table = pd.DataFrame({"id": ids, "label": ["positive"] * len(ids), "note": ["très bien"] * len(ids)})
    file = folder / name
    writers: dict[str, Callable[[], object]] = {
        ".tsv": lambda: table.to_csv(file, sep="\t", index=False),
        ".xlsx": lambda: table.to_excel(file, index=False),
        ".parquet": lambda: table.to_parquet(file),
        ".jsonl": lambda: table.to_json(file, orient="records", lines=True),
        ".json": lambda: table.to_json(file, orient="records"),
        ".gz": lambda: table.to_csv(file, index=False),
        ".csv": lambda: file.write_bytes(table.to_csv(index=False).encode("utf-16" if "utf" in name else "cp1252")),
    }
    writers[file.suffix]()
    found = read(folder, file, "csv")
    assert (found.new, found.problems) == (len(ids), [])
    table.rename(columns=str.upper).to_csv(folder / "upper.csv", index=False)
    again = read(folder, folder / "upper.csv", "csv")
    assert again.known == len(ids) and "no column 'label', and 'LABEL' was taken for it" in " ".join(again.remarks)
    assert ["is not UTF-8" in remark for remark in found.remarks] == [True] * (file.suffix == ".csv")


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json"])
@pytest.mark.parametrize(("encoding", "who"), [("koi8-r", "Фёдор"), ("utf-16", "Zoé")])
def test_letters_are_what_the_named_encoding_makes_them(waiting: Waiting, name: str, encoding: str, who: str) -> None:
    folder = waiting("sentiment")
    ids = list(state(folder).waiting)
    rows = [{"id": id, "label": "positive", "annotator": who} for id in ids]
    written = {
        "a.tsv": pd.DataFrame(rows).to_csv(index=False, sep="\t"),
        "a.csv": pd.DataFrame(rows).to_csv(index=False),
        "a.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "a.json": json.dumps([{"dal_nlp_id": row["id"], **row} for row in rows], ensure_ascii=False),
    }
    file = folder / name
    file.write_bytes(written[name].encode(encoding))
    format = {"a.jsonl": "jsonl", "a.json": "label-studio"}.get(name, "csv")
    with pytest.raises(UserError, match="is not ascii"):
        read(folder, file, format, columns=Columns(encoding="ascii"))
    found = read(folder, file, format, columns=Columns(encoding=encoding))
    assert (found.new, found.problems) == (len(ids), [])
    assert not any("UTF-8" in remark for remark in found.remarks)
    assert {given[0].by for given in state(folder).given.values()} == {who}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.xlsx"])
def test_a_column_that_is_read_and_there_twice_is_refused_and_one_that_is_not_costs_nothing(
    waiting: Waiting, name: str
) -> None:
    folder = waiting("sentiment")
    file = folder / name
    rows = [[id, "positive", "negative", ""] for id in state(folder).waiting]

    def written(*header: str) -> Path:
        table, names = pd.DataFrame(rows), list(header)
        if file.suffix == ".xlsx":
            table.to_excel(file, index=False, header=names)
        else:
            table.to_csv(file, index=False, header=names, sep="," if file.suffix == ".csv" else "\t")
        return file

    for twice, *header in [
        ("answer", "id", "answer", "answer", "note"),
        ("answer", "id", "answer", "label", "answer"),
        ("(?i:label)", "id", "Label", "Label", "note"),
        ("id", "id", "answer", "note", "id"),
        ("text", "id", "answer", "text", "text"),
    ]:
        with pytest.raises(UserError, match=f"{name} names the column '{twice}' twice: rename one of the two"):
            read(folder, written(*header), "csv")
    assert read(folder, written("id", "answer", "seen", "seen"), "csv").new == len(rows)
    assert set(state(folder).answers.values()) == {"positive"}


def test_a_title_above_the_header_is_asked_about(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    file = folder / "a.csv"
    file.write_text("Survey 2024,\nid,answer\n1,positive\n")
    with pytest.raises(UserError, match=r"but 'Survey 2024', '' \(has it a header\? These are the cells"):
        read(folder, file, "csv")


def test_quotation_marks_of_a_writer_that_knew_none_are_named_with_a_way_out(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    file = folder / "a.tsv"
    file.write_text('id\tnote\tlabel\n1\t"a\tpositive\n2\tb"\tpositive\n')
    with pytest.raises(UserError, match=r"swallowed the rows below it: .*save it from a spreadsheet") as caught:
        read(folder, file, "csv")
    assert "--quoting" not in str(caught.value)
    file.with_suffix(".csv").write_text(file.read_text().replace("\t", ",") + "5,c,positive\n")
    assert "swallowed the rows below it" in read(folder, file.with_suffix(".csv"), "csv").problems[0]


@pytest.mark.parametrize("format", ["hf-dataset", "csv"])
def test_class_numbers_are_taken_by_the_names_that_the_file_has(waiting: Waiting, format: str) -> None:
    folder = waiting("sentiment")  # whose own order is negative, positive
    ids = list(state(folder).waiting)
    features = Features({"id": Value("string"), "label": ClassLabel(names=["positive", "negative"])})
    table = Dataset.from_dict({"id": ids, "label": [0, 1, 0, 1]}, features)
    file = folder / ("numbers" if format == "hf-dataset" else "numbers.parquet")
    table.save_to_disk(file) if format == "hf-dataset" else table.to_parquet(file)
    assert read(folder, file, format).new == 4
    assert state(folder).answers == dict(zip(ids, ["positive", "negative"] * 2, strict=True))


def test_a_file_whose_ending_is_wrong_is_called_what_it_is(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    (folder / "a.csv").write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(UserError, match="is a workbook or an archive"):
        read(folder, folder / "a.csv", "csv")
