"""Language models that list the entities of a text: behind an endpoint, and on this machine."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers.decoders import ByteLevel

from dal_nlp import RunConfig
from dal_nlp.core.config import LanguageModelSection
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.readers.entities.tags import decode_tags
from dal_nlp.signals.base import LabelSet, MachineAnswer, Making
from dal_nlp.span_witnesses.entities import entity_columns, located
from dal_nlp.span_witnesses.entity_lists import EntityEndpoint, EntityWriter, answer_in, listed_in, read_list
from dal_nlp.span_witnesses.writing import Writer
from dal_nlp.tasks.questions.heard import PLACES
from dal_nlp.workflows.show_signals import show_signals
from tests import tiny, tiny_entities, tiny_summaries
from tests.listening import Listening
from tests.signals.server import Answer, reply, serve
from tests.signals.test_language_model import save
from tests.span_witnesses.test_entities import given, run
from tests.span_witnesses.test_entities import model as model

LABELS = LabelSet(["PER", "LOC"], {}, {"PER": "person", "LOC": "place"})
EXAMPLE = {"text": "New York saw Ada in New York, said Ada-Lee", "starts": [0, 4, 9, 13, 17, 20, 24, 28, 30, 35]}
EXAMPLE["ends"] = [3, 8, 12, 16, 19, 23, 28, 29, 34, 42]


@pytest.mark.parametrize(
    ("said", "listed"),
    [
        ("person: Ada\nplace: New York", [("PER", "Ada"), ("LOC", "New York")]),
        ("- **Person**: \"Ada\"\n\n* LOC: 'New York'\n", [("PER", "Ada"), ("LOC", "New York")]),
        ("Here they are:\nperson: Ada", [("PER", "Ada")]),
        ("animal: cat\nperson: none\nplace: York: the old one", [("LOC", "York: the old one")]),
        ("person: Ada Lovelace place: New York", [("PER", "Ada Lovelace"), ("LOC", "New York")]),
        ("LOC: Paris; **person**: Ada, - place: York", [("LOC", "Paris"), ("PER", "Ada"), ("LOC", "York")]),
        ("person: Ada, who saw a place near York", [("PER", "Ada, who saw a place near York")]),
        ("person: none; place: none", []),
        ("none", []),
        ("person: none\nplace: None.", []),
        ("I cannot tell.", None),
        ("animal: cat", None),
        ("", None),
    ],
)
def test_what_a_reply_lists(said: str, listed: list[tuple[str, str]] | None) -> None:
    assert read_list(said, LABELS) == listed


def test_a_label_whose_end_is_another_label_is_not_parted() -> None:
    labels = LabelSet(["work", "creative-work", "art"])
    listed = [("creative-work", "Emma"), ("creative-work", "Dune"), ("work", "Mill")]
    assert read_list("creative work: Emma; creative work: Dune work: Mill", labels) == listed


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


def right_list(row: dict[str, Any]) -> str:
    """The entities of a row as a machine lists them."""
    runs, words = decode_tags(row["ner_tags"]).runs, row["tokens"]
    return "\n".join(f"{run.label}: {' '.join(words[run.first : run.last])}" for run in runs) or "none"


@pytest.mark.long
def test_a_run_hears_lists_of_an_endpoint_and_asks_nothing_twice(tmp_path: Path, model: str) -> None:
    rows = [*tiny_entities.tagged(40), *tiny_entities.tagged(20, seed=1)]
    texts = {" ".join(row["tokens"]): right_list(row) for row in rows}

    def answer(body: dict[str, Any], n: int) -> Answer:
        return reply(texts[body["messages"][0]["content"].partition("Text: ")[2]])

    with serve(answer) as (url, asked):
        for name in ("one", "two"):
            result = run(tmp_path, model, "llm:small", llm={"url": url}, out=str(tmp_path / name), rounds=0)
            assert result.curve[0]["start"]["values"]["f1"] > 0.8
        assert len(asked) == len(texts)
    assert {place for _, place in read_state(tmp_path / "one").signals} == {"pool", "test"}


@pytest.mark.parametrize("kind", ["seq2seq", "causal", "chat"])
def test_a_model_on_this_machine_is_asked_as_an_endpoint_is_and_what_is_no_list_or_cut_is_counted(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EntityWriter, "most", 6)
    llm = LanguageModelSection(prompt="{text} {labels}")
    writer = EntityWriter(Making(save(tmp_path / "model", kind), {}, LABELS, llm))
    tokenizer, model, _ = writer._loaded
    model.generation_config.suppress_tokens = tokenizer.all_special_ids  # it never ends
    shown = EntityEndpoint(
        Making("small", {}, LABELS, LanguageModelSection(url="http://127.0.0.1:9", prompt=llm.prompt))
    )
    assert writer.shown("good film").startswith(shown.shown("good film"))
    one, two = writer.answers(["good film", "a dull plot of a very good film"], ["1", "2"])
    assert one.log_probs is None and listed_in(one.raw) == [] and json.loads(one.raw)["reply"]
    assert one.tokens_in < two.tokens_in
    assert writer.remarks() == [
        "2 lists were cut at 6 tokens.",
        f"2 answers of {tmp_path / 'model'} were no list of entities.",
    ]


@pytest.mark.parametrize(("lines", "asked"), [(True, "one in a line, as label"), (False, "with ; between them")])
def test_a_model_whose_tokens_know_no_line_end_is_asked_for_a_list_in_one_line(
    tmp_path: Path, lines: bool, asked: str
) -> None:
    folder = Path(tiny_summaries.save_writer(tmp_path / "model"))
    if lines:
        tokenizer = tiny.characters("bytes")
        tokenizer.backend_tokenizer.decoder = ByteLevel()
        tokenizer.save_pretrained(folder)
    assert asked in EntityWriter(Making(str(folder), {}, LABELS)).shown("Ada")


def test_a_list_that_a_model_on_this_machine_writes_is_read_to_its_end(tmp_path: Path) -> None:
    writer = EntityWriter(Making(tiny_summaries.save_writer(tmp_path / "model"), {}, LABELS))
    writer.__dict__["_loaded"] = (
        type("Letters", (), {"decode": lambda me, ids, skip_special_tokens: "".join(ids)})(),
        0,
        0,
    )
    log_p, raw = writer.read(["person: ", "Ada", "\n", "place: ", "York"], [-1.0] * 5, set())  # type: ignore[list-item]
    assert log_p == pytest.approx(np.log(0.8)) and listed_in(raw) == [("PER", "Ada"), ("LOC", "York")]


@pytest.mark.long
def test_a_run_hears_lists_of_a_model_on_this_machine_and_going_on_asks_nothing_twice(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*tiny_entities.tagged(40), *tiny_entities.tagged(20, seed=1)]
    texts = {" ".join(row["tokens"]): right_list(row) for row in rows}
    folder, asked = tiny_summaries.save_writer(tmp_path / "writer"), list[str]()

    def write(me: Writer, prompts: list[str]) -> list[tuple[float | None, str]]:
        own = [prompt.partition("Text: ")[2].partition("\n\nAnswer:")[0] for prompt in prompts]
        asked.extend(own)
        return [answer_in(texts[text], LabelSet(["bad", "good"])) for text in own]

    monkeypatch.setattr(Writer, "_write", write)
    curves = []
    for name, steps in (("one", [1]), ("two", [0, 1])):
        for rounds in steps:
            result = run(tmp_path, model, f"llm:{folder}", rounds=rounds, out=str(tmp_path / name))
        curves.append([(point["values"], point["learner"]) for point in result.curve])
    assert curves[0] == curves[1] and result.curve[0]["start"]["values"]["f1"] > 0.8
    assert sorted(asked) == sorted(texts)
    assert {place for _, place in read_state(tmp_path / "one").signals} == {"pool", "test"}


@pytest.mark.long
def test_what_lists_of_a_model_on_this_machine_would_take_is_said_before(tmp_path: Path, model: str) -> None:
    folder = tiny_summaries.save_writer(tmp_path / "writer")
    config = RunConfig.load(flags={**given(tmp_path, model), "signals": [f"llm:{folder}"]})
    (preview,) = show_signals(config, Silent())
    assert preview.seconds is not None and "for 1,000 texts" in preview.lines()[0]
    assert "List each bad or good that the text names" in preview.question
