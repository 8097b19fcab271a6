"""Cells of spreadsheets: nothing runs, and everything comes back."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dal_nlp.core.errors import UserError
from dal_nlp.readers.sources import read_rows
from dal_nlp.readers.spreadsheets import FORMULA_STARTS, header_of, inert, plain, read_table, write_table


@given(st.text(alphabet=st.sampled_from(FORMULA_STARTS + "'a1")))
def test_what_is_made_inert_comes_back_unchanged(text: str) -> None:
    assert not inert(text).startswith(tuple(FORMULA_STARTS))
    assert plain(inert(text)) == text


@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), st.text()), min_size=1))
def test_a_table_comes_back_unchanged(rows: list[tuple[str, str]]) -> None:
    data = write_table(["id", "answer"], rows)
    assert [(row["id"], row["answer"]) for _, row in read_table(data, ["id", "answer"])] == rows


def test_names_of_columns_are_inert_too() -> None:
    data = write_table(["id", "=1+1"], [("1", "a")])
    assert b"'=1+1" in data
    assert [row for _, row in read_table(data, ["id", "=1+1"])] == [{"id": "1", "=1+1": "a"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_however_it_was_saved(delimiter: str, end: str, encoding: str) -> None:
    buffer = io.StringIO(newline="")
    rows = [["added", "answer", "id"], ["", "a,b;c\td", "1"], ["", "", ""], ["x", 'two\n"lines"', "2"]]
    csv.writer(buffer, delimiter=delimiter, lineterminator=end).writerows(rows)
    found = list(read_table(buffer.getvalue().encode(encoding), ["id", "answer"]))
    assert [(number, row["id"], row["answer"]) for number, row in found] == [
        (2, "1", "a,b;c\td"),
        (4, "2", 'two\n"lines"'),
    ]


def test_a_quote_without_an_end_is_no_answer() -> None:
    broken: list[int] = []
    data = b'id,answer,note\n1,good,\n2,"bad\n3,good,\n4,good,\n'
    found = [row["id"] for _, row in read_table(data, ["id", "answer"], lambda number, wrong: broken.append(number))]
    assert (found, broken) == (["1"], [3])
    with pytest.raises(UserError, match="broken in row 3"):
        list(read_table(b'id,answer\n1,good\n2,"bad\n3,good\n', ["id", "answer"]))
    whole = b'id,answer\n1,"good\nfilm"\n'
    assert [row["answer"] for _, row in read_table(whole, ["id", "answer"])] == ["good\nfilm"]
    with pytest.raises(UserError, match="broken in row 3"):
        list(read_table(data, ["id", "answer"]))


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"", "has no columns"), (b"id,text\n1,a\n", "has no columns"), ("id,answer\né".encode() + b"\xff", "UTF-8")],
)
def test_what_is_no_such_table(data: bytes, part: str) -> None:
    with pytest.raises(UserError, match=part):
        list(read_table(data, ["id", "answer"]))


def test_a_header_that_lacks_the_name_of_the_first_column() -> None:
    named = b'"id","text","answer"\n"1","a1","fine","good"\n"2","a2","dull","bad"\n'
    with pytest.raises(UserError, match="one cell more in every row than in its header"):
        list(read_table(named, ["id", "answer"]))
    for kept in (
        b"id,text,answer\n1,fine,good,\n2,dull,bad,\n",
        b"id,text,answer\n1,fine,good\n2,dull,bad,sure\n",
        b"id,text,answer\n7,fine,good,sure\n8,dull,bad,so so\n",
        b"id;text;answer\n1;fine;good;\n2;dull;bad;sure?\n",
    ):
        assert [row["answer"] for _, row in read_table(kept, ["id", "answer"])] == ["good", "bad"]


@pytest.mark.parametrize("names", ["id,answer,text,Answer,Answer", "id,text,answer,x,x", "id,answer,Text,x,x"])
def test_columns_that_are_there_twice_and_not_looked_for_cost_nothing(names: str) -> None:
    data = f"{names}\n1,a,b,c,d\n".encode()
    ((_, row),) = read_table(data, ["id", "answer"], further=["text"])
    assert (
        sorted(row) == ["answer", "id", "text"]
        and row["answer"] == dict(zip(names.split(","), "1abcd", strict=False))["answer"]
    )


@pytest.mark.parametrize("names", ["id,answer,answer", "id,Answer,Answer", "id,answer,id", "id,answer,text,Text,text"])
def test_columns_that_are_looked_for_and_there_twice_are_refused(names: str) -> None:
    with pytest.raises(UserError, match=r"^names the column '(id|answer|text)' twice: rename one of the two[.]$"):
        list(read_table(f"{names}\n1,a,b,c,d\n".encode(), ["id", "answer"], further=["text"]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "cp1252"])
def test_letters_of_other_encodings_a_row_that_names_the_separator_and_a_header_that_is_there_again(
    encoding: str,
) -> None:
    text = "sep=;\r\nid;text;answer\r\n1;café über;good\r\nid;text;answer\r\n2;b;bad\r\n"
    data = text.encode(encoding)
    assert [row for _, row in read_table(data, ["id", "answer"])] == [
        {"id": "1", "text": "café über", "answer": "good"},
        {"id": "2", "text": "b", "answer": "bad"},
    ]
    assert header_of(data) == ["id", "text", "answer"]


HEAD_LINES = ['Only "food" counts, or; not', "", "=1+1", "- a list"]


@pytest.mark.parametrize("separator", ",;\t|")
def test_a_head_above_the_header_is_left_out_and_rows_keep_their_numbers(tmp_path: Path, separator: str) -> None:
    table = write_table(["id", "text", "answer"], [["1", "#| a text", "x"], ["2", "b", ""]], HEAD_LINES)
    cells = list(csv.reader(io.StringIO(table.decode("utf-8-sig"), newline="")))
    assert [row[0] for row in cells[:4]] == ['#| Only "food" counts, or; not', "#|", "#| =1+1", "#| - a list"]
    saved = io.StringIO(newline="")  # as another program writes it, with all rows of one width
    csv.writer(saved, delimiter=separator).writerows([*row, *[""] * (3 - len(row))] for row in cells)
    data = saved.getvalue().encode()
    rows = [(6, {"id": "1", "text": "#| a text", "answer": "x"}), (7, {"id": "2", "text": "b", "answer": ""})]
    assert list(read_table(data, ["id", "answer"])) == rows and header_of(data) == ["id", "text", "answer"]
    file = tmp_path / "sheet.csv"
    for content in (data, table):
        file.write_bytes(content)
        assert [row["text"] for _, row in read_rows(str(file))] == ["#| a text", "b"]


def test_a_cell_that_has_swallowed_rows_is_said_and_costs_no_others() -> None:
    rows = [
        "id,label,note",
        "7,neg,ok",
        '8,pos,"hm',
        "12,neg,ok",
        "16,neg,",
        '17,pos,no"',
        "19,neg,x",
        '21,neg,"two\nlines"',
    ]
    said: list[tuple[int, str]] = []
    found = list(read_table("\n".join(rows).encode(), ["id"], lambda number, wrong: said.append((number, wrong))))
    assert [row["id"] for _, row in found] == ["7", "19", "21"]
    assert [number for number, _ in said] == [3] and "swallowed the rows below it" in said[0][1]
