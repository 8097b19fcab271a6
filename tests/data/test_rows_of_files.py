"""Rows of questions, references and context columns, however a file of any kind holds them."""

import json
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.data.examples import ExampleReader, context_of
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests.data.files import LABELS, ROWS, complaint, lines, put, read, table

CONTEXT = "Ann went to Oslo. Bo stayed in Rome."
ANSWERS = {"text": ["Oslo"], "answer_start": [12]}


@pytest.mark.parametrize(
    "content",
    [
        {"data": [{"paragraphs": [{"context": CONTEXT, "qas": [{"id": 1, "question": "Where?", "answers": "Oslo"}]}]}]},
        [
            {
                "context": CONTEXT,
                "qas": [{"id": 1, "question": "Where?", "answers": [{"text": "Oslo", "answer_start": 12}]}],
            }
        ],
        {"context": CONTEXT, "qas": [{"id": 1, "question": "Where?", "answers": ["Oslo"]}]},
        [{"context": CONTEXT, "question": "Where?", "answers": ["Oslo"]}],
        [{"context": CONTEXT, "question": "Where?", "answers": str(ANSWERS)}],
        [{"context": CONTEXT, "question": "Where?", "answers.text": ["Oslo"], "answers.answer_start": [12]}],
        [{"context": CONTEXT, "question": "Where?", "answer": "Oslo", "start": "12.0"}],
    ],
)
def test_forms_of_questions(tmp_path: Path, content: Any) -> None:
    if "paragraphs" in json.dumps(content):
        content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = [{"text": "Oslo", "answer_start": 12}]
    assert read(put(tmp_path, "q.json", json.dumps(content)), task="qa")[0][0][1] == ANSWERS


@pytest.mark.parametrize("yes", [True, "true", "True", 1, "1", 1.0])
def test_impossible_questions_of_both_forms(tmp_path: Path, yes: Any) -> None:
    question = {"question": "Who?", "is_impossible": yes, "answers": [{"text": "Oslo", "answer_start": 12}]}
    flat, nested = [{"context": CONTEXT, **question}], [{"context": CONTEXT, "qas": [question]}]
    for content in (flat, nested):
        ((_, answer),) = read(put(tmp_path, "q.json", json.dumps(content)), task="qa")[0]
        assert answer == {"text": [], "answer_start": []}


def test_starts_that_count_other_line_ends(tmp_path: Path) -> None:
    row = {"context": "one\r\ntwo\r\nthree", "question": "?", "answers": {"text": ["three"], "answer_start": [8]}}
    assert "each line end (CRLF) counts as one" in complaint(put(tmp_path, "q.jsonl", lines([row])), task="qa")


def test_references_in_lists_of_python(tmp_path: Path) -> None:
    rows = [{"document": "a b c", "summary": str(["one", "two"])}, {"document": "d", "summary": "#NAME?"}]
    assert read(put(tmp_path, "s.csv", table(rows)), task="summarization")[0] == [
        ("a b c", ["one", "two"]),
        ("d", None),
    ]


def test_context_columns_are_kept_beside_the_text_and_are_no_part_of_it(tmp_path: Path) -> None:
    rows = [{**row, "product": f"p{i}", "stars": i, "note": None} for i, row in enumerate(ROWS)]
    file = put(tmp_path, "p.jsonl", lines(rows))
    config = RunConfig(task="classification", data=str(file), context_columns="product,stars,note")
    plain = [
        e.content_hash
        for e in ExampleReader(str(file), make_task(config), RunConfig(task="classification", data="x")).examples()
    ]
    examples = list(ExampleReader(str(file), make_task(config), config, need_context=True).examples())
    assert [context_of(e.fields or {}) for e in examples][:2] == [
        {"product": "p0", "stars": "0", "note": ""},
        {"product": "p1", "stars": "1", "note": ""},
    ]
    assert [e.content_hash for e in examples] == plain
    missing = config.model_copy(update={"context_columns": ["colour"]})
    with pytest.raises(UserError, match="no column 'colour'"):
        list(ExampleReader(str(file), make_task(config), missing, need_context=True).examples())


def test_names_with_a_comma_are_in_double_quotes(tmp_path: Path) -> None:
    file = put(tmp_path, "p.csv", '"What, if anything, is wrong?",label\na b,"x, y"\n')
    changes = {"text_column": '"What, if anything, is wrong?"', "labels": '"x, y",z'}
    assert read(file, **changes)[0] == [("a b", "x, y")]
    assert "double quotes: --labels '\"a, b\",c'" in complaint(file, **{**changes, "labels": "x, y,z"})


