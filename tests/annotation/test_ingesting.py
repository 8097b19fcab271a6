"""Answers in the files of other tools: what is taken, and what is said of the rest."""

import json
from typing import Any

import pytest

from dal_nlp import UserError
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.ingesting import ingest
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.joins.tool_rows import Columns
from tests import tiny
from tests import waiting_runs as asking
from tests.annotation.exchange import Waiting, answered, read
from tests.waiting_runs import fill, run, state


def test_a_sheet_of_somebody_else_is_disputed_and_not_taken_over(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    sheet = folder / "run" / "queries" / "round-000.csv"
    (id, *_) = [row["id"] for row in asking.read_csv(sheet)]
    for name, label in (("anna", "positive"), ("ben", "negative")):
        fill(sheet, {id: label})
        assert read(folder, sheet, "csv", name).new == 1
        assert read(folder, sheet, "csv", name).new == 0
    assert state(folder).answers == {id: "positive"}
    assert AnswerStore(folder / "run", state(folder)).disputed() == [id]
    missing, disputed = run("sentiment", folder).remarks
    assert "missing: 3. " in missing and disputed.startswith("Disputed: 1; ")


def test_label_studio_counts_characters_and_knows_skips(waiting: Waiting) -> None:
    of = tiny.qa_task(unanswerable=True)
    example = {"id": "1", "question": "what", "context": "😀😀 the film 😀"}
    target = {"text": ["film 😀"], "answer_start": [7]}
    (result,) = label_studio.results(of, target, example)
    assert (result["value"]["start"], result["value"]["end"]) == (7, 13)
    in_units = {**result, "value": {**result["value"], "start": 9, "end": 16}}
    for one in (result, in_units):
        assert of.answer_format.parse_answer(label_studio.read_results(of, [one], example), example) == target
    with pytest.raises(ValueError, match="not at its place"):
        label_studio.read_results(of, [{**result, "value": {**result["value"], "start": 8}}], example)
    none = label_studio.results(of, {"text": [], "answer_start": []}, example)
    assert label_studio.read_results(of, none, example) == "no answer"
    with pytest.raises(ValueError, match="place in the context"):
        label_studio.read_results(of, [{**result, "value": {"start": 0, "end": 99}}], example)

    folder = waiting("sentiment")
    one, two, *_ = state(folder).waiting
    label = label_studio.results(tiny.task(), "positive", {"id": one, "text": "a", "pair": None})
    annotations = [{"was_cancelled": True, "result": []}], [{"completed_by": 7, "result": label}]
    tasks = [{"data": {"dal_nlp_id": id}, "annotations": a} for id, a in zip((one, two), annotations, strict=True)]
    (folder / "tasks.json").write_text(
        json.dumps([*tasks, {"data": {"dal_nlp_id": "gone"}, "annotations": annotations[1]}])
    )
    found = read(folder, folder / "tasks.json", "label-studio")
    assert found.new == 2 and "'gone'" in found.problems[0]
    assert state(folder).answers == {two: "positive"} and list(state(folder).skipped) == [one]
    assert state(folder).given[two][0].by == "7"


def test_a_label_that_is_called_as_a_refusal_is_taken_and_a_skipped_task_is_none(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    one, two, three, *_ = state(folder).waiting
    (folder / "a.csv").write_text(f"id,label\n{one},Unsure\n")
    chosen = [{"from_name": "answer", "value": {"choices": ["Skip"]}}]
    given = {two: [{"was_cancelled": True, "result": []}], three: [{"result": chosen}]}
    tasks = [{"data": {"dal_nlp_id": id}, "annotations": annotations} for id, annotations in given.items()]
    (folder / "tasks.json").write_text(json.dumps(tasks))
    with open_answer_store(folder / "run") as store:
        store.task.labels = [*store.task.labels, "Skip", "Unsure"]
        for name, format in (("a.csv", "csv"), ("tasks.json", "label-studio")):
            assert ingest(store, folder / name, format, "anna").problems == []
        assert store.state.answers == {one: "Unsure", three: "Skip"} and list(store.state.skipped) == [two]


def test_a_text_without_a_list_is_one_text() -> None:
    of = tiny.task()
    result = {"from_name": "answer", "value": {"choices": "positive"}}
    assert label_studio.read_results(of, [result], {"id": "1", "text": "a", "pair": None}) == "positive"


def test_what_label_studio_may_write_costs_no_other_answer(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    one, two, *_ = state(folder).waiting
    label = label_studio.results(tiny.task(), "positive", {"id": one, "text": "a", "pair": None})
    by = {"completed_by": {"id": 7, "email": "anna@example.org"}, "result": label}
    annotations: list[Any] = [None, ["text", by]]
    tasks = [{"data": {"dal_nlp_id": id}, "annotations": a} for id, a in zip((one, two), annotations, strict=True)]
    (folder / "tasks.json").write_text(json.dumps(tasks))
    found = read(folder, folder / "tasks.json", "label-studio")
    assert found.new == 1 and "not as Label Studio writes it" in found.problems[0]
    assert state(folder).given[two][0].by == "anna@example.org"
    with pytest.raises(UserError, match="is a folder"):
        read(folder, folder / "run", "label-studio")


def test_the_second_annotators_agreement_is_kept_too(waiting: Waiting) -> None:
    from dal_nlp.annotation.quality import by_pair

    folder = waiting("sentiment")
    ids, labels = state(folder).waiting, ["positive", "negative", "positive", "negative"]
    for who in ("anna", "ben"):
        rows = [{"id": id, "answer": label, "annotated_by": who} for id, label in zip(ids, labels, strict=True)]
        if who == "ben":
            rows[0]["answer"] = "negative"
        asking.write(folder / f"{who}.jsonl", rows)
        assert read(folder, folder / f"{who}.jsonl", "jsonl").new == 4
    (pair,) = by_pair(AnswerStore(folder / "run", state(folder)))
    assert (pair.count, pair.same, pair.value) == (4, 0.75, 0.5)


def test_an_answer_to_a_removed_example_is_refused(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    answered(folder, "sentiment")
    run("sentiment", folder)
    id = next(iter(state(folder).answers))
    with open_answer_store(folder / "run") as store:
        store.remove(id, "anna", "test")
        with pytest.raises(UserError, match="back in the pool"):
            store.require(id)
    asking.write(folder / "late.jsonl", [{"id": id, "answer": "positive"}])
    found = read(folder, folder / "late.jsonl", "jsonl")
    assert found.new == 0 and "back in the pool" in found.problems[0]


def test_broken_rows_and_wrong_columns_cost_no_other_answer(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    one, two, *_ = state(folder).waiting
    lines = [json.dumps({"id": id, "answer": a, "label": "negative"}) for id, a in ((one, ""), (two, "positive"))]
    (folder / "a.jsonl").write_text("\n".join([*lines, "[" * 100_000, '{"id": ']))
    found = read(folder, folder / "a.jsonl", "jsonl")
    assert found.new == 1 and len(found.problems) == 2 and "line 4: it is no JSON" in found.problems[1]
    assert state(folder).answers == {two: "positive"}  # where there is a column of answers, only that is read
    (folder / "b.csv").write_text(f"old_id,title,label\n1,a,negative\nid,{one},positive\n")
    with pytest.raises(UserError, match=r"neither the ids \('id'\) nor the texts .*--id-column"):
        read(folder, folder / "b.csv", "csv")


def test_ids_of_other_texts_and_foreign_ids(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    ids = state(folder).waiting
    with open_answer_store(folder / "run") as store:
        texts = [store.example(id)["text"] for id in ids]
    rotated = [
        {"id": id, "text": text, "label": "positive"} for id, text in zip(ids, texts[1:] + texts[:1], strict=True)
    ]
    asking.write(folder / "a.jsonl", rotated)
    found = read(folder, folder / "a.jsonl", "jsonl")
    assert found.new == 0 and len(found.problems) == 4 and "is the id of another text" in found.problems[0]
    asking.write(folder / "b.jsonl", [{**row, "id": 900 + n} for n, row in enumerate(rotated)])
    found = read(folder, folder / "b.jsonl", "jsonl")
    assert found.new == 4 and "4 rows found by the text, as their ids ('900', '901'" in found.remarks[0]


def test_another_interface_of_label_studio(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    one, two, three, four = state(folder).waiting

    def task(id: str, *names: str) -> dict[str, Any]:
        results = [{"from_name": name, "type": "choices", "value": {"choices": ["positive"]}} for name in names]
        return {"data": {"dal_nlp_id": id}, "annotations": [{"result": results}]}

    file = folder / "tasks.json"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps([task(one, "mood")]).encode())
    found = read(folder, file, "label-studio")
    assert found.new == 1 and found.remarks == ["The answers of tasks.json are those of its control 'mood'."]
    file.write_text(json.dumps([task(two, "mood", "topic")]))
    with pytest.raises(UserError, match=r"no control 'label' but 'mood', 'topic'.*--label-column"):
        read(folder, file, "label-studio")
    with open_answer_store(folder / "run") as store:
        assert ingest(store, file, "label-studio", None, Columns(answer="topic")).new == 1
    file.write_text(json.dumps([task(three, "label", "topic")]), encoding="utf-16")
    assert read(folder, file, "label-studio").new == 1
    tree = {
        **task(four, "label"),
        "annotations": [{"result": [{"from_name": "label", "value": {"taxonomy": [["a"]]}}]}],
    }
    file.write_text(json.dumps([tree]))
    with pytest.raises(UserError, match="'taxonomy' in its control 'label', which is read neither"):
        read(folder, file, "label-studio")


def test_ids_in_the_data_of_tasks_count_and_numbers_of_label_studio_are_no_ids(waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with open_answer_store(folder / "run") as store:
        texts = {id: store.example(id)["text"] for id in store.state.waiting}
    result = [{"from_name": "mood", "value": {"choices": ["positive"]}}]
    tasks = [
        {"id": n, "data": {"id": id, "text": text}, "annotations": [{"result": result}]}
        for n, (id, text) in enumerate(texts.items())
    ]
    file = folder / "a.json"
    file.write_text(json.dumps(tasks))
    found = read(folder, file, "label-studio")
    assert (found.new, found.remarks) == (len(texts), ["The answers of a.json are those of its control 'mood'."])
    file.write_text(json.dumps([{**task, "data": {"id": None, "text": task["data"]["text"]}} for task in tasks]))
    again = read(folder, file, "label-studio")
    assert again.known == len(texts)
    assert again.remarks[-1] == f"a.json: {len(texts)} rows found by the text, as they have no ids of this run."
    swapped = [{**task, "data": {**task["data"], "text": "another text"}} for task in tasks[:1]]
    file.write_text(json.dumps(swapped))
    assert "is the id of another text" in read(folder, file, "label-studio").problems[0]


def test_further_forms_of_spans_and_of_answers_in_two_columns(waiting: Waiting) -> None:
    folder = waiting("qa")
    with open_answer_store(folder / "run") as store:
        examples = [store.example(id) for id in store.state.waiting]
    first = [example["context"].split()[0] for example in examples]
    rows = [
        {"id": e["id"], "answers.text": word, "answers.answer_start": 0}
        for e, word in zip(examples, first, strict=True)
    ]
    asking.write(folder / "a.jsonl", rows)
    assert read(folder, folder / "a.jsonl", "jsonl").new == len(rows)
    assert [answer["text"] for answer in state(folder).answers.values()] == [[word] for word in first]


def test_nothing_taken_is_exit_code_2(waiting: Waiting) -> None:
    from typer.testing import CliRunner

    from dal_nlp_cli.main import app

    folder = waiting("sentiment")
    asking.write(folder / "a.jsonl", [{"id": f"foreign {n}", "label": "positive"} for n in range(30)])
    done = CliRunner().invoke(app, ["ingest", str(folder / "run"), str(folder / "a.jsonl"), "--format", "jsonl"])
    assert done.exit_code == 2 and "not taken: 30" in done.output
    (id, *_) = state(folder).waiting
    asking.write(folder / "b.jsonl", [{"id": id, "mood": "positive"}])
    named = ["ingest", str(folder / "run"), str(folder / "b.jsonl"), "--format", "jsonl", "--label-column", "mood"]
    assert [CliRunner().invoke(app, named).exit_code for _ in range(2)] == [0, 0]  # known already is no mistake
