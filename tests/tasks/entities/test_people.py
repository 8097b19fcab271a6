"""Entities in every place where people answer: sheets, terminal, page, Label Studio, exported files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from datasets import load_from_disk

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.exporting import export
from dal_nlp.annotation.ingesting import ingest
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.annotation.quality import by_label, by_pair, measure
from dal_nlp.answer_formats.entity_markup import read_markup, write_markup
from dal_nlp.core.errors import UserError
from dal_nlp.data.entities import Span, runs_of, split_words
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.page.given import PageAnswer
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.session.loop import Result
from dal_nlp_cli.terminal_annotator import LabelingSession
from tests import tiny, tiny_entities
from tests.waiting_runs import fill, read_csv

TEXT = "She left [Ada] (see a\\b) for New York."


def fields(text: str) -> dict[str, Any]:
    starts, ends = split_words(text)
    return {"id": "0", "text": text, "starts": starts, "ends": ends, "tokenized": False}


@pytest.fixture
def folder(tmp_path: Path, model_folder: str) -> Path:
    """A folder with the files of a run."""
    tiny.write(tmp_path / "pool.jsonl", tiny_entities.tagged(16))
    tiny.write(tmp_path / "test.jsonl", tiny_entities.tagged(8, seed=1))
    (tmp_path / "model.txt").write_text(model_folder)
    return tmp_path


def run(folder: Path) -> Result:
    """Start the run, or go on with it."""
    flags = {
        "task": "ner",
        "data": str(folder / "pool.jsonl"),
        "test": str(folder / "test.jsonl"),
        "model": (folder / "model.txt").read_text(),
        "out": str(folder / "run"),
        "oracle": "file",
        "max_length": 24,
        "initial": 4,
        "query_size": 4,
        "rounds": 1,
        "initial_strategy": "random",
        "strategy": "entropy",
        "training": {"mode": "full", "min_steps": 2, "epochs": 1},
    }
    return Session(RunConfig.load(flags=flags)).run()


def gold(folder: Path) -> dict[str, Any]:
    """The right answers of the pool, by id."""
    task = tiny_entities.ner_task()
    return {row["id"]: task.read_target(row) for row in tiny_entities.tagged(16)}


def test_markup_goes_there_and_back_whatever_brackets_the_text_has() -> None:
    spans = [Span(10, 13, "per (first)"), Span(29, 37, "city")]
    written = write_markup(TEXT, spans)
    assert written == r"She left \[[Ada](per \(first\))\] (see a\\b) for [New York](city)."
    assert read_markup(written, fields(TEXT)) == spans
    assert read_markup("[New\nYork](city)", fields(TEXT)) == spans[1:]
    assert read_markup("[Ada](x); [New York](city)", fields(TEXT)) == [Span(10, 13, "x"), spans[1]]
    assert read_markup(TEXT, fields(TEXT)) == read_markup(" None ", fields(TEXT)) == []
    assert write_markup(TEXT, []) == "none"


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("She left [Ada](per) (see", r"character 11: 'Ada\]\(per\) \(see' stands where the text has '\[Ada\] \(see a"),
        ("She left \\[Ada\\] (see a\\b) for [New York](city", r"character 32: '\[New York\]\(city' stands where"),
        ("She left", r"character 9: the text goes on with"),
        ("[Bern](city)", r"character 1: the text does not hold the words 'Bern'"),
        ("[Yor](city)", "character 1: 'Yor' cuts a word of the text: mark whole words"),
        ("[ ](city)", "character 1: a mark needs words and a label"),
        ("[e](city) [New York](x), and", "stands where the text has"),
    ],
)
def test_a_fault_is_named_with_its_place(typed: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_markup(typed, fields(TEXT))


def test_entities_alone_have_to_be_there_once() -> None:
    with pytest.raises(ValueError, match=r"character 1: the text holds 'a' 2 times: copy the whole text"):
        read_markup("[a](x)", fields("a or a"))


def test_entities_alone_are_whole_words_of_the_text() -> None:
    assert read_markup("[a](x)", fields("a or an")) == [Span(0, 1, "x")]
    assert read_markup("[北京](city)", fields("我爱北京")) == [Span(2, 4, "city")]
    tokens = {"text": "run 5km", "starts": [0, 4, 5], "ends": [3, 5, 7]}
    assert read_markup("[5](number)", tokens) == [Span(4, 5, "number")]


def test_sheets_take_marked_texts_and_say_what_is_wrong_where(folder: Path) -> None:
    (missing,) = run(folder).remarks
    assert "[words](label) for each entity, with one of bad, good" in missing
    sheet = folder / "run" / "queries" / "round-000.csv"
    right, task = gold(folder), tiny_entities.ner_task()
    examples = {row["id"]: task.read(row) for row in tiny_entities.tagged(16)}
    ids = [row["id"] for row in read_csv(sheet)]
    typed = {id: task.answer_format.format_answer(right[id], examples[id]) for id in ids}
    word = examples[ids[0]]["text"].split()[0]
    rest = examples[ids[0]]["text"].partition(" ")[2]
    fill(sheet, {**typed, ids[0]: f"[{word}](god) {rest}"})
    assert "'god' is none of the labels bad, good" in run(folder).remarks[0]
    assert read_state(folder / "run").answers == {id: right[id] for id in ids[1:]}
    fill(sheet, {**typed, ids[0]: f"[{word}](2) {rest}"})
    run(folder)
    answers = read_state(folder / "run").answers
    assert [tuple(found) for found in runs_of(answers[ids[0]])] == [(0, 1, "good")]
    assert len(read_state(folder / "run").metrics) == 1


def test_the_terminal_takes_marked_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder)
    with open_answer_store(folder / "run") as store:
        ids = store.state.waiting
        right = gold(folder)
        typed = [store.task.answer_format.format_answer(right[id], store.example(id)) for id in ids[:2]]
        lines: Iterator[str] = iter([*typed, "none", ":quit"])
        monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
        LabelingSession(store, "anna", suggest=False, final=False).work_through(ids)
    printed = capsys.readouterr()
    assert "labels: 1 bad, 2 good" in printed.err + printed.out
    answers = read_state(folder / "run").answers
    assert [answers[id] for id in ids[:2]] == [right[id] for id in ids[:2]] and answers[ids[2]]["text"] == ["no entity"]


def test_the_page_is_given_and_gives_places(folder: Path) -> None:
    run(folder)
    with Ledger(folder / "run") as ledger:
        queue = AnnotationQueue(AnswerStore(folder / "run", ledger.state, ledger), ledger)
        widget = queue.views.about()["widget"]
        assert widget["name"] == "entities" and widget["data"]["labels"] == [["1", "bad"], ["2", "good"]]
        item = queue.next("anna", "a tab")
        assert item is not None
        end = len(item["texts"][0]["text"].split()[0])
        queue.answer("anna", "a tab", PageAnswer(item["id"], json.dumps([{"start": 0, "end": end, "label": "bad"}])))
        assert queue.open("anna", "a tab", item["id"])["answer"]["spans"] == [[0, end, "bad"]]


def test_label_studio_marks_labels_and_an_annotation_without_any_says_none(folder: Path) -> None:
    run(folder)
    right = gold(folder)
    with open_answer_store(folder / "run") as store:
        (labels,) = ElementTree.fromstring(label_studio.interface(store.task)).iter("Labels")
        assert [label.get("value") for label in labels] == ["bad", "good"]
        for id in store.state.waiting:
            results = label_studio.results(store.task, right[id], store.example(id))
            read = label_studio.read_results(store.task, results, store.example(id))
            assert store.task.answer_format.parse_answer(read, store.example(id)) == right[id]
        assert label_studio.read_results(store.task, [], store.example(id)) == "none"
        twice = [{**results[0], "value": {**results[0]["value"], "labels": ["bad", "good"]}}] if results else []
        if twice:
            with pytest.raises(ValueError, match="2 labels"):
                label_studio.read_results(store.task, twice, store.example(id))


def test_files_go_there_and_back_and_agreement_is_the_f1_of_entities(folder: Path) -> None:
    run(folder)
    right = gold(folder)
    rows = {row["id"]: row for row in tiny_entities.tagged(16)}
    with open_answer_store(folder / "run") as store:
        one, *_ = ids = store.state.waiting
        for id in ids:
            typed = store.task.answer_format.format_answer(right[id], store.example(id))
            store.write(store.read(id, typed, store.origin("anna", "terminal")))
        for format in ("jsonl", "csv", "hf-dataset", "conll", "prodigy", "label-studio"):
            assert export(store, format, "labels", folder / f"out-{format}") == len(ids)
        lines = (folder / "out-jsonl").read_text().splitlines()
        assert [(row["tokens"], row["ner_tags"]) for row in map(json.loads, lines)] == [
            (rows[id]["tokens"], rows[id]["ner_tags"]) for id in ids
        ]
        data = load_from_disk(str(folder / "out-hf-dataset"))
        assert data["ner_tags"][0] == rows[one]["ner_tags"] and data["tokens"][0] == rows[one]["tokens"]
        blocks = (folder / "out-conll").read_text().strip().split("\n\n")
        assert blocks[0] == "\n".join(map("\t".join, zip(rows[one]["tokens"], rows[one]["ner_tags"], strict=True)))
        first = json.loads((folder / "out-prodigy").read_text().splitlines()[0])
        assert first["text"] == " ".join(rows[one]["tokens"]) and len(first["spans"]) == len(runs_of(right[one]))
        for name, who in (("jsonl", "ben"), ("csv", "carl")):
            (folder / f"out-{name}").rename(folder / f"back.{name}")
            assert ingest(store, folder / f"back.{name}", name, who).new == len(ids)
        pair = by_pair(store)[0]
        assert (pair.count, pair.same, pair.value, measure(store)) == (4, 1, 1.0, "entity F1")
        assert {of.names[0] for of in by_label(store)} <= {"bad", "good"}
        with pytest.raises(UserError, match="did you mean 'conll'"):
            export(store, "conl", "labels", folder / "x")
    task = tiny_entities.ner_task()
    for id, target in read_state(folder / "run").answers.items():
        task.check(target, task.read(rows[id]))
