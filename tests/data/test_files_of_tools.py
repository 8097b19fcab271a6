"""Files of Prodigy, Label Studio and Argilla: verdicts, controls, responses, and rows without ids."""

import json
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.data.corpus import read_corpus
from dal_nlp.data.examples import ExampleReader
from dal_nlp.data.hashing import id_of_content
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests.data.files import ALL, ROWS, TEXTS, complaint, lines, put, read, table


def studio(results: list[dict[str, Any]], name: str = "annotations") -> str:
    tasks = [
        {"id": i, "data": {"text": row["text"]}, name: [{"result": [{**one, "type": "choices"} for one in results]}]}
        for i, row in enumerate(ROWS)
    ]
    return json.dumps(tasks)


def choice(control: str, *labels: str) -> dict[str, Any]:
    return {"from_name": control, "value": {"choices": list(labels)}}


def test_what_prodigy_has_rejected_is_unlabeled_whatever_other_columns_are_left(tmp_path: Path) -> None:
    rows = [
        {**row, "answer": verdict} for row, verdict in zip(ROWS, ["accept", "reject", "ignore", "accept"], strict=True)
    ]
    for name, content in (("p.jsonl", lines(rows)), ("p.csv", table(rows))):
        found, remarks = read(put(tmp_path, name, content))
        assert [label for _, label in found] == ["bad", None, None, "good"]
        assert "Prodigy" in remarks[0]
    spoken = put(tmp_path, "q.jsonl", lines([{**row, "answer": "I accept"} for row in rows]))
    assert read(spoken) == (ALL, []), "a column of texts that is called so"


@pytest.mark.parametrize("name", ["annotations", "completions"])
def test_of_several_controls_of_label_studio_the_one_of_the_labels_counts(tmp_path: Path, name: str) -> None:
    both = studio([choice("mood", "x"), choice("label", "good")], name)
    assert [label for _, label in read(put(tmp_path, "p.json", both))[0]] == ["good"] * 4
    some = json.loads(both)
    del some[1][name][0]["result"][1]  # a text whose annotator has answered the other question only
    assert [label for _, label in read(put(tmp_path, "p.json", json.dumps(some)))[0]] == ["good", None, "good", "good"]
    two = put(tmp_path, "p.json", studio([choice("a", "x"), {"from_name": "b", "value": {"text": ["y"]}}], name))
    assert "no control 'label' but 'a', 'b'" in complaint(two)
    assert [label for _, label in read(two, label_column="a")[0]] == ["x"] * 4


def test_a_control_of_label_studio_that_is_called_none_answers_where_it_has_several_answers(tmp_path: Path) -> None:
    tasks = [
        {"id": n, "data": {"text": f"text {n}"}, "annotations": [{"result": [choice("none", label)]}]}
        for n, label in enumerate(["good", "bad", "good"])
    ]
    found, _ = read(put(tmp_path, "p.json", json.dumps(tasks)))
    assert [answer for _, answer in found] == ["good", "bad", "good"]


@pytest.mark.parametrize("value", [{"rating": 4}, {"number": 4.0}])
def test_ratings_of_label_studio_are_labels(tmp_path: Path, value: dict[str, Any]) -> None:
    stars = put(tmp_path, "p.json", studio([{"from_name": "stars", "value": value}]))
    assert [label for _, label in read(stars)[0]] == ["4"] * 4
    tree = put(tmp_path, "q.json", studio([{"from_name": "label", "value": {"taxonomy": [["a", "b"]]}}]))
    assert "'taxonomy' in its control 'label', which is read neither as labels nor as texts" in complaint(tree)


def test_tasks_of_label_studio_without_annotations_have_their_texts(tmp_path: Path) -> None:
    tasks = put(tmp_path, "p.json", json.dumps([{"id": i, "data": {"text": text}} for i, text in enumerate(TEXTS)]))
    config = RunConfig(task="classification", data=str(tasks))
    found = [(e.id, (e.fields or {})["text"]) for e in ExampleReader(str(tasks), make_task(config), config).examples()]
    assert found == list(zip("0123", TEXTS, strict=True))


WITHOUT_IDS = {
    "tasks": ({"data": {"text": "a"}, "predictions": []}, "there are no annotations in it, so its rows have no labels"),
    "annotations": (
        {"data": {"text": "a"}, "annotations": [{"result": [choice("label", "x")]}]},
        "its annotations were read as labels",
    ),
    "records": (
        {"fields": {"text": "a"}, "responses": {"label": [{"value": "x", "status": "submitted"}]}},
        "its responses were read as labels",
    ),
    "records that nobody has answered": (
        {"fields": {"text": "a"}, "responses": {"label": []}},
        "there are no responses in it, so its rows have no labels",
    ),
    "a table that nobody has answered": (
        {"text": "a", "label.responses": [], "label.responses.status": []},
        "there are no label.responses in it, so its rows have no labels",
    ),
}


