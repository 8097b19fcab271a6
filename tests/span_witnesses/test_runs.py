"""Runs on questions with machines as witnesses."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from torch import nn

from dal_nlp import Session, UserError
from dal_nlp.learners.learner import NOTE, FullLearner
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.trainer import Fit
from dal_nlp.session.result import Result
from dal_nlp.signals.base import LabelSet, Making
from dal_nlp.span_witnesses.learner import SpanWitnessLearner
from dal_nlp.span_witnesses.sources import AnswerWriter, SpanFile, first_line
from dal_nlp.span_witnesses.weights import MACHINES, READERS
from dal_nlp.tasks.qa import THRESHOLD
from dal_nlp.tasks.questions import heard
from dal_nlp.tasks.questions.heard import Question
from dal_nlp.workflows import predict as prediction
from dal_nlp.workflows.predict import predict
from tests import tiny, tiny_summaries
from tests.listening import Listening
from tests.session.test_qa_run import model as model
from tests.session.test_qa_run import settings
from tests.tiny import write


def answers(folder: Path, right: bool = True) -> str:
    """A file with the answer to every question of pool and test set, or with the last word of its context."""
    rows = [*tiny.questions(40), *tiny.questions(15, seed=1)]
    said = [row["answers"]["text"][0] if right else str(row["context"]).split()[-1] for row in rows]  # type: ignore[index]
    table = [{"id": row["id"], "answer": text, "confidence": 0.9} for row, text in zip(rows, said, strict=True)]
    return f"file:{write(folder / f'answers-{right}.jsonl', table)}"


def run(folder: Path, model: str, *signals: str, progress: Any = None, **changes: Any) -> Result:
    changed = {"cache": str(folder / "cache"), "signals": list(signals), "keep_witness": True, **changes}
    return Session(settings(folder, model, **changed), progress=progress).run()


@pytest.mark.long
def test_a_run_knows_from_the_start_what_a_machine_knows(tmp_path: Path, model: str) -> None:
    without = run(tmp_path, model, signals=[], out=str(tmp_path / "without"), keep_witness=False)
    result = run(tmp_path, model, answers(tmp_path))
    (first, last), alone = result.curve, without.curve[-1]["values"]["f1"]
    assert first["start"]["values"]["f1"] > 0.9 and last["values"]["f1"] > 0.9
    assert last["beside"]["people"]["values"]["f1"] == pytest.approx(alone, abs=0.2) and alone < 0.7
    assert last["learner"]["judged"] > 0 and not last["learner"]["off"]
    page = (result.folder / "report.html").read_text()
    assert last["learner"]["answers"] == MACHINES and last["learner"]["reader"] == min(READERS)
    assert "own scores count 0.0156 times, as machines alone answer" in page
    assert "answered 40 texts of the pool" in page and "Its weight in the last fit is" in page


@pytest.mark.long
def test_the_reader_alone_hears_nothing_in_the_first_round_and_after_a_pause_either(tmp_path: Path, model: str) -> None:
    signal = answers(tmp_path)
    for rounds in (0, 1):  # the second start loads the reader of a checkpoint that was saved with its machines
        point = run(tmp_path, model, signal, rounds=rounds, initial=10).curve[-1]
        assert point["values"]["f1"] > 0.9 and point["beside"]["people"]["values"]["f1"] < 0.7


def test_without_keep_witness_the_model_is_the_reader_alone_and_that_is_said(tmp_path: Path, model: str) -> None:
    seen = Listening()
    result = run(tmp_path, model, answers(tmp_path), progress=seen, keep_witness=False)
    assert result.curve[-1]["values"]["f1"] < 0.7
    assert any("does not know what machines answer" in note for note in read_state(result.folder).notes)
    guesses = [one["target"]["text"] for one in read_state(result.folder).queries[1].predictions]
    truth = [result.labels[id]["text"] for id in read_state(result.folder).queries[1].ids]
    assert np.mean([a == b for a, b in zip(guesses, truth, strict=True)]) > 0.7  # what chooses has heard


def test_a_machine_that_is_wrong_loses_its_weight(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, answers(tmp_path, right=False), initial=20)
    (weight,) = result.curve[-1]["learner"]["signals"].values()
    assert weight < 0.5


@pytest.mark.long
def test_going_on_gives_what_one_run_gives_and_asks_nothing_twice(tmp_path: Path, model: str) -> None:
    signal, curves = answers(tmp_path), []
    for name, steps in (("one", [2]), ("two", [1, 2])):
        for rounds in steps:
            result = run(tmp_path, model, signal, out=str(tmp_path / name), rounds=rounds)
        curves.append([(point["values"], point["learner"]) for point in result.curve])
        lines = (result.folder / "ledger.jsonl").read_text().splitlines()
        asked = [event for event in map(json.loads, lines) if event.get("event") == "signal"]
        assert sum(len(event["answers"]) for event in asked) == 55
    assert curves[0] == curves[1]


def test_answers_that_are_not_in_their_context_are_counted(tmp_path: Path, model: str) -> None:
    few = tiny.questions(40)[:5]
    rows = [{"id": row["id"], "answer": "nowhere to be found"} for row in few[:3]]
    rows += [{"id": row["id"], "answer": f"x {row['answers']['text'][0]}"} for row in few[3:]]  # type: ignore[index]
    seen = Listening()
    run(tmp_path, model, f"file:{write(tmp_path / 'few.jsonl', rows)}", progress=seen)
    assert any("3 answers to questions are not in their context" in line for line in seen.said)
    assert any("2 answers to questions are not word for word in their context" in line for line in seen.said)
    assert any("has no answer to 35 texts of the pool" in line for line in seen.said)


@pytest.mark.long
def test_a_reader_and_a_language_model_are_machines_too(tmp_path: Path, model: str) -> None:
    writer = tiny_summaries.save_writer(tmp_path / "writer")
    result = run(tmp_path, model, f"model:{model}", f"llm:{writer}", rounds=0, budget=6)
    assert len(result.curve[0]["learner"]["signals"]) == 2
    said = read_state(result.folder).signals
    assert {place for _, place in said} == {"pool", "test"} and all(len(one) > 10 for one in said.values())


@pytest.mark.long
def test_prediction_asks_the_machines_of_a_run_that_keeps_them(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, answers(tmp_path))
    rows = list(predict(result.folder, str(tmp_path / "test.jsonl")))
    truth = {row["id"]: row["answers"]["text"] for row in tiny.questions(15, seed=1)}  # type: ignore[index]
    assert np.mean([row.answer is not None and row.answer.target["text"] == truth[row.id] for row in rows]) > 0.9
    alone = list(predict(result.folder, str(tmp_path / "test.jsonl"), keep_witness=False))
    assert np.mean([row.answer is not None and row.answer.target["text"] == truth[row.id] for row in alone]) < 0.7
    note = json.loads((result.folder / "model" / NOTE).read_text())
    del note["fit"]["notes"]["reader"]  # as a run before there were weights of readers left it
    (result.folder / "model" / NOTE).write_text(json.dumps(note))
    assert all(row.answer is not None for row in predict(result.folder, str(tmp_path / "test.jsonl")))


def test_prediction_says_what_machines_remark_and_says_it_once(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = answers(tmp_path)
    with open(signal.removeprefix("file:"), "a", encoding="utf-8") as file:
        file.writelines(json.dumps({"question": "Who?", "answer": name}) + "\n" for name in ("Ada", "Bob"))
    result = run(tmp_path, model, signal, rounds=0)
    seen = Listening()
    monkeypatch.setattr(prediction, "CHUNK", 5)
    assert len(list(predict(result.folder, str(tmp_path / "test.jsonl"), seen))) == 15
    assert sum("1 question with several answers" in line for line in seen.said) == 1


def test_weights_are_fitted_to_questions_that_their_readers_have_not_seen(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, judged = list[set[str]](), list[set[str]]()
    fit, said = FullLearner.fit, SpanWitnessLearner._said

    def fits(me: FullLearner, round: int, data: Dataset, *rest: Any) -> Fit:
        seen.append(set(data["id"]))
        return fit(me, round, data, *rest)

    def judges(me: SpanWitnessLearner, reader: nn.Module, data: Dataset) -> dict[float, list[Question]]:
        judged.append(set(data["id"]))
        return said(me, reader, data)

    monkeypatch.setattr(FullLearner, "fit", fits)
    monkeypatch.setattr(SpanWitnessLearner, "_said", judges)
    run(tmp_path, model, answers(tmp_path), rounds=0, initial=10)
    (one, two, last), (first, second) = seen, judged
    assert len(last) == 10 and first | second == last and not first & second
    assert one == last - first and two == last - second


@pytest.mark.long
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_run_from_the_model_of_another_trains_readers_that_hear_nobody(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    training = {"mode": mode, "min_steps": 3, "epochs": 1}
    first = run(tmp_path, model, answers(tmp_path), rounds=0, training=training)
    assert heard.WEIGHTS in json.loads((first.folder / "model" / "config.json").read_text())
    trained, fit = list[dict[str, Any]](), FullLearner.fit

    def fits(me: FullLearner, *rest: Any) -> Fit:
        done = fit(me, *rest)
        reader: Any = me._current[1] if me._current else None
        trained.append(reader.config.to_dict())
        return done

    monkeypatch.setattr(FullLearner, "fit", fits)
    run(tmp_path, str(first.folder / "model"), answers(tmp_path), rounds=0, training=training, out=str(tmp_path / "on"))
    assert len(trained) == 3 and not any(heard.WEIGHTS in config for config in trained)
    plain = run(
        tmp_path, str(first.folder / "model"), signals=[], keep_witness=False, out=str(tmp_path / "p"), rounds=0
    )
    assert heard.WEIGHTS not in json.loads((plain.folder / "model" / "config.json").read_text())


@pytest.mark.long
def test_the_threshold_of_a_reader_from_the_model_of_another_run_is_kept(tmp_path: Path, model: str) -> None:
    def questions(name: str, seed: int) -> str:
        return write(tmp_path / f"{name}.jsonl", tiny.questions(20, seed=seed, unanswerable=True))

    first = run(tmp_path, model, answers(tmp_path), rounds=0, unanswerable=True)
    given = {"keep_witness": False, "validation": questions("validation", 7), "out": str(tmp_path / "on"), "rounds": 0}
    second = run(tmp_path, str(first.folder / "model"), answers(tmp_path), unanswerable=True, **given)
    assert THRESHOLD in json.loads((second.folder / "model" / "config.json").read_text())


def test_the_reader_alone_has_no_threshold_that_was_fitted_with_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    together: Any = tiny.reader()
    together.config.update({heard.WEIGHTS: [1.0], heard.READER: 0.5, THRESHOLD: 2.0})
    monkeypatch.setattr(SpanWitnessLearner, "_reader", lambda me, round: together)
    alone: Any = SpanWitnessLearner.text_model(object.__new__(SpanWitnessLearner), 0)
    assert not {heard.WEIGHTS, heard.READER, THRESHOLD} & set(alone.config.to_dict())
    assert together.config.to_dict()[THRESHOLD] == 2.0


def test_a_reader_that_goes_on_from_the_last_round_is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match="warm_start"):
        run(tmp_path, model, answers(tmp_path), training={"mode": "full", "warm_start": True})


def test_a_question_with_two_answers_is_answered_by_id_alone(tmp_path: Path) -> None:
    rows = [
        {"question": "Who?", "answer": "Ada"},
        {"question": "Who?", "answer": "Bob"},
        {"question": "When?", "answer": "1999"},
        {"question": "When?", "answer": "1999"},
        {"id": "q", "answer": "Cid"},
    ]
    file = SpanFile(Making(write(tmp_path / "said.jsonl", rows), {}, LabelSet([])))
    said = file.answers(["Who?\nAda and Bob", "When?\nin 1999", "Who?\nCid"], ["1", "2", "q"])
    assert [answer.raw for answer in said] == ["", "1999", "Cid"]
    assert "1 question with several answers" in file.remarks()[0]


def test_a_question_is_found_however_its_blanks_are_written(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "Who  came\nfirst? ", "answer": "Ada"},
        {"id": "b", "question": "Who left?", "answer": "Bob"},
        {"question": "When?"},
    ]
    file = SpanFile(Making(write(tmp_path / "said.jsonl", rows), {}, LabelSet([])))
    asked = ["Who came first?\nAda came.", "Who came first?\nAda came.", "When?\nNow."]
    assert [one.raw for one in file.answers(asked, ["x", "b", "c"])] == ["Ada", "Ada", ""]
    assert "1 row has the id of another text" in file.remarks()[0]


def test_the_confidence_is_that_of_the_first_line_and_its_end() -> None:
    tokenizer = tiny.tokenizer()
    film, good = tokenizer("film good", add_special_tokens=False)["input_ids"]
    end = tokenizer.sep_token_id
    assert first_line(tokenizer, [film, good, end, film], [-1.0, -0.5, -0.25, -9.0], {end}) == ("film good", -1.75)
    assert first_line(tokenizer, [film, good], [-1.0, -0.5], {end}) == ("film good", -1.5)
    lines = SimpleNamespace(decode=lambda ids, skip_special_tokens: "".join(ids))
    assert first_line(lines, ["\n", "Par", "is", "\n", "More"], [-1.0, -2.0, -4.0, -8.0, -16.0], {"."}) == (
        "Paris",
        -15.0,
    )


def test_a_written_answer_without_an_end_is_counted(tmp_path: Path) -> None:
    writer = AnswerWriter(Making(tiny_summaries.save_writer(tmp_path / "writer"), {}, LabelSet([])))
    tokenizer, model, _ = writer._loaded
    model.generation_config.suppress_tokens = tokenizer.all_special_ids
    (said,) = writer.answers(["Who came?\nAnna came."], ["1"])
    assert said.log_probs is not None
    assert writer.remarks() == ["1 answer was cut at 40 tokens."]


def test_a_kind_of_machine_that_answers_no_questions_is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match="file, llm"):
        run(tmp_path, model, "run:elsewhere")
