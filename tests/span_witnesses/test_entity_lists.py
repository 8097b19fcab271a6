"""A language model behind an endpoint that lists the entities of a text."""

import json
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.core.config import LanguageModelSection
from dal_nlp.ledger.ledger import read_state
from dal_nlp.readers.entities.tags import decode_tags
from dal_nlp.signals.base import Labels, MachineAnswer, Making
from dal_nlp.span_witnesses.entities import entity_columns, located
from dal_nlp.span_witnesses.entity_lists import EntityEndpoint, listed_in, read_list
from dal_nlp.tasks.questions.heard import PLACES
from tests import tiny
from tests.signals.server import Answer, reply, serve
from tests.span_witnesses.test_entities import model as model
from tests.span_witnesses.test_entities import run
from tests.span_witnesses.test_runs import Listening

LABELS = Labels(["PER", "LOC"], {}, {"PER": "person", "LOC": "place"})
EXAMPLE = {"text": "New York saw Ada in New York, said Ada-Lee", "starts": [0, 4, 9, 13, 17, 20, 24, 28, 30, 35]}
EXAMPLE["ends"] = [3, 8, 12, 16, 19, 23, 28, 29, 34, 42]


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ("person: Ada\nplace: New York", [("PER", "Ada"), ("LOC", "New York")]),
        ("- **Person**: \"Ada\"\n\n* LOC: 'New York'\n", [("PER", "Ada"), ("LOC", "New York")]),
        ("Here they are:\nperson: Ada", [("PER", "Ada")]),
        ("animal: cat\nperson: none\nplace: York: the old one", [("LOC", "York: the old one")]),
        ("none", []),
        ("person: none\nplace: None.", []),
        ("I cannot tell.", None),
        ("animal: cat", None),
        ("", None),
    ],
)
def test_what_a_reply_lists(said: str, listed: list[tuple[str, str]] | None) -> None:
    assert read_list(said, LABELS) == listed


def test_entities_are_found_as_whole_words_everywhere_and_the_longer_one_first() -> None:
    runs, nowhere = located([("PER", "Ada"), ("LOC", "York"), ("LOC", "new york"), ("PER", "Bob")], EXAMPLE)
    assert [(run.first, run.last, run.label) for run in runs] == [(0, 2, "LOC"), (3, 4, "PER"), (5, 7, "LOC")]
    assert nowhere == 2  # York stands in New York alone, Bob nowhere; the Ada of Ada-Lee is a part of a word


def test_what_has_no_place_is_counted(tmp_path: Path) -> None:
    seen = Listening()
    raw = json.dumps({"reply": "...", "listed": [["PER", "Ada"], ["PER", "Bob"]]})
    found = entity_columns(["LOC", "PER"], [EXAMPLE], {"llm:small": [MachineAnswer((-0.2,), raw)]}, seen)
    assert found[PLACES][0][0] == ["", "", "", "B-PER", "", "", "", "", "", ""]
    assert any(
        "llm:small: listed entities without a place of their own in their texts: 1." in line for line in seen.said
    )


def test_a_list_that_was_cut_is_counted() -> None:
    choice = {"message": {"content": "person: Ada"}, "finish_reason": "length"}
    with serve(lambda body, n: (200, {}, json.dumps({"choices": [choice]}).encode())) as (url, _):
        signal = EntityEndpoint(Making("small", {}, LABELS, LanguageModelSection(url=url)))
        assert len(list(signal.answers(["Ada"], ["1"]))) == 1
    assert signal.remarks() == ["1 answer of small was cut at 300 tokens."]


def test_what_a_file_says_is_no_reply_of_an_endpoint_however_odd_it_is() -> None:
    for raw in ('[{"start": 0}]', "[" * 5000 + "]" * 5000, '{"listed": 3}', "Ada", "1" * 5000):
        assert listed_in(raw) is None
    assert listed_in(json.dumps({"reply": "cannot", "listed": None})) == []


def test_an_endpoint_is_asked_for_lists() -> None:
    said = iter([reply("person: Ada"), reply("Sorry."), (503, {}, b"")])
    with serve(lambda body, n: next(said)) as (url, asked):
        llm = LanguageModelSection(url=url, parallel=1, tries=1, price_in=100)
        signal = EntityEndpoint(Making("small", {}, LABELS, llm))
        one, two, three = signal.answers(["Ada", "Bob", "Cid"], ["1", "2", "3"])
    assert json.loads(one.raw) == {"reply": "person: Ada", "listed": [["PER", "Ada"]]} and one.log_probs is not None
    assert one.cost == pytest.approx(0.001)
    assert two.log_probs is None and two.asked and not three.asked
    assert signal.remarks()[1] == "1 answer of small was no list of entities."
    assert "List each person or place" in asked[0]["messages"][0]["content"]
    assert asked[0]["messages"][0]["content"].endswith("Text: Ada")


def test_a_run_hears_lists_of_an_endpoint_and_asks_nothing_twice(tmp_path: Path, model: str) -> None:
    rows = [*tiny.tagged(40), *tiny.tagged(20, seed=1)]
    texts = {" ".join(row["tokens"]): row for row in rows}

    def answer(body: dict[str, Any], n: int) -> Answer:
        row = texts[body["messages"][0]["content"].partition("Text: ")[2]]
        runs, words = decode_tags(row["ner_tags"]).runs, row["tokens"]
        return reply("\n".join(f"{run.label}: {' '.join(words[run.first : run.last])}" for run in runs) or "none")

    with serve(answer) as (url, asked):
        for name in ("one", "two"):
            result = run(tmp_path, model, "llm:small", llm={"url": url}, out=str(tmp_path / name), rounds=0)
            assert result.curve[0]["start"]["values"]["f1"] > 0.8
        assert len(asked) == len(texts)
    assert {place for _, place in read_state(tmp_path / "one").signals} == {"pool", "test"}
