"""Marked parts of texts in files: which name holds the label, and what places count."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.errors import UserError
from tests import tiny
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
    ],
)
def test_the_words_themselves_are_not_the_label(tmp_path: Path, part: dict[str, Any]) -> None:
    row = {"text": ROME, "entities": [{"start": 0, "end": 3, **part}]}
    assert of(tmp_path, row)[0] == [[(0, 1, "PER")]]


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
