"""Answers of a file of their own find their rows, by id and by text."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, UserError
from dal_nlp.data.corpus import Corpus, read_pool
from dal_nlp.joins.joined_answers import read_answers
from tests import tiny
from tests.tiny import write

POOL = [
    {"id": "1294030472427835393", "text": "the soup was bland"},
    {"id": "0049", "text": "a day to forget"},
    {"id": "7", "text": "lovely, really"},
]


def joined(
    folder: Path,
    answers: list[dict[str, Any]],
    pool: list[dict[str, Any]] = POOL,
    remarks: list[str] | None = None,
    **config: Any,
) -> Corpus:
    config_ = RunConfig(task="classification", data="x", **config)
    task = tiny.task()
    found = read_answers(write(folder / "answers.jsonl", answers), task, config_, remarks)
    source = write(folder / "pool.jsonl", pool)
    return read_pool(source, task, config_, folder / "cache", need_targets=True, answers=found)


def labels(corpus: Corpus) -> dict[str, Any]:
    return dict(zip(corpus.dataset["id"], corpus.targets(), strict=True))


def test_ids_that_pandas_has_made_numbers_of(tmp_path: Path) -> None:
    corpus = joined(tmp_path, [{"id": 7.0, "label": "positive"}, {"id": "7.5", "label": "negative"}])
    assert labels(corpus) == {"7": "positive"}
    assert corpus.remarks == [
        f"Answers without a row in the pool: 1, the first {tmp_path}/answers.jsonl, line 2 ('7.5')."
    ]


def test_rows_of_another_text_are_named_and_not_taken(tmp_path: Path) -> None:
    texts = [row["text"] for row in POOL]
    rotated = [
        {**row, "text": text, "label": "positive"} for row, text in zip(POOL, texts[1:] + texts[:1], strict=True)
    ]
    with pytest.raises(UserError, match="'1294030472427835393' is the id of another text: 'a day to forget' is in the"):
        joined(tmp_path, rotated)
    corpus = joined(tmp_path, [rotated[0], {**POOL[2], "label": "positive"}])
    assert labels(corpus) == {"7": "positive"}
    (remark,) = corpus.remarks
    assert remark.startswith("Answers not taken: ") and "'the soup was bland' in the pool" in remark


def test_a_file_without_ids_or_with_rounded_ones_is_joined_by_its_texts(tmp_path: Path) -> None:
    rounded = [{"id": "1.29403E+18", "text": "the  soup was bland ", "label": "positive"}]
    assert labels(joined(tmp_path, [*rounded, {"id": 49, "text": "a day to forget", "label": "negative"}])) == {
        "1294030472427835393": "positive",
        "0049": "negative",
    }
    assert labels(joined(tmp_path, [{"text": "lovely, really", "label": "positive"}])) == {"7": "positive"}


@pytest.mark.parametrize(
    ("answer", "mend"),
    [
        ({"id": "x"}, "first is 'x', .* first id is '1294.* with --id-column, or put the texts beside them[.]$"),
        ({"id": "x", "text": "y"}, "first is 'x', .* with --id-column, or join by the texts with --id-column none[.]$"),
        ({"text": "y"}, "first is 'y', .*[.] Give it the pool's ids, or the texts as they are there[.]$"),
        ({"id": "49"}, r"has taken zeros from the ids \('49' for '0049'\): put the texts beside the ids"),
        ({"id": "1.29403E+18"}, r"has rounded the ids \('1.29403E\+18'\): put the texts beside the ids"),
    ],
)
def test_answers_that_belong_to_nothing_are_an_error_that_names_both_sides_and_a_mend_that_works(
    tmp_path: Path, answer: dict[str, Any], mend: str
) -> None:
    with pytest.raises(UserError, match=f"None of the 1 answer .* {mend}"):
        joined(tmp_path, [{**answer, "label": "positive"}])


def test_ids_that_a_spreadsheet_has_shortened_are_said_of_single_rows_too(tmp_path: Path) -> None:
    rows = [{"id": "7", "label": "positive"}, {"id": "49", "label": "negative"}]
    assert (
        "('49'); a spreadsheet has taken zeros from the ids ('49' for '0049'): put" in joined(tmp_path, rows).remarks[0]
    )


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "they have no ids"),
        ({"Id": "7"}, "the file has no column 'id': where 'Id' holds the pool's ids, call it so"),
        ({"id": "7.000000000000001"}, "their ids are none of the pool's"),
    ],
)
def test_it_is_said_why_answers_were_joined_by_the_text(tmp_path: Path, row: dict[str, Any], why: str) -> None:
    corpus = joined(tmp_path, [{**row, "text": "lovely, really", "label": "positive"}])
    assert labels(corpus) == {"7": "positive"}
    assert corpus.remarks == [f"{tmp_path}/answers.jsonl: 1 answer joined by the text, as {why}."]


def test_ids_with_other_capitals_count_where_there_are_no_texts(tmp_path: Path) -> None:
    remarks: list[str] = []
    corpus = joined(tmp_path, [{"ID": "7", "label": "positive"}], remarks=remarks)
    assert labels(corpus) == {"7": "positive"}
    assert remarks == [f"{tmp_path}/answers.jsonl has no column 'id', and 'ID' was taken for it."]


@pytest.mark.parametrize("name", ["answer", "Answer"])
def test_a_sheets_column_of_answers_is_read_as_ingest_reads_it(tmp_path: Path, name: str) -> None:
    answers = [{"id": "7", name: "positive"}, {"id": "0049", name: " Skip"}, {"id": POOL[0]["id"], name: ""}]
    remarks: list[str] = []
    assert labels(joined(tmp_path, answers, remarks=remarks)) == {"7": "positive"}
    file = f"{tmp_path}/answers.jsonl"
    assert remarks == [
        f"{file} has no column 'label', and {name!r} was read for it.",
        f"{file}: 1 row with 'skip', which is no answer.",
    ]
    both = [{"id": "7", name: "accept", "label": "positive"}]
    assert labels(joined(tmp_path, both)) == {"7": "positive"}


@pytest.mark.parametrize(
    ("names", "taken", "said"),
    [
        (["Yes", "Unsure"], ["Yes", "Unsure"], []),
        (["Yes", "No"], ["Yes"], ["2 rows with 'unsure', which is no answer."]),
        (
            [],
            ["Yes"],
            ["2 rows with 'unsure', which is no answer: where it is a label, read the column as it is with "
             "--label-column answer."],
        ),
    ],
)  # fmt: skip
def test_what_is_called_as_a_refusal_is_a_label_where_the_task_has_it(
    tmp_path: Path, names: list[str], taken: list[str], said: list[str]
) -> None:
    answers = ["Yes", "Unsure", "unsure" if names[-1:] != ["Unsure"] else ""]
    rows = [{"id": row["id"], "answer": answer} for row, answer in zip(POOL, answers, strict=True)]
    task, remarks = tiny.task(), list[str]()
    task.labels = names
    file = write(tmp_path / "answers.jsonl", rows)
    found = read_answers(file, task, RunConfig(task="classification", data="x"), remarks)
    assert list(found.values()) == taken
    assert remarks[1:] == [f"{file}: {one}" for one in said]


@pytest.mark.parametrize("header", ["id,label,ID,ID", "id,answer,Answer,Answer"])
def test_columns_that_are_there_twice_beside_the_right_one_cost_nothing(tmp_path: Path, header: str) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(f"{header}\n{POOL[0]['id']},positive,x,y\n")
    found = read_answers(str(file), tiny.task(), RunConfig(task="classification", data="x"))
    assert dict(found) == {POOL[0]["id"]: "positive"}


def test_tasks_without_ids_in_their_data_are_joined_by_their_texts(tmp_path: Path) -> None:
    result = [{"from_name": "answer", "value": {"choices": ["positive"]}}]
    tasks = [
        {"id": place, "data": {"id": None, "text": row["text"]}, "annotations": [{"result": result}]}
        for place, row in enumerate(POOL, start=1)
    ]
    assert labels(joined(tmp_path, tasks)) == {row["id"]: "positive" for row in POOL}


@pytest.mark.parametrize(
    ("header", "twice"),
    [
        ("id,text,label,id", "id"),
        ("id,label,id", "id"),
        ("ID,text,label,ID", "ID"),
        ("id,answer,answer", "answer"),
        ("id,Answer,Answer", "Answer"),
    ],
)
def test_a_column_of_ids_or_answers_that_is_there_twice_is_refused(tmp_path: Path, header: str, twice: str) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(f"{header}\n" + ",".join("7" for _ in header.split(",")) + "\n")
    config = RunConfig(task="classification", data="x")
    with pytest.raises(UserError, match=f"answers.csv names the column '{twice}' twice: rename one of the two[.]$"):
        read_answers(str(file), tiny.task(), config)


def test_another_column_that_is_there_twice_is_of_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("id,label,answer,answer,note,note\n7,positive,a,b,c,d\n")
    found = read_answers(str(file), tiny.task(), RunConfig(task="classification", data="x"))
    assert list(found.values()) == ["positive"]


def test_answers_of_single_rows_are_found_with_other_capitals(tmp_path: Path) -> None:
    rows = [{"id": "7", "answer": "positive"}, {"id": "0049", "Answer": "negative"}]
    remarks: list[str] = []
    found = joined(tmp_path, rows, remarks=remarks)
    assert labels(found) == {"7": "positive", "0049": "negative"}
    assert (
        f"{tmp_path}/answers.jsonl has 'Answer' where some of its rows lack 'answer': it was taken for it." in remarks
    )


def test_verdicts_of_prodigy_and_columns_of_other_names_are_no_answers(tmp_path: Path) -> None:
    for row in ({"id": "7", "answer": "accept"}, {"id": "7", "mood": "positive"}):
        with pytest.raises(
            UserError, match=r"has no column 'label' but .* so, or name one that all files have with --lab"
        ):
            joined(tmp_path, [row])


@pytest.mark.parametrize("answer", ["", None, "unsure"])
def test_a_file_without_any_answer_is_refused(tmp_path: Path, answer: str | None) -> None:
    with pytest.raises(UserError, match=r"answers.jsonl has no answer in any of its rows: fill them in, or leave"):
        joined(tmp_path, [{"id": "7", "answer": answer}])


def test_without_ids_and_texts_nothing_can_be_joined(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"has not the texts \('text'\), by which --id-column none joins it to the pool"
    ):
        joined(tmp_path, [{"id": "7", "label": "positive"}], id_column="none")


def test_texts_that_look_alike_do_not_take_the_answers_of_their_ids(tmp_path: Path) -> None:
    pool = [{"id": "1", "text": "so it is"}, {"id": "2", "text": "so  it is\r"}]
    corpus = joined(tmp_path, [{**row, "label": "positive"} for row in pool], pool)
    assert labels(corpus) == {"1": "positive", "2": "positive"} and not corpus.remarks
