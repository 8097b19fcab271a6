"""Any callable as an oracle."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import Label, Query, RunConfig, Session, Skip, UserError
from tests import waiting_runs as asking


def run(folder: Path, answerer: Any, task: str = "sentiment", **changes: Any) -> Any:
    flags = {**asking.flags(task, folder), "oracle": None, **changes}
    return Session(RunConfig.load(flags=flags), oracle=answerer).run()


def test_a_function_answers_as_people_do(tmp_path: Path) -> None:
    asked: list[Query] = []

    def answer(query: Query) -> Any:
        asked.append(query)
        if query.round == 0:
            return [" POSITIVE", "negative", "unsure", Label(query.id, "negative")][len(asked) - 1]
        return None if len(asked) > 6 else Skip(query.id, "no film")

    result = run(tmp_path, answer)
    ids = [query.id for query in asked]
    assert result.labels == {ids[0]: "positive", ids[1]: "negative", ids[3]: "negative"}
    assert len(result.pending) == 2 and len(asked) == 8
    assert asked[0].suggestion is None and asked[0].why == "random, rank 1 of 4"
    suggestion = asked[4].suggestion
    assert suggestion is not None and suggestion["target"] in ("negative", "positive") and suggestion["round"] == 0
    assert result.remarks == ["Answers still missing: 2. The same command goes on once they are there."]


def test_answers_are_signed_with_the_name_of_the_function(tmp_path: Path) -> None:
    def expert(query: Query) -> Any:
        return Skip(query.id, "no film") if query.score is None else "positive"

    run(tmp_path, expert, rounds=0)
    signed = asking.events(tmp_path, "label")
    assert signed and all((event["by"], event["via"]) == ("expert", "python") for event in signed)
    assert all(event["at"].endswith("+00:00") for event in signed)


def test_answers_are_signed_with_the_class_of_an_object(tmp_path: Path) -> None:
    class Expert:
        def __call__(self, query: Query) -> Any:
            return "positive" if int(query.id[-1]) % 2 else "negative"

    run(tmp_path, Expert(), rounds=0)
    assert {event["by"] for event in asking.events(tmp_path, "label")} == {"Expert"}


def test_targets_of_other_tasks(tmp_path: Path) -> None:
    gold = asking.gold("qa")
    result = run(tmp_path, lambda query: gold[query.id], "qa", rounds=0)
    assert result.labels == {id: gold[id] for id in result.labels} and len(result.labels) == 4


@pytest.mark.parametrize(
    ("said", "part"), [("posit", "none of the labels"), (7, "not among"), (Label("x", "a"), "'x'")]
)
def test_nonsense_names_the_example(tmp_path: Path, said: Any, part: str) -> None:
    with pytest.raises(UserError, match=part):
        run(tmp_path, lambda query: said)
