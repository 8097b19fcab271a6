"""An endpoint that misbehaves: what is tried again, counted and paid, and what never leaves the machine."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.config import LanguageModelSection
from dal_nlp.core.errors import UserError
from dal_nlp.signals.base import LabelSet, MachineAnswer, Making
from dal_nlp.signals.client import Client, is_loopback
from dal_nlp.signals.endpoint import Endpoint, in_schema
from dal_nlp.signals.matching import match
from tests.signals.server import Answer, reply, serve

LABELS = LabelSet(["neg", "neu", "pos"], {}, {"neg": "negative", "neu": "neutral", "pos": "positive"})


def ask(
    answer: Callable[[dict[str, Any], int], Answer], texts: list[str], **llm: Any
) -> tuple[list[MachineAnswer], Endpoint, list[dict[str, Any]], list[float]]:
    """Ask a served endpoint; return the answers, the signal, the requests and the seconds that were waited."""
    waited: list[float] = []
    with serve(answer) as (url, asked):
        section = LanguageModelSection(url=url, **llm)
        signal = Endpoint(Making("small", {}, LABELS, section))
        signal.client = Client(section, waited.append)
        return list(signal.answers(texts, texts)), signal, asked, waited


def test_letters_and_their_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    first = {"C": np.log(0.5), " C": np.log(0.2), "A)": np.log(0.1), "The": np.log(0.2)}
    answers, signal, asked, _ = ask(lambda body, n: reply("C", first), ["fine", "good"], price_in=100, price_out=1000)
    for answer in answers:
        assert answer.log_probs is not None and np.allclose(answer.log_probs, np.log([0.1, 0.1 / np.e, 0.7]))
        assert (answer.tokens_in, answer.tokens_out) == (10, 1) and answer.cost == pytest.approx(0.002)
    assert signal.spent == pytest.approx(0.004)
    assert {one["key"] for one in asked} == {"Bearer a key"} and asked[0]["path"] == "/v1/chat/completions"
    assert asked[0]["top_logprobs"] == 20 and asked[0]["model"] == "small"
    assert "fine" in str(asked) and "A) negative\nB) neutral\nC) positive" in asked[0]["messages"][0]["content"]


def test_a_log_probability_that_is_none_counts_as_not_given() -> None:
    first = {"A": float("nan"), "B": -0.5, "C": float("inf")}
    answers, _, _, _ = ask(lambda body, n: reply("B", first), ["text"])
    assert answers[0].log_probs == pytest.approx([-1.5, -0.5, -1.5])
    answers, _, asked, _ = ask(lambda body, n: reply("negative", {"A": 0.5}), ["text"], parallel=1)
    assert answers[0].log_probs is not None and np.argmax(answers[0].log_probs) == 0 and len(asked) == 4


def test_busy_broken_and_cut_replies_are_asked_again() -> None:
    good = reply("A", {"A": -0.1})
    bad: list[Answer] = [
        (429, {"Retry-After": "7"}, b"busy"),
        (500, {}, b"oh"),
        (200, {}, good[2][:20]),
        (200, {}, b"[]"),
    ]
    answers, _, asked, waited = ask(lambda body, n: bad[n] if n < len(bad) else good, ["text"], parallel=1)
    assert answers[0].log_probs is not None and np.argmax(answers[0].log_probs) == 0
    assert len(asked) == 5 and waited == [7.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(("said", "least"), [(60, 50), (-60, 0)])
def test_busy_until_a_date(said: int, least: int) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=said), usegmt=True)
    good, busy = reply("A", {"A": -0.1}), (429, {"Retry-After": at}, b"")
    answers, _, asked, (waited,) = ask(lambda body, n: good if n else busy, ["text"])
    assert answers[0].asked and len(asked) == 2 and max(least, 1) <= waited <= max(said, 1)


def test_what_fails_every_time_was_not_asked() -> None:
    answers, signal, asked, _ = ask(lambda body, n: (503, {}, b""), ["text"], tries=3)
    assert answers == [MachineAnswer(None, asked=False)] and len(asked) == 3
    assert "1 question failed 3 times" in signal.remarks()[0]


def test_without_probabilities_labels_are_voted_on_in_several_orders() -> None:
    said = iter(["B", "positive", "Positive.", "negative"])
    answers, _, asked, _ = ask(lambda body, n: reply(next(said)), ["text"], parallel=1)
    assert len(asked) == 4
    orders = [one["structured_outputs"]["choice"] for one in asked[1:]]
    assert orders[0] == ["negative", "neutral", "positive"] and len({order[0] for order in orders}) == 3
    assert answers[0].log_probs is not None
    assert np.allclose(np.exp(answers[0].log_probs), np.array([1.5, 0.5, 2.5]) / 4.5)
    assert answers[0].raw == "positive | Positive. | negative"


def test_what_answers_are_kept_under_stays_when_the_way_to_ask_changes() -> None:
    signal = Endpoint(Making("small", {}, LABELS, LanguageModelSection(url="http://127.0.0.1:1/v1")))
    _, other, asked, _ = ask(lambda body, n: reply("positive"), ["text"])
    assert "structured_outputs" in asked[-1] and other.key == signal.key


def test_an_endpoint_that_takes_a_schema_is_asked_for_json() -> None:
    def answer(body: dict[str, Any], n: int) -> Answer:
        if {"logprobs", "structured_outputs"} & set(body):
            return 400, {}, b"unknown field"
        return reply(json.dumps({"label": "neutral"}) if n % 2 else '{"label": "neu')  # cut

    answers, signal, asked, _ = ask(answer, ["text"], parallel=1)
    assert answers[0].log_probs is not None and np.argmax(answers[0].log_probs) == 1 and signal.remarks() == []
    formats = [one["response_format"]["json_schema"] for one in asked[2:]]
    assert all(one["strict"] and one["schema"]["required"] == ["label"] for one in formats)
    orders = [one["schema"]["properties"]["label"]["enum"] for one in formats]
    assert len(orders) == 3 and orders[0] == ["negative", "neutral", "positive"] != orders[1]


@pytest.mark.parametrize(
    ("said", "label"), [('{"label": "a"}', "a"), ("a", "a"), ("{}", "{}"), ("[1]", "[1]"), ('{"label', '{"label')]
)
def test_a_label_is_read_out_of_json_or_left_as_it_is(said: str, label: str) -> None:
    assert in_schema(said) == label


def test_an_endpoint_that_takes_none_of_these_is_asked_in_words() -> None:
    def picky(body: dict[str, Any], n: int) -> Answer:
        known = not ({"logprobs", "structured_outputs", "response_format"} & set(body))
        return reply("I would say neutral") if known else (400, {}, b"unknown parameter")

    answers, _, _, _ = ask(picky, ["text"], parallel=1)
    assert answers[0].log_probs is not None and np.argmax(answers[0].log_probs) == 1


@pytest.mark.parametrize("text", ["", "I cannot tell", "negative or positive", "Z"])
def test_what_is_no_label_is_no_answer_and_counted(text: str) -> None:
    answers, signal, _, _ = ask(lambda body, n: reply(text), ["text"], parallel=1)
    assert answers[0].log_probs is None and answers[0].asked
    assert "1 answer of small was none of the labels" in signal.remarks()[0]


def test_a_wrong_key_ends_it() -> None:
    with pytest.raises(UserError, match="status 401"):
        ask(lambda body, n: (401, {}, b""), ["text"])


def test_the_budget_ends_it_and_the_rest_is_not_asked() -> None:
    answers, signal, asked, _ = ask(
        lambda body, n: reply("A", {"A": -0.1}, (1_000_000, 0)), list("abcde"), parallel=1, price_in=1, budget=2
    )
    assert [answer.asked for answer in answers] == [True, True, False, False, False] and len(asked) == 2
    assert "3 texts were not asked about" in signal.remarks()[0]


@pytest.mark.parametrize("parallel", [2, 8])
def test_a_budget_is_kept_though_several_are_asked_at_once(parallel: int) -> None:
    answers, signal, asked, _ = ask(
        lambda body, n: reply("A", {"A": -0.1}, (1_000_000, 0)),
        [str(n) for n in range(40)],
        parallel=parallel,
        price_in=1,
        budget=5,
    )
    assert len(asked) == 5 == sum(answer.asked for answer in answers) and signal.spent == 5
    assert "35 texts were not asked about" in signal.remarks()[0]


def test_no_more_are_ahead_than_are_asked_at_once() -> None:
    with serve(lambda body, n: reply("A", {"A": -0.1})) as (url, asked):
        signal = Endpoint(Making("small", {}, LABELS, LanguageModelSection(url=url, parallel=3)))
        texts = [str(n) for n in range(20)]
        answers = signal.answers(texts, texts)
        for taken, _ in enumerate(answers, 1):
            assert len(asked) <= taken + 3
    assert len(asked) == 20


def test_texts_stay_unless_they_may_leave() -> None:
    assert is_loopback("http://localhost:8000/v1") and is_loopback("http://[::1]/v1")
    assert not is_loopback("https://127.0.0.1.example.org/v1")
    with pytest.raises(UserError, match="--send-texts"):
        Client(LanguageModelSection(url="https://example.org/v1"))
    Client(LanguageModelSection(url="https://example.org/v1", send_texts=True))
    for url in ("example.org", "ftp://127.0.0.1", ""):
        with pytest.raises(UserError, match="--llm-url"):
            Client(LanguageModelSection(url=url, send_texts=True))


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("sci/tech", 1),
        ("The answer is Sports.", 0),
        ("very positive", 3),
        ("positive", 2),
        ("postive", 2),
        ("sports or sci tech", None),
        ("", None),
    ],
)
def test_labels_in_replies(said: str, place: int | None) -> None:
    assert match(said, ["Sports", "Sci/Tech", "positive", "very positive"]) == place