UNQUOTED = [f"{i}\tplain review {i}\t{LABELS[i % 4]}" for i in range(30)]
UNQUOTED[4] = '4\t"Great" begins a review\tgood'
UNQUOTED[9] = '9\tit ends with "awful"\tbad'
OPEN = [line.replace('"Great" begins', '"Great begins').replace('with "awful"', 'with awful"') for line in UNQUOTED]


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
@pytest.mark.parametrize("block", [2**23, 100])
def test_a_quotation_mark_that_swallows_rows(
    tmp_path: Path, separator: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.readers.encodings.BLOCK", block)
    for rows in (OPEN, UNQUOTED):
        content = "\n".join(["id\ttext\tlabel", *rows]).replace("\t", separator)
        file = put(tmp_path, "p.csv", content)
        message = complaint(file)
        assert "line 6 " in message and "--quoting none" in message
        found, _ = read(file, quoting="none")
        assert len(found) == 30
        assert found[4][0] == rows[4].split("\t")[1]


@pytest.mark.parametrize("separator", [",", ";", "|"])
@pytest.mark.parametrize(
    ("header", "id"), [("id,text", "{}"), ("text,id", "{}"), ("key,text", "t-{}a"), ("id,text,label", "{}")]
)
@pytest.mark.parametrize("block", [2**23, 100])
def test_rows_that_are_swallowed_without_a_label_or_beside_rows_of_another_width(
    tmp_path: Path, separator: str, header: str, id: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.readers.encodings.BLOCK", block)
    cells = [
        {"id": id.format(i), "key": id.format(i), "text": f"review {i}", "label": LABELS[i % 4]} for i in range(30)
    ]
    cells[4]["text"], cells[12]["text"] = '"Great he said', 'and so it ends"'
    cells[8]["text"] += separator + "or so" if "label" in header else ""
    names = header.split(",")
    file = put(
        tmp_path, "p.csv", "\n".join(separator.join(row) for row in [names, *([c[n] for n in names] for c in cells)])
    )
    config = RunConfig(task="classification", data=str(file), id_column=names[0] if "key" in names else "id")
    with pytest.raises(UserError, match=r"line 6 holds a cell in quotes that has swallowed.*--quoting none"):
        list(ExampleReader(str(file), make_task(config), config).examples())


def test_texts_of_several_lines_with_numbers_and_commas_are_no_swallowed_rows(tmp_path: Path) -> None:
    texts = ["In all\n1,000 people came", "Write to\n12, Main street", "First\n30, then\n17, then 2"] * 4
    file = put(
        tmp_path,
        "p.csv",
        table([{"id": i, "text": f"{text} {i}", "label": "ab"[i % 2]} for i, text in enumerate(texts)]),
    )
    assert len(read(file)[0]) == 12
    alone = put(tmp_path, "alone.csv", table([{"text": text} for text in texts]))
    config = RunConfig(task="classification", data=str(alone))
    reader = ExampleReader(str(alone), make_task(config), config)
    assert len(list(reader.examples())) == 12
    assert "has 12 texts of several lines in quotes, the first in line 2" in reader.remarks[0]


def test_texts_of_several_lines_are_no_swallowed_rows(tmp_path: Path) -> None:
    rows = [{"text": f"Dear Jo,\nthank you, we are fine\nYours,\nAnn {i}", "label": LABELS[i % 2]} for i in range(50)]
    assert len(read(put(tmp_path, "letters.csv", table(rows)))[0]) == 50


@pytest.mark.parametrize(
    ("first", "last"),
    [("Great hotel.\n2nd, the room was dirty.", "good"), ("Hello\nBob, how are you?", "bad"), ("a\nb\tc", "good")],
)
def test_a_line_that_begins_like_a_row_is_no_row(tmp_path: Path, first: str, last: str) -> None:
    rows = [{"id": str(i), "text": f"text {i}", "label": "good"} for i in range(50)]
    assert len(read(put(tmp_path, "p.csv", table([*rows, {"id": "51", "text": first, "label": last}])))[0]) == 51


def test_one_line_that_fits_a_row_in_each_cell_is_chance_and_two_are_none(tmp_path: Path) -> None:
    rows = [{"label": ("Good", "Bad")[i % 2], "text": f"text {i}"} for i in range(50)]
    lines = ["A fine place.", "Good,friendly staff", "Bad,noisy nights"]
    for count, swallowed in ((2, False), (3, True)):
        file = put(tmp_path, "p.csv", table([*rows, {"label": "Good", "text": "\n".join(lines[:count])}]))
        if swallowed:
            with pytest.raises(UserError, match="line 52 holds a cell in quotes that has swallowed"):
                read(file)
            assert len(read(file, quoting="trusted")[0]) == 51
        else:
            assert len(read(file)[0]) == 51
