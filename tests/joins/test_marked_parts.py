"""Answers with marked parts of a text in the rows of tools: the column, the parts, and that there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.answer_store import open_answer_store
from dal_nlp.annotation.exporting import export
from dal_nlp.annotation.ingesting import ingest
from dal_nlp.data.entities import spans_of
from dal_nlp.joins.tool_rows import Columns, ToolRows
from tests import tiny, tiny_entities

TEXT = "Ada met him"
PART: dict[str, Any] = {"start": 0, "end": 3, "label": "good"}
TOKENS = [{"text": "Ada", "start": 0, "end": 3, "id": 0}]


def read(
    row: dict[str, Any], columns: Columns | None = None
) -> tuple[str, dict[str, str], list[tuple[Any, ...]] | None]:
    """What a row says: its id, its text, and the marked parts; None where there is no answer."""
    task = tiny_entities.ner_task()
    of = ToolRows([row], task, RunConfig(task="ner", data="x.jsonl"), columns or Columns())
    (row,) = of.rows
    given = list(of.given(row))
    fields = {"id": "1", **task.read({"tokens": TEXT})}
    spans = spans_of(task.answer_format.parse_answer(given[0].answer, fields)) if given and given[0].answer else None
    return of.id(row), of.texts(row), spans if spans is None else [tuple(span) for span in spans]


MARKED = [(0, 3, "good")]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"id": "1", "tokens": TEXT, "ner_tags": [{**PART, "text": "Ada"}]}, MARKED),
        ({"id": "1", "text": TEXT, "label": [[0, 3, "good"]]}, MARKED),
        ({"id": "1", "text": TEXT, "label": []}, []),
        (
            {"id": "1", "text": TEXT, "entities": [{"id": 9, "label": "good", "start_offset": 0, "end_offset": 3}]},
            MARKED,
        ),
        ({"id": "1", "text": TEXT, "entities": []}, []),
        ({"id": "1", "text": TEXT, "entities": None}, None),
        ({"meta": {"id": "1"}, "text": TEXT, "tokens": TOKENS, "spans": [PART], "answer": "accept"}, MARKED),
        ({"meta": {"id": "1"}, "text": TEXT, "spans": [], "answer": "accept"}, []),
        ({"id": "1", "text": TEXT, "spans": [PART], "answer": "reject"}, None),
        ({"id": "1", "text": TEXT, "answer": [PART]}, MARKED),
        ({"id": "1", "text": TEXT, "answer": []}, []),
        ({"id": "1", "text": TEXT, "tags": "B-good O O"}, MARKED),
        ({"id": "1", "text": TEXT, "tags": "good O O"}, MARKED),
        ({"id": "1", "text": TEXT, "tags": "O O O"}, []),
        ({"id": "1", "text": TEXT, "answer": TEXT}, []),
        ({"id": "1", "text": TEXT, "spans": [PART], "entities": []}, MARKED),
        ({"id": "1", "text": TEXT, "spans": [], "entities": []}, []),
        ({"id": "1", "text": TEXT, "label": [{**PART, "label": None, "labels": ["good"], "text": "Ada"}]}, MARKED),
    ],
)
def test_marked_parts_of_every_tool_are_answers_and_an_empty_list_is_one(row: dict[str, Any], found: Any) -> None:
    assert read(row) == ("1", {"tokens": TEXT}, found)


def test_what_prodigy_accepted_without_spans_has_no_entity() -> None:
    rows = [{"id": 1, "text": TEXT, "answer": "accept"}, {"id": 2, "text": TEXT, "spans": [PART], "answer": "accept"}]
    of = ToolRows(rows, tiny_entities.ner_task(), RunConfig(task="ner", data="x.jsonl"), Columns())
    assert [given.answer for row in of.rows for given in of.given(row)] == ["[]", json.dumps([PART])]


@pytest.mark.parametrize("format", ["jsonl", "hf-dataset", "prodigy"])
def test_exports_of_texts_come_back_with_those_that_have_no_entity(
    tmp_path: Path, model_folder: str, format: str
) -> None:
    texts = ["good film", "the film", "a plot", "bad plot"]
    rows = [{"id": f"p{place}", "text": text, "spans": []} for place, text in enumerate(texts)]
    test = tiny.write(tmp_path / "test.jsonl", [{"text": "good plot", "spans": [{**PART, "end": 4}]}])
    flags = {"data": tiny.write(tmp_path / "pool.jsonl", rows), "test": test, "model": model_folder, "max_length": 24}
    more = {"labels": ["good", "bad"], "oracle": "file", "initial": 4, "query_size": 2, "rounds": 1}
    for name in ("run", "other"):
        Session(RunConfig.load(flags={"task": "ner", **flags, **more, "out": str(tmp_path / name)})).run()
    source = tmp_path / ("back.jsonl" if format != "hf-dataset" else "back")
    with open_answer_store(tmp_path / "run") as store:
        for id in list(store.state.waiting):
            typed = "[good](good)" if id == "p0" else "none"
            store.write(store.read(id, typed, store.origin("anna", "terminal")))
        export(store, format, "labels", source)
        answers = dict(store.state.answers)
    with open_answer_store(tmp_path / "other") as store:
        found = ingest(store, source, format.replace("prodigy", "jsonl"), None)
        assert (found.new, found.problems) == (4, []) and store.state.answers == answers


def test_tasks_of_label_studio_are_known_by_a_text_of_another_usual_name(tmp_path: Path, model_folder: str) -> None:
    rows = [{"id": f"p{place}", "text": text, "spans": []} for place, text in enumerate(["good film", "the film"])]
    flags = {"data": tiny.write(tmp_path / "pool.jsonl", rows), "model": model_folder, "max_length": 24}
    flags |= {"test": tiny.write(tmp_path / "test.jsonl", [{"text": "good plot", "spans": [{**PART, "end": 4}]}])}
    flags |= {"labels": ["good", "bad"], "oracle": "file", "initial": 2, "rounds": 1, "out": str(tmp_path / "run")}
    Session(RunConfig.load(flags={"task": "ner", **flags})).run()
    result = {
        "value": {"start": 0, "end": 4, "text": "good", "labels": ["good"]},
        "from_name": "label",
        "to_name": "text",
    }
    tasks = [
        {"id": 40 + place, "data": {"text": row["text"]}, "annotations": [{"completed_by": 3, "result": marks}]}
        for place, (row, marks) in enumerate(zip(rows, ([result], []), strict=True))
    ]
    (tmp_path / "ls.json").write_text(json.dumps(tasks))
    with open_answer_store(tmp_path / "run") as store:
        found = ingest(store, tmp_path / "ls.json", "label-studio", "anna")
    assert (found.new, found.problems) == (2, [])


def test_tags_of_parts_between_blanks_are_those_of_the_words_in_them() -> None:
    task = tiny_entities.ner_task()
    fields = {"id": "1", **task.read({"tokens": "Ada saw Bob."})}
    spans = spans_of(task.answer_format.parse_answer("B-good O B-bad", fields))
    assert [tuple(span) for span in spans] == [(0, 3, "good"), (8, 12, "bad")]
    with pytest.raises(ValueError, match="it has 2 tags for 4 words"):
        task.answer_format.parse_answer("B-good O", fields)


def test_objects_of_labels_that_say_nothing_are_no_answer() -> None:
    rows = [{"id": 1, "text": TEXT, "cats": {"a": 1, "b": 0}}, {"id": 2, "text": TEXT, "cats": {"a": -1, "b": None}}]
    of = ToolRows(rows, tiny.multilabel_task(), RunConfig(task="multilabel", data="x.jsonl"), Columns(answer="cats"))
    assert [given.answer for row in of.rows for given in of.given(row)] == ['{"a": 1, "b": 0}', ""]


def test_rows_of_words_without_ids_are_known_by_the_text_of_their_words() -> None:
    words = {"tokens": TEXT.split(), "ner_tags": ["B-good", "O", "O"]}
    assert read(words) == ("", {"tokens": TEXT}, MARKED)
    assert read({"id": "1", **words}) == ("1", {}, MARKED)
