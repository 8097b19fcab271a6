"""Runs with machine-made answers: what they change, what is asked, what is left, who is not heard."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from dal_nlp import Session, UserError
from dal_nlp.core.caches import OnDisk
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.events import Event, SignalEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.signals.answer_file import AnswerFile
from dal_nlp.signals.asking import answer_keys, ask_once, packed
from dal_nlp.signals.base import LabelSet, MachineAnswer, Making
from dal_nlp.signals.witness import read_kept
from dal_nlp.workflows import predict as prediction
from dal_nlp.workflows.predict import predict
from tests import tiny
from tests.signals.server import reply, serve
from tests.signals.witness_runs import drop_cache, run, settings, weights


@pytest.mark.long
def test_a_witness_that_is_right_is_believed(files: Path) -> None:
    without = run(files, out=str(files / "without")).curve[0]["values"]["accuracy"]
    student = run(files, "right.jsonl")
    kept = run(files, "right.jsonl", out=str(files / "kept"), keep_witness=True)
    assert kept.curve[0]["values"]["accuracy"] == 1.0 and student.curve[0]["values"]["accuracy"] >= without
    assert all(one["file:right.jsonl"] > 1 for one in weights(files / "run"))
    (start,) = [event.start for event in read_state(files / "kept").metrics if event.start]
    assert start["values"]["accuracy"] == 1.0


def test_a_witness_that_is_wrong_is_turned_around_or_left_out(files: Path) -> None:
    run(files, "wrong.jsonl", initial=30)
    first, *_, last = weights(files / "run")
    assert last["file:wrong.jsonl"] < 0 or read_state(files / "run").metrics[-1].learner["off"] == ["file:wrong.jsonl"]
    assert first["file:wrong.jsonl"] < 1


@pytest.mark.long
def test_a_witness_is_asked_once(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = AnswerFile.answers

    def counting(self: AnswerFile, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        asked.extend(texts)
        return answers(self, texts, ids)

    monkeypatch.setattr(AnswerFile, "kept", True)  # as are those of a machine that has to be asked
    monkeypatch.setattr(AnswerFile, "answers", counting)
    run(files, "right.jsonl", rounds=0)
    texts = {row["text"] for row in tiny.sentences(80)}
    assert sorted(asked) == sorted(texts)
    drop_cache(files)
    result = run(files, "right.jsonl", rounds=1, budget=12)
    assert len(asked) == len(texts) and len(result.curve) == 2
    run(files, "right.jsonl", out=str(files / "other"))
    assert len(asked) == 2 * len(texts)  # the cache had gone
    run(files, "right.jsonl", out=str(files / "third"))
    assert len(asked) == 2 * len(texts)
    for folder in ("run", "other", "third"):
        (said,) = read_state(files / folder).signals.values()
        assert {answer["id"] for answer in said.values()} <= {row["id"] for row in tiny.sentences(80)}
        assert len(said) == len(texts)


def test_a_killed_run_asks_on_where_it_was(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = AnswerFile.answers

    def dying(self: AnswerFile, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        if len(asked) >= 20:
            raise KeyboardInterrupt
        asked.extend(texts)
        return answers(self, texts, ids)

    def counting(self: AnswerFile, texts: Sequence[str], ids: Sequence[str]) -> Iterator[MachineAnswer]:
        asked.extend(texts)
        return answers(self, texts, ids)

    monkeypatch.setattr(AnswerFile, "kept", True)
    monkeypatch.setattr(AnswerFile, "chunk", 10)
    monkeypatch.setattr(AnswerFile, "answers", dying)
    with pytest.raises(KeyboardInterrupt):
        run(files, "right.jsonl")
    drop_cache(files)  # what the ledger holds is enough
    monkeypatch.setattr(AnswerFile, "answers", counting)
    run(files, "right.jsonl")
    assert len(asked) == len(set(asked)) == len({row["text"] for row in tiny.sentences(80)})


def test_a_kill_costs_no_more_answers_than_are_asked_at_once(files: Path) -> None:
    def dying(event: Event) -> None:
        if isinstance(event, SignalEvent) and len(read_state(files / "run").signals["llm:small", "pool"]) == 13:
            raise KeyboardInterrupt

    with serve(lambda body, n: reply("A", {"A": -0.1, "B": -2.4}, (1_000_000, 0))) as (url, asked):
        llm = {"url": url, "texts": 40, "price_in": 1, "budget": 43, "parallel": 3}
        config = settings(files, signals=["llm:small"], llm=llm, rounds=0)
        with pytest.raises(KeyboardInterrupt):
            Session(config, on_event=dying).run()
        lost = len(asked) - 13
        assert 0 <= lost <= 3
        drop_cache(files)  # what the ledger holds is enough, and it knows what that has cost
        Session(config).run()
    (said,) = read_state(files / "run").signals.values()
    assert len(said) == 40 == len(asked) - lost and sum(answer["cost"] for answer in said.values()) == 40


def test_a_file_answers_each_start_by_the_ids_it_has_then(files: Path) -> None:
    rows = [{"id": row["id"], "label": row["label"]} for row in tiny.sentences(80)]
    tiny.write(files / "ids.jsonl", rows)
    numbered = run(files, "ids.jsonl", rounds=0, id_column="none", out=str(files / "numbered"))
    (silent,) = read_state(numbered.folder).signals.values()
    assert all(answer["log_probs"] is None for answer in silent.values())
    for rounds in (0, 1):  # what is read again is written down once
        (said,) = read_state(run(files, "ids.jsonl", rounds=rounds).folder).signals.values()
        assert said and all(answer["log_probs"] is not None for answer in said.values())
        events = [line for line in (files / "run" / "ledger.jsonl").read_text().splitlines() if '"signal"' in line]
        assert sum(len(json.loads(line).get("answers", ())) for line in events) == len(said)


def test_two_rows_of_one_text_have_the_answer_of_their_ids(files: Path) -> None:
    rows = [{"id": "a", "label": "negative"}, {"id": "b", "label": "positive"}]
    labels = LabelSet(["negative", "positive"])
    file = AnswerFile(Making(tiny.write(files / "ids.jsonl", rows), {}, labels))
    cache = OnDisk(files / "answers.sqlite")
    said = ask_once(file, cache, ["same", "same"], ["a", "b"], Silent(), "file")
    assert [np.argmax(one.log_probs) for one in said if one.log_probs] == [0, 1]


def test_what_was_kept_before_nan_was_no_probability_is_asked_again(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AnswerFile, "kept", True)
    making = Making(str(files / "right.jsonl"), {}, LabelSet(["negative", "positive"]))
    file, cache, text = AnswerFile(making), OnDisk(files / "answers.sqlite"), tiny.sentences(1)[0]["text"]
    (key,) = answer_keys(file, [text], [""])
    cache.put({key: packed(MachineAnswer((float("nan"), -0.1)))})
    (said,) = ask_once(file, cache, [text], [""], Silent(), "file")
    assert said.log_probs is not None and np.isfinite(said.log_probs).all()


def test_a_row_with_the_words_of_another_text_does_not_answer_by_its_id(files: Path) -> None:
    rows = [
        {"id": "0", "text": "a  fine\nfilm "},  # whose label comes in later rows
        {"id": "1", "text": "a dull film", "label": "negative"},
        {"id": "2", "text": "", "label": "negative"},
        {"id": "3", "text": "caf\u00e9", "label": "positive"},
        {"id": "4", "text": "of two", "label": "positive"},
    ]
    file = AnswerFile(Making(tiny.write(files / "said.jsonl", rows), {}, LabelSet(["negative", "positive"])))
    texts = ["a fine film", "another film", "what?", "cafe\u0301", "of two\ntexts", "a dull  film"]
    said = [one.log_probs and int(np.argmax(one.log_probs)) for one in file.answers(texts, list("012341"))]
    assert said == [None, None, 0, 1, 1, 0]
    assert "1 row has the id of another text" in file.remarks()[1]


def test_disagreement_is_that_of_machine_and_student_whether_or_not_the_machine_is_kept(files: Path) -> None:
    asked = []
    for kept in (False, True):
        given = {"initial": 20, "rounds": 1, "query_size": 4, "keep_witness": kept, "out": str(files / f"kept-{kept}")}
        assert run(files, "right.jsonl", strategy="disagreement", **given).curve[-1]["labels"] == 24
        asked.append(read_state(files / f"kept-{kept}").queries[1])
    assert asked[0].ids == asked[1].ids and asked[0].scores == pytest.approx(asked[1].scores)
    assert asked[0].scores == sorted(asked[0].scores, reverse=True) and 0 < asked[0].scores[-1] < np.log(2)


def test_disagreement_needs_a_machine(files: Path) -> None:
    with pytest.raises(UserError, match="which only runs with --signal have"):
        run(files, strategy="disagreement")


def test_the_model_that_is_left_needs_no_machine(files: Path) -> None:
    run(files, "right.jsonl")
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(files / "run" / "model")
    assert model.config.id2label == {0: "negative", 1: "positive"}
    kept = read_kept(files / "run" / "model")
    assert [one.name for one in kept.witnesses] == ["file:right.jsonl"] and kept.weights[0] > 0


def test_two_witnesses_have_a_weight_each(files: Path) -> None:
    run(files, "right.jsonl", "wrong.jsonl", initial=30, rounds=0)
    (found,) = weights(files / "run")
    assert found["file:right.jsonl"] > found["file:wrong.jsonl"]


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["badge", "bald", "margin", "weighted_kmeans"])
def test_strategies_see_what_witnesses_say(files: Path, strategy: str) -> None:
    result = run(files, "right.jsonl", strategy=strategy, rounds=1)
    assert len(result.curve) == 2


def test_silence_and_strange_labels_are_no_answers(files: Path) -> None:
    rows = [json.loads(line) for line in (files / "right.jsonl").read_text().splitlines()]
    rows[0]["label"], rows[1]["label"] = "perhaps", None
    tiny.write(files / "part.jsonl", rows[:40])
    result = run(files, "part.jsonl", rounds=0)
    (said,) = read_state(result.folder).signals.values()
    silent = {row["text"] for row in tiny.sentences(80)} - {row["text"] for row in rows[2:40]}
    assert sum(answer["log_probs"] is None for answer in said.values()) == len(silent)
    assert np.isfinite(result.curve[0]["values"]["accuracy"])


def test_wrong_specifications_are_refused_in_words(files: Path) -> None:
    for spec, said in (
        ("oracle:x", "signal"),
        ("right.jsonl", "KIND:TARGET"),
        (f"file:{files / 'right.jsonl'},labl=x", "label"),
        (f"file:{files / 'right.jsonl'},label=labl", "label"),
        (f"file:{files / 'right.jsonl'},mean=much", "number"),
        (f"file:{files / 'right.jsonl'},mean=inf", "number"),
        ("endpoint:gpt", "no signal 'endpoint'"),
        (f"file:{files / 'none.jsonl'}", "none.jsonl"),
        (f"run:{files / 'cache'}", "finished"),
    ):
        with pytest.raises(UserError, match=said):
            run(files, signals=[spec], out=str(files / "refused"))


def test_old_ledgers_read_on(files: Path) -> None:
    event = SignalEvent(signal="llm:x", answers={"a": {"key": "00", "log_probs": None, "raw": "?"}})
    assert SignalEvent.from_json(event.as_dict() | {"event": "signal"}).on == "pool"


def test_prediction_has_one_budget_however_many_texts_there_are(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda body, n: reply("A", {"A": -0.1, "B": -2.4}, (1_000_000, 0))) as (url, asked):
        llm = {"url": url, "texts": 8, "budget": 15, "price_in": 1, "parallel": 1}
        run(files, signals=["llm:small"], llm=llm, rounds=0)
        assert len(asked) == 8
        monkeypatch.setattr(prediction, "CHUNK", 10)
        rows = list(predict(files / "run", str(files / "test.jsonl"), keep_witness=True))
    assert len(rows) == 40 and len(asked) == 8 + 15


def test_repeats_of_a_text_have_the_answers_of_their_ids_at_prediction(files: Path) -> None:
    said = [json.loads(line) for line in (files / "right.jsonl").read_text().splitlines()]
    both = [{"id": label, "label": label, "confidence": 0.98} for label in ("negative", "positive")]
    tiny.write(files / "right.jsonl", [*said, *both])
    run(files, "right.jsonl", rounds=0)
    new = tiny.write(files / "new.jsonl", [{"id": row["id"], "text": "nothing of the kind"} for row in both])
    answers = [row.answer for row in predict(files / "run", new, keep_witness=True)]
    assert answers[0] is not None and answers[1] is not None
    assert answers[0] != answers[1]


def test_predictions_with_and_without_the_witness(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(files, "right.jsonl", rounds=0)
    test = tiny.sentences(40, seed=1)
    source = str(files / "test.jsonl")
    kept = [row.answer for row in predict(files / "run", source, keep_witness=True)]
    assert [answer.target for answer in kept if answer] == [row["label"] for row in test]

    def refuse(*_: object) -> None:
        raise AssertionError("the encoder was loaded")

    with monkeypatch.context() as patched:  # what the cache holds is not computed again beside witnesses either
        patched.setattr("dal_nlp.learners.feature_cache.load_encoder", refuse)
        assert [row.answer for row in predict(files / "run", source, keep_witness=True)] == kept
    assert len(list(predict(files / "run", source))) == len(test)
    (files / "right.jsonl").unlink()
    assert len(list(predict(files / "run", source))) == len(test)  # the student needs no machine
    with pytest.raises(UserError):
        list(predict(files / "run", source, keep_witness=True))
