"""People who answer in files, from the question to the next round, for every task."""

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from dal_nlp import RunConfig, Session
from tests import waiting_runs as asking
from tests.waiting_runs import events, fill, read_csv, run, state, typed, write_csv

Waiting = Callable[[str], Path]


@pytest.fixture
def folder(waiting: Waiting) -> Path:
    return waiting("sentiment")


def sheet(folder: Path, name: str = "round-000.csv") -> Path:
    return folder / "run" / "queries" / name


@pytest.mark.long
@pytest.mark.parametrize("task", asking.TASKS)
def test_a_persons_path_from_the_first_sheet_to_the_end(waiting: Waiting, task: str) -> None:
    folder = waiting(task)
    asked = read_csv(sheet(folder))
    texts = {"qa": ["question", "context"], "summarization": ["document"], "ner": ["tokens"]}.get(task, ["text"])
    assert list(asked[0]) == ["id", *texts, "score", "characters", "why", "answer", "note"]
    pool = {str(row["id"]): row for row in asking.rows_of(task, 24)}
    given = [(row[name], pool[row["id"]][name]) for row in asked for name in texts]
    assert all(cell == (" ".join(value) if isinstance(value, list) else value) for cell, value in given)
    lines = [json.loads(line) for line in sheet(folder, "round-000.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in asked]
    fill(sheet(folder), typed(task))
    second = run(task, folder)
    assert len(second.pending) == 4 and len(second.curve) == 1
    assert "round-001.csv" in second.remarks[0] and "dal-nlp label" in second.remarks[0]
    last = sheet(folder, "round-001.jsonl")
    rows = [json.loads(line) for line in last.read_text().splitlines()]
    asking.write(last, [{**row, "answer": typed(task)[row["id"]]} for row in rows])
    end = run(task, folder)
    assert end.stopped and not end.pending and not end.remarks
    assert end.labels == {id: asking.gold(task)[id] for id in end.labels} and len(end.labels) == 8


TOLD = {"guidelines": "Only the \"food\" counts;\n- not, say, the music\n\n=1+1", "labels": {
    "negative": "It is poor.", "positive": {"about": "It is good.", "examples": ["a joy"]}
}}  # fmt: skip


def test_guidelines_stand_above_a_sheet_that_comes_back_however_it_was_saved(tmp_path: Path) -> None:
    run("sentiment", tmp_path, **TOLD)
    path = sheet(tmp_path)
    above = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.startswith('"#|')]
    assert above[:4] == ['"#| Only the ""food"" counts;"', '"#| - not, say, the music"', '"#|"', '"#| =1+1"']
    assert '"#|   positive: It is good."' in above and '"#|     for example: a joy"' in above
    assert "#|" not in sheet(tmp_path, "round-000.jsonl").read_text()
    cells = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    first, second, third, fourth = range(len(above) + 1, len(above) + 5)
    place, answers = cells[len(above)].index("answer"), typed("sentiment")

    def filled(*rows: int) -> list[list[str]]:
        wide = [[*row, *[""] * (len(cells[first]) - len(row))] for row in cells]  # as spreadsheets pad them
        return [[*r[:place], answers[r[0]], *r[place + 1 :]] if i in rows else r for i, r in enumerate(wide)]

    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows(filled(first))
    with path.with_name("round-000 (1).csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(filled(second))
    with path.with_name("round-000 (2).tsv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t").writerows(filled(third))
    book = openpyxl.Workbook()
    for row in filled(fourth):
        book.active.append(row)
    book.save(path.with_name("round-000.xlsx"))
    result = run("sentiment", tmp_path, **TOLD)
    assert len(result.labels) == 4 and not any("round-000" in remark for remark in result.remarks)
    path.write_text(path.read_text(encoding="utf-8").replace(answers[cells[first][0]], "nonsense"), encoding="utf-8")
    assert any(f"round-000.csv, row {first + 1}:" in remark for remark in run("sentiment", tmp_path, **TOLD).remarks)


def test_a_sheet_lists_its_labels_where_the_message_does_not(tmp_path: Path) -> None:
    rows = [{"id": str(i), "text": f"a film number {i}", "label": f"kind {i % 12}"} for i in range(24)]
    files = asking.flags("sentiment", tmp_path)
    asking.write(Path(files["data"]), rows)
    asking.write(Path(files["test"]), [{**row, "id": f"t{row['id']}", "text": f"{row['text']} a"} for row in rows])
    result = Session(RunConfig.load(flags={**files, "task": "classification"})).run()
    assert "(one of the 12 labels in the head of the csv (kind 0, kind 1, kind 10 ...), skip or unsure)" in " ".join(
        result.remarks
    )
    head = sheet(tmp_path).read_text(encoding="utf-8-sig").splitlines()[:13]
    assert head == ['"#| Labels:"', *(f'"#|   {label}"' for label in sorted({row["label"] for row in rows}))]
    assert len(read_csv(sheet(tmp_path))) == 4


def test_partial_reordered_and_mangled_by_a_spreadsheet(folder: Path) -> None:
    rows, answers = read_csv(sheet(folder)), typed("sentiment")
    mangled = [{"a": "", **row, "answer": f" {answers[row['id']].upper()} ", "b": "x"} for row in rows[:0:-1]]
    mangled[1]["answer"] = ""
    write_csv(sheet(folder), mangled, delimiter=";", lineterminator="\r\n", encoding="utf-8-sig")
    result = run("sentiment", folder)
    assert result.labels == {row["id"]: asking.gold("sentiment")[row["id"]] for row in (rows[3], rows[1])}
    assert len(result.pending) == 2
    # The row that somebody has deleted from one file is still in the other.
    assert (
        "round-000.csv, round-000.jsonl" in result.remarks[0] or "round-000.jsonl, round-000.csv" in result.remarks[0]
    )
    sheet(folder, "round-000.jsonl").unlink()
    run("sentiment", folder)
    assert [row["id"] for row in read_csv(sheet(folder, "round-000.2.csv"))] == [rows[0]["id"]]


def test_wrong_answers_are_named_by_row_and_the_rest_is_kept(folder: Path) -> None:
    first, second, third, fourth = read_csv(sheet(folder))
    first["answer"], second["answer"], third["answer"] = "positve", "unsure", "negative"
    fourth["id"] = "s0-999"
    fourth["answer"] = "negative"
    write_csv(sheet(folder), [first, second, third, fourth])
    before = sheet(folder).read_bytes()
    result = run("sentiment", folder)
    assert result.labels == {third["id"]: "negative"}
    assert state(folder).skipped == {second["id"]: "the annotator was unsure"}
    assert "round-000.csv, row 2: 'positve' is none of" in result.remarks[1]
    assert "did you mean 'positive'?" in result.remarks[1]
    assert "row 5: 's0-999' was not asked about" in result.remarks[0]
    assert sheet(folder).read_bytes() == before  # a sheet is its annotator's


def test_nothing_is_counted_twice_and_a_change_is_a_correction(folder: Path) -> None:
    rows = read_csv(sheet(folder))
    fill(sheet(folder), {rows[0]["id"]: "positive"})
    run("sentiment", folder)
    run("sentiment", folder)
    assert len(events(folder, "label")) == 1
    fill(sheet(folder), {rows[0]["id"]: "negative"})
    assert run("sentiment", folder).labels == {rows[0]["id"]: "negative"}
    assert [event["target"] for event in events(folder, "label")] == ["positive", "negative"]


def test_a_correction_that_cannot_be_read_says_which_answer_stays(folder: Path) -> None:
    first, second = (row["id"] for row in read_csv(sheet(folder))[:2])
    fill(sheet(folder), {first: "positive"})
    run("sentiment", folder)
    fill(sheet(folder), {first: "negativ", second: "negativ"})
    result = run("sentiment", folder)
    assert result.labels == {first: "positive"}
    stays = "; the answer that there is stays 'positive'."
    assert result.remarks[0].endswith(f"(did you mean 'negative'?){stays}")
    assert result.remarks[1].endswith("(did you mean 'negative'?).")  # there is none yet


def test_a_sheet_of_an_old_round_corrects_and_loses_nothing(folder: Path) -> None:
    fill(sheet(folder), typed("sentiment"))
    run("sentiment", folder)
    (id, label), *_ = state(folder).answers.items()
    other = "negative" if label == "positive" else "positive"
    fill(sheet(folder), {id: other})
    result = run("sentiment", folder)
    assert result.labels[id] == other and len(result.pending) == 4
    assert len(result.labels) == 4


def test_corrections_are_read_after_the_end_and_train_once_the_run_goes_on(folder: Path) -> None:
    for name in ("round-000.csv", "round-001.csv"):
        fill(sheet(folder, name), typed("sentiment"))
        end = run("sentiment", folder)
    assert end.stopped and not end.remarks
    (id, label), *_ = end.labels.items()
    other = "negative" if label == "positive" else "positive"
    fill(sheet(folder), {id: other})
    again = run("sentiment", folder)
    assert again.labels[id] == other and len(again.curve) == len(end.curve)
    assert "Changed after the last fit: 1 answer; raise --rounds or --budget" in again.remarks[0]
    more = run("sentiment", folder, rounds=2, budget=12)
    assert more.labels[id] == other and len(more.pending) == 4
    fill(sheet(folder, "round-002.csv"), typed("sentiment"))
    assert not run("sentiment", folder, rounds=2, budget=12).remarks


def test_a_later_correction_elsewhere_outlives_the_sheet(folder: Path) -> None:
    from dal_nlp.annotation.answer_store import open_answer_store

    (id, *_) = [row["id"] for row in read_csv(sheet(folder))]
    fill(sheet(folder), {id: "positive"})
    run("sentiment", folder)
    with open_answer_store(folder / "run") as store:
        store.write(store.read(id, "negative", store.origin("ben", "relabel", final=True)))
    assert run("sentiment", folder).labels[id] == "negative"


def test_an_answer_that_was_removed_is_asked_for_again_in_a_new_sheet(folder: Path) -> None:
    from dal_nlp.annotation.answer_store import open_answer_store

    (id, *_) = [row["id"] for row in read_csv(sheet(folder))]
    for name in ("round-000.csv", "round-000.jsonl"):
        fill(sheet(folder), {id: "positive"}) if name.endswith("csv") else None
    run("sentiment", folder)
    with open_answer_store(folder / "run") as store:
        store.remove(id, "ben", "relabel")
    result = run("sentiment", folder)
    assert id in result.pending and id not in result.labels
    assert [row["id"] for row in read_csv(sheet(folder, "round-000.2.csv"))] == [id]
    fill(sheet(folder, "round-000.2.csv"), {id: "positive"})
    assert run("sentiment", folder).labels == {id: "positive"}


def test_suggestions_are_shown_and_kept_with_the_answers(folder: Path) -> None:
    fill(sheet(folder), typed("sentiment"))
    run("sentiment", folder, suggest=True)
    rows = read_csv(sheet(folder, "round-001.csv"))
    predictions = {id: guess for q in state(folder).queries for id, guess in zip(q.ids, q.predictions, strict=False)}
    assert [row["suggestion"] for row in rows] == [predictions[row["id"]]["target"] for row in rows]
    fill(sheet(folder, "round-001.csv"), typed("sentiment"))
    run("sentiment", folder, suggest=True)
    kept = {event["id"]: event.get("suggested") for event in events(folder, "label")}
    id = rows[0]["id"]
    assert kept[id] == {"target": predictions[id]["target"], "confidence": predictions[id]["confidence"], "round": 0}


def test_annotators_get_a_sheet_each_and_share_what_overlaps(waiting: Waiting, tmp_path: Path) -> None:
    folder = waiting("sentiment")
    shutil.rmtree(folder / "run")
    settings: dict[str, Any] = {"annotators": "anna,ben", "overlap": "50%"}
    first = run("sentiment", folder, **settings)
    anna, ben = (sheet(folder, f"round-000.{name}.csv") for name in ("anna", "ben"))
    assert "round-000.anna.csv, round-000.ben.csv" in first.remarks[0]
    ids = [{row["id"] for row in read_csv(path)} for path in (anna, ben)]
    shared = ids[0] & ids[1]
    assert len(shared) == 2 and len(ids[0] | ids[1]) == 4 and len(ids[0]) == len(ids[1]) == 3
    one, two = sorted(shared)
    fill(anna, {**typed("sentiment"), one: "positive", two: "positive"})
    assert run("sentiment", folder, **settings).labels.keys() == ids[0] - shared
    fill(ben, {**typed("sentiment"), one: "positive", two: "negative"})
    third = run("sentiment", folder, **settings)
    assert third.labels[one] == "positive" and third.pending == [two]
    assert "1 of them disputed" in third.remarks[0]
    (row,) = read_csv(sheet(folder, "round-000.conflicts.csv"))
    assert (row["id"], row["answers"]) == (two, "anna: positive | ben: negative")
    fill(sheet(folder, "round-000.conflicts.csv"), {two: "negative"})
    fourth = run("sentiment", folder, **settings)
    assert fourth.labels[two] == "negative" and len(fourth.curve) == 1
    answers = [(event["id"], event["by"], event["target"]) for event in events(folder, "answer")]
    assert {(two, "anna", "positive"), (two, "ben", "negative")} <= set(answers) and len(answers) == 4


def test_another_process_that_writes_while_a_sheet_is_read_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dal_nlp.annotation.sheet_files import read_sheet

    path, whole = sheet(folder), sheet(folder).read_bytes()
    read = Path.read_bytes
    times: list[int] = []

    def torn(self: Path) -> bytes:
        data = read(self)
        if not times:  # what the editor writes comes after the first look
            os.truncate(self, 10)
            self.write_bytes(whole)
        times.append(1)
        return data[: len(data) // 2] if len(times) == 1 else data

    monkeypatch.setattr(Path, "read_bytes", torn)
    assert len(list(read_sheet(path, ["text"], print))) == 4 and len(times) == 2


@pytest.mark.long
def test_a_run_that_died_while_it_took_answers_ends_as_if_it_had_not(
    waiting: Waiting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies the folder after every event, as a killed process would leave it, and goes on from the copies."""
    from dal_nlp.ledger.events import AnswerEvent, Event
    from dal_nlp.ledger.ledger import Ledger

    folder, copies = waiting("sentiment"), []
    settings: dict[str, Any] = {"annotators": "anna,ben,carl", "overlap": "50%"}
    run("sentiment", folder, **settings)
    for name in ("anna", "ben", "carl"):
        fill(sheet(folder, f"round-000.{name}.csv"), typed("sentiment"))
    append = Ledger.append

    def append_and_copy(ledger: Ledger, event: Event) -> None:
        append(ledger, event)
        if isinstance(event, AnswerEvent):
            copies.append(tmp_path / f"died-{len(copies)}")
            shutil.copytree(ledger.folder, copies[-1] / "run")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", append_and_copy)
        run("sentiment", folder, **settings)

    def said(of: Path) -> list[tuple[str, str, str]]:
        return sorted((e["id"], e["by"], e["target"]) for kind in ("answer", "label") for e in events(of, kind))

    assert len(copies) == len(said(folder)) == 2 + 2 * 3 + 2
    for copy in copies[::3]:
        with (copy / "run" / "ledger.jsonl").open("a") as ledger:
            ledger.write('{"event": "label", "id": "torn')
        (copy / "files.txt").write_text((folder / "files.txt").read_text())
        run("sentiment", copy, **settings)
        assert said(copy) == said(folder)
