"""Rows of annotation tools: the id, the answer and who gave it, as each tool writes them."""

from typing import Any

import pytest

from dal_nlp import RunConfig, UserError
from dal_nlp.joins.tool_rows import Columns, ToolRows
from tests import tiny

Read = list[tuple[str, str, str]]


def table(rows: list[dict[str, Any]], columns: Columns | None = None, **config: Any) -> ToolRows:
    return ToolRows(rows, tiny.task(), RunConfig(task="classification", data="x.csv", **config), columns or Columns())


def read(rows: list[dict[str, Any]], columns: Columns | None = None, **config: Any) -> Read:
    of = table(rows, columns, **config)
    return [(of.id(row), given.answer, given.by) for row in of.rows for given in of.given(row)]


TOOLS: dict[str, tuple[list[dict[str, Any]], Read]] = {
    "doccano": (
        [{"id": 5, "text": "a", "label": ["positive"], "Comments": []}, {"id": 6, "text": "b", "label": []}],
        [("5", '["positive"]', ""), ("6", "", "")],
    ),
    "prodigy": (
        [{"id": 1, "text": t, "label": "positive", "answer": v} for t, v in (("a", "accept"), ("b", "reject"))],
        [("1", "positive", "")],
    ),
    "prodigy's choices": (
        [{"text": "a", "options": [{"id": "positive"}], "accept": ["positive"], "answer": "accept", "meta": {"id": 9}}],
        [("9", '["positive"]', "")],
    ),
    "prodigy's annotators": (
        [{"id": 1, "text": "a", "label": "positive", "answer": "accept", "_annotator_id": "set-anna"}],
        [("1", "positive", "set-anna")],
    ),
    "label studio, JSON-MIN": (
        [{"id": 90, "dal_nlp_id": "5", "text": "a", "mood": "positive", "annotator": 1, "annotation_id": 3}],
        [("5", "positive", "1")],
    ),
    "label studio, csv without our id": (
        [{"annotation_id": "1", "annotator": "2", "id": "90", "mood": "positive", "text": "a", "lead_time": "3"}],
        [("", "positive", "2")],
    ),
    "label studio, a control's value": (
        [{"id": 90, "dal_nlp_id": "5", "answer": {"choices": ["positive"]}, "annotation_id": 3}],
        [("5", '["positive"]', "")],
    ),
    "argilla, records": (
        [
            {
                "id": "5",
                "fields": {"text": "a"},
                "responses": {
                    "label": [
                        {"value": "positive", "user_id": "u1", "status": "submitted"},
                        {"value": "negative", "user_id": "u2"},
                        {"value": "negative", "user_id": "u3", "status": "discarded"},
                    ]
                },
            }
        ],
        [("5", "positive", "u1"), ("5", "negative", "u2")],
    ),
    "argilla, feedback": (
        [
            {
                "id": "5",
                "fields": {"text": "a"},
                "responses": [{"user_id": "u1", "status": "submitted", "values": {"label": {"value": "positive"}}}],
            }
        ],
        [("5", "positive", "u1")],
    ),
    "argilla, a data set": (
        [{"id": "5", "text": "a", "label.responses": ["positive"], "label.responses.users": ["u1"]}],
        [("5", "positive", "u1")],
    ),
    "argilla, a table": (
        [
            {
                "id": "5",
                "text": "a",
                "label.responses": "['positive', 'negative']",
                "label.responses.users": "['u1', 'u2']",
                "label.responses.status": "['submitted', 'discarded']",
            }
        ],
        [("5", "positive", "u1")],
    ),
    "argilla, older": (
        [{"id": "5", "inputs": {"text": "a"}, "annotation": "positive", "annotation_agent": "anna"}],
        [("5", "positive", "anna")],
    ),
    "pandas": ([{"id": 5.0, "text": "a", "label": 1.0}], [("5", "1.0", "")]),
    "an export": (
        [{"id": "5", "text": "a", "label": "positive", "annotated_by": "anna", "note": "x"}],
        [("5", "positive", "anna")],
    ),
    "a sheet": ([{"id": "5", "text": "a", "label": "old", "answer": "positive"}], [("5", "positive", "")]),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_as_the_tool_writes_it(tool: str) -> None:
    rows, expected = TOOLS[tool]
    assert read(rows) == expected


def test_rows_that_prodigy_has_not_accepted_are_counted() -> None:
    rows = [{"text": "a", "label": "positive", "answer": verdict} for verdict in ("accept", "reject", "ignore")]
    assert table(rows).refused == 2
    asked = [{"id": "1", "answer": "accept"}, {"id": "2", "answer": "reject"}]
    assert read(asked) == [("1", "accept", ""), ("2", "reject", "")]  # a sheet: there is no other column of answers


def test_columns_that_the_user_names() -> None:
    rows = [{"id": 90, "key": "5", "text": "a", "mood": "positive", "who": "anna"}]
    assert read(rows, Columns("key", "mood", "who")) == [("5", "positive", "anna")]
    assert read(rows, Columns("none", "mood")) == [("", "positive", "")]
    with pytest.raises(UserError, match=r"no column 'moot' \(did you mean 'mood'\?\)"):
        read(rows, Columns(answer="moot"))


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"id": "1", "text": "a", "sentiment": "positive"}, "no column of answers .* but 'id', 'text', 'sentiment'"),
        ({"title": "a", "label": "positive"}, "neither the ids .* nor the texts .* but 'title', 'label'"),
    ],
)
def test_a_file_in_which_the_answers_or_the_ids_are_not_found(row: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError, match=part):
        read([row])


def test_keys_of_single_rows_are_found_with_other_capitals() -> None:
    rows = [{"id": "1", "answer": "positive"}, {"ID": "2", "Answer": "negative"}]
    assert read(rows) == [("1", "positive", ""), ("2", "negative", "")]
    assert table(rows).remarks == [
        f"{name!r} was taken for {name.lower()!r} in rows that lack it." for name in ("ID", "Answer")
    ]
    two = [{"id": "1", "answer": "positive", "Answer": "x"}, {"id": "2", "Answer": "negative"}]
    assert read(two) == [("1", "positive", ""), ("2", "", "")] and not table(two).remarks


def test_a_text_column_called_answer_is_no_answer() -> None:
    task = tiny.task()
    task._columns = ["answer"]
    config = RunConfig(task="classification", data="x.csv", text_column=["answer"])
    of = ToolRows([{"id": "1", "answer": "a text", "label": "positive"}], task, config, Columns())
    assert [given.answer for given in of.given(of.rows[0])] == ["positive"]


def test_columns_of_labels_are_named_as_what_ingest_does_not_read() -> None:
    rows = [{"id": "1", "text": "a", "joy": 1, "fear": 0, "anger": 0}]
    with pytest.raises(UserError, match=r"has a column for each label \('anger', .* as a\|b, \[\] for none"):
        ToolRows(rows, tiny.multilabel_task(), RunConfig(task="multilabel", data="x.csv"), Columns())
