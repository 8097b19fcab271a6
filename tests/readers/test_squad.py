"""Nested SQuAD json -> one row a question, and a sentence with the place for every level that can be broken."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.readers.sources import read_rows

LAKE = "The lake froze in May. In May it thawed."
NESTED: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {
            "title": "Lakes",
            "paragraphs": [
                {
                    "context": LAKE,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "When did it freeze?",
                            "answers": [{"text": "May", "answer_start": 18}] * 2
                            + [{"text": "in May", "answer_start": 15}],
                            "is_impossible": False,
                        },
                        {
                            "id": "q2",
                            "question": "Who swam?",
                            "answers": [],
                            "is_impossible": True,
                            "plausible_answers": [{"text": "The lake", "answer_start": 0}],
                        },
                    ],
                },
                {"context": "A pond.", "qas": [{"id": "q3", "question": "What?", "answers": [{"text": "pond"}]}]},
            ],
        },
        {"title": "Empty", "paragraphs": []},
        {"paragraphs": [{"context": "A river.", "qas": [{"question": "Which?"}]}]},
    ],
}


def rows(tmp_path: Path, content: Any) -> list[tuple[int, dict[str, Any]]]:
    file = tmp_path / "squad.json"
    file.write_text(json.dumps(content))
    return list(read_rows(str(file)))


@pytest.mark.parametrize("content", [NESTED, NESTED["data"]], ids=["published", "bare list"])
def test_a_row_for_each_question(tmp_path: Path, content: Any) -> None:
    lake = {"title": "Lakes", "context": LAKE}
    assert rows(tmp_path, content) == [
        (
            1,
            {
                "id": "q1",
                **lake,
                "question": "When did it freeze?",
                "answers": {"text": ["May", "May", "in May"], "answer_start": [18, 18, 15]},
            },
        ),
        (2, {"id": "q2", **lake, "question": "Who swam?", "answers": {"text": [], "answer_start": []}}),
        (
            3,
            {
                "id": "q3",
                "title": "Lakes",
                "context": "A pond.",
                "question": "What?",
                "answers": {"text": ["pond"], "answer_start": [None]},
            },
        ),
        (4, {"title": None, "context": "A river.", "question": "Which?", "answers": None}),
    ]


def test_answers_of_an_impossible_question_are_no_answers(tmp_path: Path) -> None:
    content = copy.deepcopy(NESTED)
    content["data"][0]["paragraphs"][0]["qas"][1]["answers"] = [{"text": "The lake", "answer_start": 0}]
    assert rows(tmp_path, content)[1][1]["answers"] == {"text": [], "answer_start": []}


@pytest.mark.parametrize(
    "content",
    [
        [{"text": "a", "paragraphs": ["one", "two"]}],
        {"data": [{"text": "a", "paragraphs": [{"words": 3}]}, {"text": "b"}]},
        {"data": [{"text": "a", "paragraphs": "one"}]},
        {"data": [{"context": "A pond.", "qas": "one"}]},
    ],
)
def test_other_json_stays_as_it_is(tmp_path: Path, content: Any) -> None:
    flat = content["data"] if isinstance(content, dict) else content
    assert rows(tmp_path, content) == list(enumerate(flat, start=1))


GONE = object()
FIRST = "squad.json, article 1, paragraph 1"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["data", 2], 3, "squad.json, article 3 is no JSON object: write it as {"),
        (["data", 1, "paragraphs"], GONE, "squad.json, article 2 has no 'paragraphs': write it as {"),
        (["data", 1, "paragraphs"], {}, "squad.json, article 2 has no list under 'paragraphs': write"),
        (["data", 0, "paragraphs", 1], "A pond.", "squad.json, article 1, paragraph 2 is no JSON object"),
        (["data", 2, "paragraphs", 0, "context"], GONE, "article 3, paragraph 1 has no 'context': write it as {"),
        (["data", 0, "paragraphs", 0, "context"], None, f"{FIRST} has no text under 'context'"),
        (["data", 0, "paragraphs", 0, "qas"], GONE, f"{FIRST} has no 'qas': write it as {{"),
        (["data", 0, "paragraphs", 0, "qas"], {}, f"{FIRST} has no list under 'qas'"),
        (["data", 0, "paragraphs", 0, "qas", 1], [], f"{FIRST}, question 2 is no JSON object"),
        (["data", 0, "paragraphs", 0, "qas", 1, "question"], GONE, f"{FIRST}, question 2 has no 'question'"),
        (["data", 0, "paragraphs", 0, "qas", 1, "question"], 7, "question 2 has no text under 'question'"),
        (["data", 0, "paragraphs", 0, "qas", 0, "answers"], {}, "question 1 has no list under 'answers'"),
        (["data", 0, "paragraphs", 0, "qas", 0, "answers", 2], "May", "question 1, answer 3 is no JSON object"),
        (["data", 0, "paragraphs", 0, "qas", 0, "answers", 2, "text"], GONE, "question 1, answer 3 has no 'text'"),
    ],
)
def test_broken_nesting(tmp_path: Path, path: list[Any], value: Any, message: str) -> None:
    content = copy.deepcopy(NESTED)
    at = content
    for key in path[:-1]:
        at = at[key]
    if value is GONE:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    with pytest.raises(UserError) as caught:
        rows(tmp_path, content)
    assert message in str(caught.value)
    assert str(caught.value).endswith("}.")


@pytest.mark.parametrize(("only", "missing"), [({"context": "A pond."}, "qas"), ({"qas": []}, "context")])
def test_every_paragraph_may_lack_the_same(tmp_path: Path, only: dict[str, Any], missing: str) -> None:
    with pytest.raises(UserError, match=f"article 1, paragraph 1 has no '{missing}'"):
        rows(tmp_path, {"data": [{"title": "Ponds", "paragraphs": [only]}]})


def test_a_misspelt_key_is_named(tmp_path: Path) -> None:
    content = [{"paragraphs": [{"contxt": "A pond.", "qas": []}]}]
    with pytest.raises(UserError, match=r"paragraph 1 has no 'context' \(did you mean 'contxt'\?\): write it as"):
        rows(tmp_path, content)
