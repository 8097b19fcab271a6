"""What spreadsheets, people and torn files do to a sheet: it costs no other answer, and is named."""

import json
import shutil
from pathlib import Path

import openpyxl
import pytest

from tests import waiting_runs as asking
from tests.annotation.test_sheet_oracle import Waiting, sheet
from tests.annotation.test_sheet_oracle import folder as folder  # the fixture
from tests.waiting_runs import events, fill, read_csv, run, state, typed, write_csv


def test_a_csv_and_a_jsonl_that_disagree_give_none(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    one, two = rows[0]["id"], rows[1]["id"]
    fill(sheet(folder), {one: "positive", two: " Negative"})
    lines = [{**row, "answer": {one: "negative", two: "negative"}.get(row["id"], "")} for row in rows]
    asking.write(sheet(folder, "round-000.jsonl"), lines)
    result = run("sentiment", folder)
    assert result.labels == {two: "negative"}
    assert f"'{one}' has another answer than in" in result.remarks[0]
    assert not sheet(folder, "round-000.2.csv").exists()


def test_an_id_of_another_round_answers_nothing(folder: Path) -> None:
    fill(sheet(folder), typed("sentiment"))
    run("sentiment", folder)
    (earlier, label), *_ = state(folder).answers.items()
    first, *rest = read_csv(sheet(folder, "round-001.csv"))
    other = "negative" if label == "positive" else "positive"
    write_csv(sheet(folder, "round-001.csv"), [{**first, "id": earlier, "answer": other}, *rest])
    result = run("sentiment", folder)
    assert result.labels[earlier] == label
    assert f"row 2: '{earlier}' was not asked about in round-001" in result.remarks[0]


def test_an_old_sheet_does_not_answer_what_is_back_in_the_pool(folder: Path) -> None:
    from dal_nlp.annotation.answer_store import open_answer_store

    fill(sheet(folder), typed("sentiment"))
    run("sentiment", folder)
    (id, label), *_ = state(folder).answers.items()
    with open_answer_store(folder / "run") as store:
        store.remove(id, "anna", "test")
    assert len(run("sentiment", folder).remarks) == 1  # the row is as it was
    fill(sheet(folder), {id: "negative" if label == "positive" else "positive"})
    result = run("sentiment", folder)
    assert id not in result.labels and "back in the pool" in result.remarks[0]


def test_a_line_that_is_torn_costs_no_other(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    lines = [json.dumps({"id": row["id"], "answer": "positive"}) for row in rows]
    sheet(folder, "round-000.jsonl").write_text("\n".join([*lines[:3], lines[3][:10]]))
    result = run("sentiment", folder)
    assert len(result.labels) == 3 and "round-000.jsonl, line 4: it is no JSON" in result.remarks[0]


def test_an_id_that_is_neither_text_nor_number_costs_no_other(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    ids = [*(row["id"] for row in rows[:3]), [rows[3]["id"]]]
    asking.write(sheet(folder, "round-000.jsonl"), [{"id": id, "answer": "positive"} for id in ids])
    result = run("sentiment", folder)
    assert len(result.labels) == 3 and result.pending == [rows[3]["id"]]
    assert "round-000.jsonl, line 4: the id is neither text nor a number but a list." in result.remarks[0]


def test_a_row_with_two_answers_gives_none(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    write_csv(sheet(folder), [*({**row, "answer": "positive"} for row in rows), {**rows[0], "answer": "negative"}])
    result = run("sentiment", folder)
    assert result.pending == [rows[0]["id"]] and len(result.labels) == 3
    assert "has another answer than in round-000.csv, row 2" in result.remarks[0]


@pytest.mark.parametrize(
    ("content", "part"),
    [("é".encode() + b"\xff\xfe\x00", "is not UTF-8"), (b"name,answer\nx,y\n", "has no columns 'id' and 'answer'")],
)
def test_a_sheet_that_cannot_be_read_stops_nobody(folder: Path, content: bytes, part: str) -> None:
    sheet(folder).write_bytes(content)
    id = json.loads(sheet(folder, "round-000.jsonl").read_text().splitlines()[0])["id"]
    lines = [json.loads(line) for line in sheet(folder, "round-000.jsonl").read_text().splitlines()]
    asking.write(sheet(folder, "round-000.jsonl"), [{**line, "answer": "positive"} for line in lines[:1]])
    result = run("sentiment", folder)
    assert result.labels == {id: "positive"}
    assert part in result.remarks[0]


def test_a_sheet_that_is_torn_while_it_is_written_takes_nothing_away(folder: Path) -> None:
    fill(sheet(folder), typed("sentiment"))
    whole = sheet(folder).read_bytes()
    sheet(folder).write_bytes(whole[: len(whole) * 2 // 3])
    first = run("sentiment", folder)
    assert first.pending and not first.curve
    sheet(folder).write_bytes(whole)
    assert len(run("sentiment", folder).curve) == 1
    assert all(
        state(folder).answers[id] == label for id, label in asking.gold("sentiment").items() if id in first.labels
    )


def test_formulas_do_not_run_and_ids_and_answers_come_back_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "formulas"
    folder.mkdir()
    asking.save_model("sentiment", folder / "model")
    ids = ["=1+1", "+2", "-3", "@x", "'=4", "\t5"]
    rows = [{**row, "id": id} for id, row in zip(ids, asking.rows_of("sentiment", 6), strict=True)]
    for row, text in zip(rows, ["=CMD()", "+a film", "-a film", "@a film", "'=a", "\ta"], strict=True):
        row["text"] = text
        row["label"] = {"negative": "-1", "positive": "+1"}[row["label"]]
    asking.write(folder / "pool.jsonl", rows)
    tests = [
        {**r, "label": {"negative": "-1", "positive": "+1"}[r["label"]]} for r in asking.rows_of("sentiment", 8, 1)
    ]
    asking.write(folder / "test.jsonl", tests)
    run("sentiment", folder, initial=6, labels="-1,+1", rounds=0)
    cells = [
        cell for row in read_csv(sheet(folder)) for name, cell in row.items() if name not in ("score", "characters")
    ]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    write_csv(sheet(folder), [{**row, "answer": ("'-1", "+1")[i % 2]} for i, row in enumerate(read_csv(sheet(folder)))])
    result = run("sentiment", folder, initial=6, labels="-1,+1", rounds=0)
    assert set(result.labels) == set(ids)
    assert set(result.labels.values()) == {"-1", "+1"}


def test_answers_without_end_are_refused(waiting: Waiting) -> None:
    folder = waiting("summarization")
    rows = read_csv(sheet(folder))
    fill(sheet(folder), {rows[0]["id"]: "word " * 200_000, rows[1]["id"]: "a film"})
    result = run("summarization", folder)
    assert result.labels == {rows[1]["id"]: "a film"}
    assert "more than 100,000" in result.remarks[0] and len(result.remarks[0]) < 300


def test_sheets_that_cannot_be_written_are_a_sentence(folder: Path) -> None:
    shutil.rmtree(folder / "run" / "queries")
    (folder / "run" / "queries").write_text("in the way")
    with pytest.raises(Exception, match="cannot be written to"):
        run("sentiment", folder)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["round-000 (1).csv", "Copy of round-000.csv", "round-000.csv.csv", "round-000_anna.jsonl"]
)
def test_a_copy_of_a_sheet_is_read_as_the_sheet(folder: Path, name: str) -> None:
    rows = read_csv(sheet(folder))
    filled = [{**row, "answer": typed("sentiment")[row["id"]]} for row in rows]
    if name.endswith(".jsonl"):
        asking.write(sheet(folder, name), filled)
    else:
        write_csv(sheet(folder, name), filled)
    result = run("sentiment", folder)
    assert result.labels == {row["id"]: asking.gold("sentiment")[row["id"]] for row in rows}
    assert {event["by"] for event in events(folder, "label")} == {"round-000"}


@pytest.mark.parametrize(
    ("name", "heads", "said"),
    [
        ("round-000.xlsx", ("Id", "Text", "Answer"), "has no column 'answer', and 'Answer' was taken for it"),
        ("round-000.csv", ("Id", "Text", "Answer"), "has no column 'answer', and 'Answer' was taken for it"),
        ("round-000.tsv", ("id", "text", "Antwort"), "has no column 'answer' but 'id', 'text', 'Antwort'"),
        ("round-000.jsonl", ("id", "text", "Antwort"), "has no column 'answer' but 'id', 'text', 'Antwort'"),
        ("above.round-000.xlsx", ("id", "text", "answer"), "has no column 'answer' but 'Sheet of Anna'"),
        ("second.round-000.xlsx", ("id", "text", "answer"), "has the sheets first, answers, and 'first' was read"),
    ],
)
def test_a_copy_with_other_headings_is_read_or_named(
    folder: Path, name: str, heads: tuple[str, ...], said: str
) -> None:
    rows = [(row["id"], row["text"], "positive") for row in read_csv(sheet(folder))]
    file = sheet(folder, name)
    if name.endswith(".xlsx"):
        book = openpyxl.Workbook()
        if name.startswith("second"):
            book.active.title = "first"
            book.active.append(["nothing"])
            book.active = book.create_sheet("answers")
        for row in [*[["Sheet of Anna"]] * name.startswith("above"), heads, *rows]:
            book.active.append(row)
        book.save(file)
    elif name.endswith(".jsonl"):
        asking.write(file, [dict(zip(heads, row, strict=True)) for row in rows])
    else:
        delimiter = "," if name.endswith(".csv") else "\t"
        write_csv(file, [dict(zip(heads, row, strict=True)) for row in rows], delimiter=delimiter)
    result = run("sentiment", folder)
    assert any(said in remark for remark in result.remarks), result.remarks
    assert len(result.labels) == (4 if "Answer" in heads else 0)


@pytest.mark.parametrize("name", ["round-000.csv", "round-000.tsv"])
def test_a_copy_in_other_letters_is_read_without_the_advice_of_a_flag(folder: Path, name: str) -> None:
    rows = read_csv(sheet(folder))
    texts = [
        "\t".join(("id", "text", "answer", "note")),
        *(f"{row['id']}\t{row['text']}\tpositive\tgrößer" for row in rows),
    ]
    sheet(folder, name).write_bytes("\n".join(texts).encode("cp1252"))
    result = run("sentiment", folder)
    assert len(result.labels) == len(rows)
    (said,) = (remark for remark in result.remarks if "is not UTF-8 and was read as cp1252" in remark)
    assert "save it as `CSV UTF-8`" in said and "--encoding" not in said


def test_lines_of_a_sheet_are_read_with_other_capitals(folder: Path) -> None:
    first, *rest = [{"id": row["id"], "answer": typed("sentiment")[row["id"]]} for row in read_csv(sheet(folder))]
    asking.write(sheet(folder, "round-000.jsonl"), [{"Id": first["id"], "ANSWER": first["answer"]}, *rest])
    result = run("sentiment", folder)
    assert len(result.labels) == len(rest) + 1
    assert "round-000.jsonl has rows without 'answer', and 'ANSWER' was taken for it" in " ".join(result.remarks)


def test_a_copy_that_says_something_else_is_no_answer_and_a_file_that_is_none_is_named(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    fill(sheet(folder), {rows[0]["id"]: "positive"})
    write_csv(sheet(folder, "round-000 (1).csv"), [{**rows[0], "answer": "negative"}])
    sheet(folder, "round-000.xlsx").write_bytes(b"PK")
    sheet(folder, "notes.txt").write_text("call ben")
    sheet(folder, "~$round-000.xlsx").write_bytes(b"")
    result = run("sentiment", folder)
    assert not result.labels
    said = " ".join(result.remarks)
    assert "has another answer than in round-000 (1).csv, row 2" in said
    assert "round-000.xlsx is" in said and "CSV UTF-8" in said  # no workbook, or nothing to read it with
    assert "notes.txt; a sheet keeps its name" in said and "~$" not in said


def test_rows_whose_ids_a_spreadsheet_has_moved_are_named_and_not_taken(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    ids = [row["id"] for row in rows]
    moved = [{**row, "id": id, "answer": "positive"} for row, id in zip(rows, ids[1:] + ids[:1], strict=True)]
    write_csv(sheet(folder), moved)
    result = run("sentiment", folder)
    assert not result.labels and len(result.pending) == 4
    assert f"row 2: '{ids[1]}' is the id of another text: " in result.remarks[0]


def test_errors_of_a_spreadsheet_are_no_answers(waiting: Waiting) -> None:
    folder = waiting("summarization")
    ids = [row["id"] for row in read_csv(sheet(folder))]
    fill(sheet(folder), dict(zip(ids, ["#NAME?", "#WERT!", "#N/A", "council built"], strict=True)))
    result = run("summarization", folder)
    assert result.labels == {ids[3]: "council built"}
    assert sum("what a spreadsheet makes of an answer" in remark for remark in result.remarks) == 3


def test_numbers_that_a_spreadsheet_has_given_a_point_are_the_labels(tmp_path: Path) -> None:
    from dal_nlp.annotation.parsing import read_answer
    from dal_nlp.tasks.classification import Classification

    task = Classification(labels=["0", "1", "true", "café"])
    for typed_, label in (("1.0", "1"), ("TRUE", "true"), ('["0"]', "0"), ("cafe\u0301 ", "café"), ("Café", "café")):
        assert read_answer(task, typed_, {"id": "1"}, None).target == label  # type: ignore[union-attr]


def test_context_columns_are_in_the_sheet_and_no_part_of_the_text(tmp_path: Path) -> None:
    from dal_nlp.annotation.answer_store import AnswerStore
    from dal_nlp.annotation.label_studio.format import data, interface
    from dal_nlp.data.examples import context_of

    flags = asking.flags("sentiment", tmp_path)
    rows = asking.rows_of("sentiment", 24)
    asking.write(Path(flags["data"]), [{**row, "product": f"phone {n}", "note": "="} for n, row in enumerate(rows)])
    run("sentiment", tmp_path, context_columns=["product", "note"])
    products = {row["id"]: f"phone {n}" for n, row in enumerate(rows)}
    (first, *_) = asked = read_csv(sheet(tmp_path))
    assert list(first)[:4] == ["id", "text", "product", "note (context)"]
    assert {row["id"]: row["product"] for row in asked} == {row["id"]: products[row["id"]] for row in asked}
    store = AnswerStore(tmp_path / "run", state(tmp_path))
    example = store.example(first["id"])
    assert context_of(example) == {"product": first["product"], "note": "="}
    assert 'value="$dal_nlp_context0"' in interface(store.task, ["product", "note"])
    assert data(store.task, example, context_of(example))["dal_nlp_context0"] == first["product"]
