"""Settings that the task of entities does not have, and answers that are none."""

from typing import Any

import pytest

from dal_nlp import RunConfig, UserError
from dal_nlp.tasks import make_task


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"data": None}, "no demonstration: give --data"),
        ({"text_column": ["a", "b"]}, "--text-column wants one column"),
        ({"labels": ["person", "person"]}, "each label of entities once"),
        ({"descriptions": {"person": "A name."}}, "entities are not found by them"),
    ],
)
def test_settings_of_other_tasks_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        make_task(RunConfig(**{"task": "ner", "data": "a.jsonl", "labels": ["person"], **settings}))


def test_an_answer_is_checked_against_the_words_of_its_text() -> None:
    task: Any = make_task(RunConfig(task="ner", data="a.jsonl", labels=["person", "place"]))
    fields = task.fields({"tokens": ["Ada", "lives", "here"]})
    answer = task.target(["B-person", "O", "O"], fields)
    task.check(answer, fields)
    for wrong, reason in (
        ({"tags": ["O"]}, "is no answer about the 3 words"),
        ({"tags": [1, 2, 3]}, "is no answer about the 3 words"),
        ("B-person", "is no answer about the 3 words"),
        ({**answer, "tags": ["B-persn", "O", "O"]}, "'persn' .*'person'.* is not among person, place"),
        ({**answer, "tags": ["O", "O", "O"]}, "do not say the same"),
    ):
        with pytest.raises(ValueError, match=reason):
            task.check(wrong, fields)
    with pytest.raises(UserError, match="cannot be used"):
        task.target(["B-person"], fields)
    task.labels = []
    with pytest.raises(UserError, match="shows no entity"):
        task.learn_labels([task.target(["O", "O", "O"], fields)])
