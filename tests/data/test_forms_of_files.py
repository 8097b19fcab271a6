"""Further forms in which programs write the same rows: what stands above and between them, and verdicts."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dal_nlp.core.errors import UserError
from dal_nlp.data.corpus import read_corpus
from dal_nlp.data.examples import Reader
from dal_nlp.data.hashing import id_of_content
from dal_nlp.readers.encodings import decode
from dal_nlp.readers.reading import unix_ends
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from tests.data.test_kinds_of_files import LABELS, PLAIN, ROWS, TEXTS, complaint, lines, put, read, table

ALL = list(zip(TEXTS, LABELS, strict=True))
HEADLESS = table(ROWS, header=False).decode()


def studio(results: list[dict[str, Any]], name: str = "annotations") -> str:
    tasks = [
        {"id": i, "data": {"text": row["text"]}, name: [{"result": [{**one, "type": "choices"} for one in results]}]}
        for i, row in enumerate(ROWS)
    ]
    return json.dumps(tasks)


def choice(control: str, *labels: str) -> dict[str, Any]:
    return {"from_name": control, "value": {"choices": list(labels)}}


@pytest.mark.parametrize(
    ("name", "content", "remark"),
    [
        ("sep.csv", b"\xef\xbb\xbfsep=;\r\n" + table(ROWS, sep=";"), "separated by semicolons"),
        ("sep.tsv", '"sep=\t"\n' + table(ROWS, sep="\t").decode(), ""),
        ("quoted.csv", '"text" , "label" \n' + HEADLESS, ""),
        ("twice.csv", table(ROWS[:2]) + table(ROWS[2:]), "its header 1 more time among its rows"),
        ("marked.csv", table(ROWS[:2]) + b"\xef\xbb\xbf" + table(ROWS[2:]), "its header 1 more time"),
        ("commas.jsonl", lines(ROWS).replace("}\n", "},\n"), "commas after them"),
        ("python.jsonl", "".join(f"{row!r}\n" for row in ROWS), "as Python writes them"),
        ("sets.csv", table([{**row, "label": {row["label"]}} for row in ROWS]), ""),
        ("choices.csv", table([{**row, "label": json.dumps({"choices": [row["label"]]})} for row in ROWS]), ""),
        ("choices.jsonl", lines([{**row, "label": {"choices": [row["label"]]}} for row in ROWS]), ""),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 16 else "",
)
@pytest.mark.parametrize("block", [2**23, 40])
def test_the_same_rows(
    tmp_path: Path, name: str, content: bytes | str, remark: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.readers.encodings.BLOCK", block)
    found, remarks = read(put(tmp_path, name, content))
    assert found == ALL
    assert any(remark in text for text in remarks) if remark else not remarks, remarks


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
    found = [(e.id, (e.fields or {})["text"]) for e in Reader(str(tasks), make_task(config), config).examples()]
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
    reader = Reader(str(file), make_task(config), config)
    (example,) = reader.examples()
    assert example.id == id_of_content(example.fields or {}) and example.target == (
        '"x"' if "were read" in said else None
    )
    (remark,) = reader.remarks
    assert remark.endswith(f": {said}.")
    with_id = put(tmp_path, "q.json", json.dumps([{"id": 5, **row}]))
    assert [one.id for one in Reader(str(with_id), make_task(config), config).examples()] == ["5"]


def test_a_task_of_label_studio_with_entities_and_no_id(tmp_path: Path) -> None:
    file = str(put(tmp_path, "p.json", json.dumps([{"data": {"text": "Ada"}, "annotations": []}])))
    config = RunConfig(task="ner", data=file)
    (example,) = Reader(file, make_task(config), config).examples()
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
        found = list(Reader(file, make_task(config), config).examples())
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


def test_a_broken_formula_is_no_label(tmp_path: Path) -> None:
    rows = [{**row, "label": "#N/A" if i == 1 else row["label"]} for i, row in enumerate(ROWS)]
    assert [label for _, label in read(put(tmp_path, "p.csv", table(rows)))[0]] == ["bad", None, "bad", "good"]


def test_objects_by_their_ids_keep_these(tmp_path: Path) -> None:
    file = str(put(tmp_path, "p.json", json.dumps({f"t{i}": row for i, row in enumerate(PLAIN)})))
    config = RunConfig(task="classification", data=file)
    assert [example.id for example in Reader(file, make_task(config), config).examples()] == ["t0", "t1", "t2", "t3"]


@pytest.mark.parametrize(("ids", "said"), [("abcd", True), ("aabb", False)])
@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_column_whose_values_repeat_is_not_proposed_as_the_ids(
    tmp_path: Path, name: str, ids: str, said: bool
) -> None:
    rows = [{"ID": id, **row} for id, row in zip(ids, ROWS, strict=True)]
    file = str(put(tmp_path, name, table(rows) if name == "p.csv" else lines(rows)))
    config = RunConfig(task="classification", data=file)
    reader = Reader(file, make_task(config), config)
    assert len(list(reader.examples())) == len(ROWS)
    told = ["--id-column ID takes 'ID' for it, if these are ids" in remark for remark in reader.remarks]
    assert told == [True] * said


@pytest.mark.parametrize("ids", [["7", "3", "9", "4"], ["a0", "a1", "a2", "a3"]])
@pytest.mark.parametrize("orient", ["columns", "index", "split"])
@pytest.mark.parametrize("columns", [["text", "label"], ["text"]])
def test_an_index_of_pandas_is_the_ids_or_can_be(
    tmp_path: Path, ids: list[str], orient: Any, columns: list[str]
) -> None:
    file = str(put(tmp_path, "p.json", pd.DataFrame(ROWS, index=ids)[columns].to_json(orient=orient)))
    config = RunConfig(task="classification", data=file)
    reader = Reader(file, make_task(config), config)
    found = list(reader.examples())
    named = ids[0] == "a0" and orient != "split"
    if not named:  # what runs that are under way know these rows by
        assert [example.id for example in found] == [id_of_content(example.fields or {}) for example in found]
        told = config.model_copy(update={"id_column": "index"})
        found = list(Reader(file, make_task(told), told).examples())
    assert [(example.id, (example.fields or {})["text"]) for example in found] == list(zip(ids, TEXTS, strict=True))
    assert ("its index was taken for it" if named else "--id-column index takes") in reader.remarks[0]
    plain = str(put(tmp_path, "q.json", pd.DataFrame(ROWS)[columns].to_json(orient=orient)))
    assert Reader(plain, make_task(config), config.model_copy(update={"data": plain})).opened.columns == columns


def test_an_index_that_repeats_or_is_called_like_a_column_hides_nothing(tmp_path: Path) -> None:
    joined = pd.concat([pd.DataFrame(ROWS[:2]), pd.DataFrame(ROWS[2:])])
    several = pd.DataFrame(ROWS, index=pd.MultiIndex.from_product([["u", "v"], [1, 2]]))
    named = pd.DataFrame(ROWS, index=["text", "id", "c", "d"])
    given = {
        "joined": joined.to_json(orient="split"),
        "several": several.to_json(orient="split"),
        "named": named.to_json(orient="index"),
        "blank": json.dumps([{**row, "text ": "x"} for row in ROWS]),
    }
    for name, content in given.items():
        file = str(put(tmp_path, f"{name}.json", content))
        config = RunConfig(task="classification", data=file)
        found = list(Reader(file, make_task(config), config).examples())
        assert [(example.fields or {})["text"] for example in found] == TEXTS, name
        assert len({example.id for example in found}) == 4, name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", json.dumps(ROWS)),
        ("p.json", json.dumps({"text": TEXTS})),
        ("p.json", json.dumps({"data": {"text": TEXTS}})),
    ],
)
def test_json_of_further_forms(tmp_path: Path, name: str, content: str) -> None:
    file = str(put(tmp_path, name, content))
    config = RunConfig(task="classification", data=file)
    assert [(e.fields or {})["text"] for e in Reader(file, make_task(config), config).examples()] == TEXTS


@pytest.mark.parametrize("first", [True, False])
def test_a_damaged_byte_in_utf_8_is_named_wherever_it_is(tmp_path: Path, first: bool) -> None:
    rows = [f"größer {i},good\n".encode() for i in range(8)]
    rows.insert(0 if first else 5, b"gr\xf6\xdfer,good\n")
    file = put(tmp_path, "p.csv", b"text,label\n" + b"".join(rows))
    assert f"line {2 if first else 7} is not UTF-8" in complaint(file)
    with pytest.raises(UserError, match="is not UTF-8"):
        decode(file.read_bytes())
    korean = "text,label\n" + "".join(
        f"{text} {i},good\n" for i in range(4) for text in ("죄송합니다", "배송이 늦어요")
    )
    assert len(read(put(tmp_path, "k.csv", korean.encode("cp949")))[0]) == 8
    joined = "text,label\n" + "".join(f"été {i},good\n" for i in range(100))
    both = joined.encode() + "".join(f"été {i},bad\n" for i in range(100)).encode("cp1252")
    assert "line 102 is not UTF-8" in complaint(put(tmp_path, "both.csv", both))


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("p.csv", gzip.compress(table(ROWS)), "is a gzip file, whatever its ending says"),
        ("p.csv", b"PK\x03\x04\x00\x00", "is a workbook or an archive"),
        ("p.jsonl", b"PAR1\x00\x00", "is a parquet file"),
        ("p.parquet", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("p.csv", b"\n<!doctype html>\n<html>", "is a web page"),
        ("p.csv", b"# made in 2024\n" + table(ROWS), "has it a header?"),
        ("p.csv", 'text, label\n"a", "b, c"\n', "take out the blanks before its quotation marks"),
        ("p.csv", 'text,label\n"he said \\"no\\"",b\n', "a backslash will not do"),
        ("p.csv", table([{**ROWS[0], "label": '{"name": "good"}'}]), "holds an object where a label is expected"),
        ("p.jsonl", json.dumps(ROWS[0], indent=1), "put each object on one line"),
    ],
)
def test_what_is_refused_is_called_what_it_is(tmp_path: Path, name: str, content: bytes | str, wrong: str) -> None:
    assert wrong in complaint(put(tmp_path, name, content))


def test_a_carriage_return_ends_lines_only_of_a_file_without_line_feeds_so_far() -> None:
    assert list(unix_ends([b"a\rb", b"c\rd\n", b"e\rf"])) == [b"a\nb", b"c\rd\n", b"e\rf"]


CELLS = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(rows=[("\r", "")], separator=",", block=3, end="\n")
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    block=st.sampled_from([3, 40, 2**23]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_every_table_that_a_writer_quotes_is_read_back(
    tmp_path: Path, rows: list[tuple[str, str]], separator: str, block: int, end: str
) -> None:
    import csv
    import io

    from dal_nlp.readers import encodings
    from dal_nlp.readers.reading import Reading
    from dal_nlp.readers.sources import read_rows

    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [("text", "label"), *rows]
    )
    file = put(tmp_path, "p.csv", buffer.getvalue())
    before, encodings.BLOCK = encodings.BLOCK, block
    try:
        found = [(row["text"], row["label"]) for _, row in read_rows(str(file), Reading(needed=("text", "label")))]
    except UserError as error:
        assert "swallowed" in str(error)
        return
    finally:
        encodings.BLOCK = before
    assert found == rows


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