@pytest.mark.parametrize("name", WITHOUT_IDS)
def test_rows_of_tools_without_ids_are_known_by_their_content_and_it_is_said_whether_they_are_answered(
    tmp_path: Path, name: str
) -> None:
    row, said = WITHOUT_IDS[name]
    file = put(tmp_path, "p.json", json.dumps([row]))
    config = RunConfig(task="classification", data=str(file))
    reader = ExampleReader(str(file), make_task(config), config)
    (example,) = reader.examples()
    assert example.id == id_of_content(example.fields or {}) and example.target == (
        '"x"' if "were read" in said else None
    )
    (remark,) = reader.remarks
    assert remark.endswith(f": {said}.")
    with_id = put(tmp_path, "q.json", json.dumps([{"id": 5, **row}]))
    assert [one.id for one in ExampleReader(str(with_id), make_task(config), config).examples()] == ["5"]


def test_a_task_of_label_studio_with_entities_and_no_id(tmp_path: Path) -> None:
    file = str(put(tmp_path, "p.json", json.dumps([{"data": {"text": "Ada"}, "annotations": []}])))
    config = RunConfig(task="ner", data=file)
    (example,) = ExampleReader(file, make_task(config), config).examples()
    assert example.id == id_of_content({name: cell for name, cell in (example.fields or {}).items() if name != "group"})


def test_responses_of_argilla_in_a_table(tmp_path: Path) -> None:
    head = "id,text,label.responses,label.responses.users,label.responses.status"
    cells = ("['bad'],['u'],['submitted']", "['good'],['u'],['discarded']", "[],[],[]", "\"['good', 'good']\",['u'],")
    rows = [f"{i},text {i},{end}" for i, end in enumerate(cells)]
    found, remarks = read(put(tmp_path, "p.csv", "\n".join([head, *rows]) + "\n"))
    assert [label for _, label in found] == ["bad", None, None, "good"] and "Argilla" in remarks[0]


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_empty_ids_of_tasks_and_records_are_none(tmp_path: Path, nothing: str | None) -> None:
    said = {"label": {"value": "good"}}
    files = {
        "tasks": [
            {"id": nothing, "data": {"text": "a"}, "annotations": []},
            {"id": 7, "data": {"text": "b", "id": nothing}, "annotations": []},
            {"id": 8, "data": {"text": "c", "id": "x", "dal_nlp_id": nothing}, "annotations": []},
            {"id": nothing, "data": {"text": "d", "id": nothing}, "annotations": []},
        ],
        "records": [
            {"id": nothing, "fields": {"text": "a"}, "responses": [{"values": said}]},
            {"id": 7, "fields": {"text": "b", "id": nothing}, "responses": [{"values": said}]},
            {"id": 8, "fields": {"text": "c", "id": "x"}, "responses": [{"values": said}]},
            {"id": nothing, "fields": {"text": "d", "id": nothing}, "responses": [{"values": said}]},
        ],
    }
    for name, rows in files.items():
        file = str(put(tmp_path, f"{name}.json", json.dumps(rows)))
        config = RunConfig(task="classification", data=file)
        found = list(ExampleReader(file, make_task(config), config).examples())
        hashes = [id_of_content(one.fields or {}) for one in found]
        # A task's number is Label Studio's: it stands for no id that its data should have.
        second = hashes[1] if name == "tasks" else "7"
        assert [one.id for one in found] == [hashes[0], second, "x", hashes[3]], name


def test_responses_of_argilla_with_an_entry_for_each_person(tmp_path: Path) -> None:
    rows = [
        {
            "fields": {"text": row["text"]},
            "responses": [{"values": {"label": {"value": row["label"]}}, "status": state}],
        }
        for row, state in zip(ROWS, ("submitted", "discarded", None, "submitted"), strict=True)
    ]
    found, remarks = read(put(tmp_path, "p.jsonl", lines(rows)))
    assert [label for _, label in found] == ["bad", None, "bad", "good"] and "Argilla" in remarks[0]


def test_columns_that_are_only_called_as_those_of_a_tool_are_plain_ones(tmp_path: Path) -> None:
    for names in (("data", "annotations"), ("fields", "responses")):
        rows = [{**row, names[0]: "2020-01-01", names[1]: i} for i, row in enumerate(ROWS)]
        assert read(put(tmp_path, "p.csv", table(rows))) == (ALL, [])


@pytest.mark.parametrize(
    ("task", "expected"), [("multilabel", {"a": [], "b": ["good"]}), ("classification", {"b": "good"})]
)
def test_an_empty_annotation_of_label_studio_is_an_answer_where_a_text_may_have_no_label(
    tmp_path: Path, task: str, expected: dict[str, Any]
) -> None:
    annotations: dict[str, list[dict[str, Any]]] = {
        "a": [{"result": []}],
        "b": [{"result": [choice("label", "good")]}],
        "cancelled": [{"result": [], "was_cancelled": True}],
        "unanswered": [],
    }
    tasks = [{"id": n, "data": {"text": text}, "annotations": a} for n, (text, a) in enumerate(annotations.items())]
    path = put(tmp_path, "tasks.json", json.dumps(tasks))
    config = RunConfig(task=task, data=str(path), label_column="label")
    corpus = read_corpus(str(path), make_task(config), config, None, "labeled", need_targets=True)
    assert dict(zip(corpus.dataset["text"], corpus.targets(), strict=True)) == expected
