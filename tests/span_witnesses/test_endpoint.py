"""An endpoint that answers questions about contexts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp import UserError
from dal_nlp.core.config import LanguageModelSection
from dal_nlp.ledger.ledger import read_state
from dal_nlp.signals.base import CONFIDENCE, LabelSet, MachineAnswer, Making
from dal_nlp.span_witnesses.endpoint import AnswerEndpoint, first_line, log_probability
from tests import tiny
from tests.session.test_qa_run import model as model
from tests.signals.server import Answer, serve
from tests.span_witnesses.test_runs import run

TEXT = "Who came?\nAnna came.\nIt was late."


def written(*tokens: tuple[str, float]) -> Answer:
    """A reply of some tokens with their log-probabilities."""
    text, own = "".join(token for token, _ in tokens), [{"token": token, "logprob": p} for token, p in tokens]
    choice = {"message": {"content": text}, "logprobs": {"content": own}}
    usage = {"prompt_tokens": 20, "completion_tokens": len(tokens)}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


def plain(text: str, why: str = "stop") -> Answer:
    """A reply without probabilities, and why it ends."""
    return 200, {}, json.dumps({"choices": [{"message": {"content": text}, "finish_reason": why}]}).encode()


def ask(answer: Any, *texts: str, **llm: Any) -> tuple[list[MachineAnswer], AnswerEndpoint, list[dict[str, Any]]]:
    with serve(answer) as (url, asked):
        section = LanguageModelSection(url=url, parallel=1, **llm)
        signal = AnswerEndpoint(Making("small", {}, LabelSet([]), section))
        return list(signal.answers(texts, texts)), signal, asked


def test_the_first_line_and_its_probability_are_the_answer() -> None:
    tokens = ("\n", -0.1), ("An", -0.2), ("na", -0.3), ("\n", -0.4), ("as I said", -9.0)
    (found,), signal, asked = ask(lambda body, n: written(*tokens), TEXT, price_in=100, price_out=1000)
    assert found.raw == "Anna" and found.log_probs == pytest.approx([-1.0])
    assert (found.tokens_in, found.tokens_out) == (20, 5) and found.cost == pytest.approx(0.007)
    assert signal.spent == pytest.approx(0.007)
    (body,) = asked
    assert body["logprobs"] is True and body["model"] == "small"
    content = body["messages"][0]["content"]
    assert "Context: Anna came.\nIt was late." in content and "Question: Who came?" in content


@pytest.mark.parametrize(
    ("reply", "line"), [('"Anna"', "Anna"), ("\n\n Anna \nand more", "Anna"), ('"', '"'), ("", ""), ("' '", "")]
)
def test_what_is_the_line_of_a_reply(reply: str, line: str) -> None:
    assert first_line(reply) == line


def test_a_token_may_end_the_line_and_begin_the_next() -> None:
    assert log_probability([("Anna.\nShe", -0.5), (" came", -2.0)]) == -0.5
    assert log_probability([(" ", -0.5), ("Anna", -1.0)]) == -1.5


def test_an_endpoint_without_probabilities_is_believed_as_a_file_without_confidence() -> None:
    def answer(body: dict[str, Any], n: int) -> Answer:
        return (400, {}, b"no logprobs here") if "logprobs" in body else plain("Anna")

    found, _, asked = ask(answer, TEXT, TEXT)
    assert [one.log_probs for one in found] == [(pytest.approx(np.log(CONFIDENCE)),)] * 2
    assert ["logprobs" in body for body in asked] == [True, False, False]
    (silent,), _, _ = ask(lambda body, n: plain("Anna"), TEXT)  # takes the wish and does not grant it
    assert silent.log_probs == (pytest.approx(np.log(CONFIDENCE)),)


@pytest.mark.parametrize("none", [float("nan"), float("inf"), 0.5, -float("inf"), None])
def test_a_probability_that_is_none_is_not_believed(none: Any) -> None:
    (found,), _, _ = ask(lambda body, n: written(("An", -0.2), ("na", none)), TEXT)
    assert found.raw == "Anna" and found.log_probs == pytest.approx([np.log(CONFIDENCE)])


def test_empty_replies_are_counted_and_a_failure_was_not_asked() -> None:
    (found,), signal, _ = ask(lambda body, n: plain(" \n"), TEXT)
    assert found.log_probs is None and found.asked
    assert signal.remarks() == ["1 answer of small was empty."]
    (found,), signal, _ = ask(lambda body, n: (503, {}, b""), TEXT, tries=1)
    assert not found.asked and "1 question failed" in signal.remarks()[0]


def test_answers_that_were_cut_are_counted_unless_their_line_had_ended() -> None:
    said = iter([plain("Anna and", "length"), plain("Anna\nas I", "length"), plain("Anna")])
    found, signal, _ = ask(lambda body, n: next(said), TEXT, TEXT, TEXT)
    assert [one.raw for one in found] == ["Anna and", "Anna", "Anna"]
    assert signal.remarks() == ["1 answer of small was cut at 40 tokens."]


def test_no_question_leaves_the_machine_unless_that_was_said() -> None:
    with pytest.raises(UserError, match="--send-texts"):
        AnswerEndpoint(Making("small", {}, LabelSet([]), LanguageModelSection(url="https://somewhere.example/v1")))


@pytest.mark.long
def test_a_run_hears_an_endpoint_and_asks_nothing_twice(tmp_path: Path, model: str) -> None:
    rows = [*tiny.questions(40), *tiny.questions(15, seed=1)]
    known = {(row["question"], row["context"]): row["answers"]["text"][0] for row in rows}  # type: ignore[index]

    def answer(body: dict[str, Any], n: int) -> Answer:
        content = body["messages"][0]["content"]
        (found,) = {
            text
            for (question, context), text in known.items()
            if f"Context: {context}\n" in content and f"Question: {question}\n" in content
        }
        return written((found, -0.05))

    with serve(answer) as (url, asked):
        llm = {"url": url, "price_in": 1.0}
        for name in ("one", "two"):
            result = run(tmp_path, model, "llm:small", llm=llm, out=str(tmp_path / name), rounds=1)
            assert result.curve[0]["start"]["values"]["f1"] > 0.9
        assert len(asked) == len(known)  # the pool and the test set, once
    (of_pool,) = [said for (_, place), said in read_state(tmp_path / "one").signals.items() if place == "pool"]
    assert sum(one["cost"] for one in of_pool.values()) == pytest.approx(40 * 20 / 1e6)
