"""Marked parts of texts in files: which name holds the label, and what places count."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.errors import UserError
from tests import tiny, tiny_entities
from tests.tasks.entities.test_rows import read

ROME = "Ada lives in Rome"


def of(tmp_path: Path, *rows: dict[str, Any]) -> tuple[list[Any], list[str]]:
    found, remarks, _ = read(Path(tiny.write(tmp_path / "a.jsonl", list(rows))))
    return [runs for _, runs in found], remarks


@pytest.mark.parametrize(
    "part",
    [
        {"entity": "Ada", "category": "PER"},
        {"entity": "Ada", "type": "PER"},
        {"type": "PER", "tag": "PER"},
        {"label": "PER", "type": "person", "entity": "Ada"},
        {"entity": "PER", "value": "Ada"},
        {"entity": "ADA", "type": "PER"},
        {"entity": "Ada", "entity_type": "PER"},
        {"entity": "Ada", "class": "PER"},
        {"entity": "Ada", "value": "PER"},
        {"entity": "Ada", "word": "Ada", "entity_type": "PER"},
        {"type": "PER", "class": "human"},
    ],
)
def test_the_words_themselves_are_not_the_label(tmp_path: Path, part: dict[str, Any]) -> None:
    row = {"text": ROME, "entities": [{"start": 0, "end": 3, **part}]}
    assert of(tmp_path, row)[0] == [[(0, 1, "PER")]]


def test_a_label_may_be_the_word_that_it_marks(tmp_path: Path) -> None:
    part = {"start": 6, "end": 10, "entity": "city", "value": "city"}
    assert of(tmp_path, {"text": "which city", "entities": [part]})[0] == [[(1, 2, "city")]]
    del part["value"]
    with pytest.raises(UserError, match="at 6 to 10 whose 'entity' is its words 'city': call what is its label"):
        of(tmp_path, {"text": "which city", "entities": [part]})


def test_two_labels_of_a_part_are_refused_and_named(tmp_path: Path) -> None:
    row = {"text": ROME, "entities": [{"type": "entity", "entity": "PER", "start": 0, "end": 3}]}
    with pytest.raises(UserError, match="'entity' for 'type' and 'PER' for 'entity': call the one that is its label"):
        of(tmp_path, row)


def test_numbers_in_quotes_are_places(tmp_path: Path) -> None:
    assert of(tmp_path, {"text": ROME, "spans": [["0", "3", "PER"]]})[0] == [[(0, 1, "PER")]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            {"text": ROME, "spans": [[0, 3, "PER", "Q1"]]},
            r"has \"\[0, 3, 'PER', 'Q1'\]\" for a marked part: give start",
        ),
        ({"text": ROME, "spans": [[0, 3, "PER"], [0, 3, "PER"]]}, r"'Ada' \(PER\) is marked twice: keep one of them"),
        ({"tokens": ROME.split(), "entities": [[0, 1, "PER"]]}, "if these count words, give tags in their place"),
        (
            {"text": f"🙂 {ROME}", "spans": [[3, 6, "PER"]]},
            "counted in UTF-16, as JavaScript and Java count, the places",
        ),
        (
            {"text": f"Hi\r\n{ROME}", "spans": [[3, 6, "PER"]]},
            r"fit where a line end is one character, and here it is two",
        ),
    ],
)
def test_parts_that_fit_no_text_are_refused_with_the_likely_cause(
    tmp_path: Path, row: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        of(tmp_path, row)


def places(remarks: list[str]) -> list[str]:
    return [remark for remark in remarks if remark.startswith("Places")]


def test_what_places_were_taken_to_count_is_said_where_it_could_be_something_else(tmp_path: Path) -> None:
    parts = [{"start": 0, "end": 1, "label": "PER"}, {"start": 2, "end": 3, "label": "LOC"}]
    found, remarks = of(tmp_path, {"tokens": ["I", "a", "b", "c"], "entities": parts})
    assert found == [[(0, 1, "PER"), (1, 2, "LOC")]]
    assert "characters of the words with a blank between, in 1 text" in places(remarks)[0]
    place, text = {"start": 4, "end": 6, "label": "LOC"}, "😀我在北京工作"
    found, remarks = of(tmp_path, {"text": text, "spans": [place]})
    assert found == [[(4, 6, "LOC")]] and "characters in 1 text with signs such as emoji" in places(remarks)[0]
    assert not places(of(tmp_path, {"text": text, "spans": [{**place, "text": "北京"}]})[1])
    assert not places(of(tmp_path, {"text": f"{ROME} 😀", "spans": [[0, 3, "PER"]]})[1])


@pytest.mark.parametrize("labels", [["B-PER", "I-PER"], ["B-LOC", "B-PER"], ["B-PER", "B-PER"], ["I-PER", "X"]])
def test_tags_of_a_pipeline_are_no_labels_of_marked_parts(labels: list[str]) -> None:
    parts = [{"start": 0, "end": 3, "entity": labels[0]}, {"start": 4, "end": 9, "entity": labels[1]}]
    target = tiny_entities.ner_task(labels=()).read_target({"tokens": ROME, "ner_tags": parts})
    with pytest.raises(UserError, match=f"'{labels[0]}' of marked parts looks like a tag: mark whole entities"):
        tiny_entities.ner_task(labels=()).learn_labels([target])


def test_one_label_may_begin_as_a_tag_does() -> None:
    task = tiny_entities.ner_task(labels=())
    cells = [[0, 3, "B-cell"]], [[0, 3, "T-cell"]]
    task.learn_labels([task.read_target({"tokens": ROME, "ner_tags": cell}) for cell in cells])
    assert task.labels == ["B-cell", "T-cell"]
    alone = tiny_entities.ner_task(labels=())
    alone.learn_labels([alone.read_target({"tokens": ROME, "ner_tags": cells[0]})])
    assert alone.labels == ["B-cell"]


@pytest.mark.parametrize(
    ("text", "tags", "words"),
    [
        ("Ada doesn't go", "B-PER O O", ["Ada", "doesn't", "go"]),
        ("Ada is e-mail", ["B-PER", "O", "O"], ["Ada", "is", "e-mail"]),
        ("Ada is mail", "PER O O", ["Ada", "is", "mail"]),
        ("Ada isn't mail", "PER O O", ["Ada", "isn't", "mail"]),
        ("Ada isn't", "B-PER O O O", ["Ada", "isn", "'", "t"]),
    ],
)
def test_tags_say_which_words_a_text_has(tmp_path: Path, text: str, tags: Any, words: list[str]) -> None:
    source = tiny.write(tmp_path / "a.jsonl", [{"text": text, "tags": tags}])
    assert read(Path(source))[0] == [(words, [(0, 1, "PER")])]


def test_the_words_of_prodigy_are_the_words(tmp_path: Path) -> None:
    places = [("He", 0, 2), ("ran", 3, 6), ("5", 7, 8), ("km", 8, 10)]
    tokens = [{"text": word, "start": start, "end": end, "id": i} for i, (word, start, end) in enumerate(places)]
    row = {"text": "He ran 5km", "tokens": tokens, "spans": [[7, 8, "NUM"]], "answer": "accept"}
    found, remarks, _ = read(Path(tiny.write(tmp_path / "a.jsonl", [row])))
    assert found == [(["He", "ran", "5", "km"], [(2, 3, "NUM")])]
    assert not any("rejected" in remark for remark in remarks)
    remarks = read(Path(tiny.write(tmp_path / "a.jsonl", [row, {**row, "answer": "reject"}])))[1]
    assert "rejected or ignored were read as unlabeled" in remarks[-1]


def test_an_empty_column_beside_the_filled_one_is_not_that_of_the_answers(tmp_path: Path) -> None:
    rows = [{"text": ROME, "spans": [], "entities": []}, {"text": f"{ROME}!", "spans": [[0, 3, "PER"]], "entities": []}]
    found, remarks = of(tmp_path, *rows)
    assert found == [[], [(0, 1, "PER")]] and any("'spans' was read for it" in remark for remark in remarks)
    assert of(tmp_path, {"text": ROME, "spans": [], "entities": []})[0] == [[]]
