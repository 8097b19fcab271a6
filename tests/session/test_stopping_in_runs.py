"""Stopping rules in a run: what they read of the ledger, when they end it, what the report says."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.ledger.events import QueryEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.session.config import RunConfig
from dal_nlp.session.loop import Session
from dal_nlp.session.stopping import history_of, left_to_read, reason
from dal_nlp.tasks.metrics import cohen_kappa
from tests import tiny, tiny_summaries
from tests.tiny import write


def settings(folder: Path, model: str, **changes: Any) -> RunConfig:
    values = {
        "task": "sentiment",
        "data": write(folder / "pool.jsonl", tiny.sentences(60)),
        "test": write(folder / "test.jsonl", tiny.sentences(20, seed=1)),
        "model": model,
        "out": str(folder / "run"),
        "initial": 6,
        "query_size": 4,
        "rounds": 4,
        "training": {"mode": "full", "min_steps": 3, "epochs": 1e-3, "learning_rate": 1e-3},
        **changes,
    }
    return RunConfig.load(flags=values)


def test_annotators_have_read_enough(tmp_path: Path, model_folder: str) -> None:
    config = settings(tmp_path, model_folder, stop="characters=400 or rounds=9")
    result = Session(config).run()
    state = read_state(result.folder)
    texts = {row["id"]: row["text"] for row in tiny.sentences(60)}
    read = np.cumsum([sum(len(texts[id]) for id in query.ids) for query in state.queries])
    assert read[-1] >= 400
    assert (read[:-1] < 400).all()
    assert result.stopped is not None
    assert result.stopped.startswith("the rule `characters=400 or rounds=9` says so (characters ")
    assert result.stopped.endswith(f" {read[-1]:,}, limit 400)")
    assert not state.read_test
    page = (result.folder / "report.html").read_text()
    assert "Stopping rules" in page
    assert "characters(count=400)" in page
    assert f'<td class="n">{len(state.metrics) - 1}</td>' in page  # the round after which it would stop
    assert "never" in page  # the other one
    assert [rule["value"] for rule in state.traces[0]] == [read[0], 0]


@pytest.mark.long
@pytest.mark.parametrize(("unit", "measure"), [("words", lambda text: len(text.split())), ("characters", len)])
def test_a_budget_of_what_people_read_is_kept(
    tmp_path: Path, model_folder: str, unit: str, measure: Callable[[str], int]
) -> None:
    """The last query is cut to what is left, and one more text is asked at most."""
    limit, larger = {"words": (150, 250), "characters": (600, 700)}[unit]
    config = settings(tmp_path, model_folder, budget=f"{limit}{unit}", rounds=None)
    result = Session(config).run()
    state = read_state(result.folder)
    lengths = [measure(text) for query in state.queries for text in query.texts]
    assert sum(lengths) >= limit > sum(lengths[:-1])
    assert result.stopped is not None and result.stopped.startswith(f"the rule `{config.stop}` says so")
    cut = [query.notes["beyond_budget"] for query in state.queries if "beyond_budget" in query.notes]
    assert all(0 < n < 4 for n in cut)
    assert len(lengths) == 6 + 4 * (len(state.queries) - 1) - sum(cut)
    assert not any("capped" in note for note in state.notes)
    page = (result.folder / "report.html").read_text()
    assert ("the budget of reading has no room" in page) == bool(cut)
    more = Session(settings(tmp_path, model_folder, budget=f"{larger}{unit}", rounds=None))
    assert len(read_state(more.run().folder).queries) > len(state.queries), "a larger budget goes on"


#: Rules, and what they leave to read behind four words of 18 characters.
READING = {"words=9": 5, "stable or characters=20": 2, "words=3": 0, "words=9 and stable": None, "stable": None}


def test_words_that_do_not_end_a_run_alone_are_no_budget() -> None:
    files = {"task": "sentiment", "data": "pool.jsonl", "test": "test.jsonl"}
    query = {"round": 0, "ids": ["a"], "scores": [0.0], "texts": ["four words of text"], "strategy": "random"}
    state = State(queries=[QueryEvent(**query)])
    found = {stop: left_to_read(RunConfig(**files, stop=stop), state) for stop in READING}
    assert {stop: each and each[1] for stop, each in found.items()} == READING


READING = {
    "words=9": 5,
    "stable or characters=20": 2,
    "words=3": 0,
    "words=9 and stable": None,
    "stable": None,
}


def test_predictions_are_compared_on_the_same_random_texts(tmp_path: Path, model_folder: str) -> None:
    config = settings(tmp_path, model_folder, stop="stable(agreement=1.0, window=1) and uncertainty=0.9", stop_set=12)
    result = Session(config).run()
    state = read_state(result.folder)
    sets = [event.watched["stop_set"] for event in state.metrics]
    assert {len(one) for one in sets} == {12}
    history = history_of(state, cohen_kappa)
    kappas = [rules[0]["value"] for _, rules in sorted(state.traces.items())]
    assert kappas[0] is None
    assert kappas[1:] == pytest.approx([cohen_kappa(a, b) for a, b in pairwise(sets)])
    assert all(0 <= event.watched["uncertainty"] <= 1 for event in state.metrics)
    assert history.rounds[-1].labels == state.metrics[-1].labels


@pytest.mark.long
def test_a_resumed_run_goes_on_with_the_same_stop_set(tmp_path: Path, model_folder: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    whole = Session(settings(tmp_path / "one", model_folder, stop="change=0.0", stop_set=12, rounds=2)).run()
    Session(settings(tmp_path / "two", model_folder, stop="change=0.0", stop_set=12, rounds=1)).run()
    parts = Session(settings(tmp_path / "two", model_folder, stop="change=0.0", stop_set=12, rounds=2)).run()
    first, second = ([event.watched for event in read_state(r.folder).metrics] for r in (whole, parts))
    assert first == second


def test_a_plateau_reads_the_validation_file_and_says_where_it_reads_the_test_set(
    tmp_path: Path, model_folder: str
) -> None:
    validation = write(tmp_path / "validation.jsonl", tiny.sentences(15, seed=2))
    config = settings(tmp_path, model_folder, stop="plateau(window=1, least=0.9)", validation=validation)
    state = read_state(Session(config).run().folder)
    assert len(state.metrics) == 2  # everything includes an improvement below .9
    assert len(state.metrics[0].watched["examples"]) == 15
    assert np.mean(state.metrics[0].watched["examples"]) == state.metrics[0].validation["accuracy"]
    assert not state.read_test
    other = settings(tmp_path, model_folder, stop="plateau(window=1, least=0.9)", out=str(tmp_path / "other"))
    state = read_state(Session(other).run().folder)
    assert state.read_test
    assert np.mean(state.metrics[0].watched["examples"]) == state.metrics[0].values["accuracy"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("stabel", "stable"),
        ("target(score=0.5, metric=acuracy)", "accuracy"),
        ("budget", "budget"),
        ("stable or", "end"),
    ],
)
def test_wrong_rules_are_refused_before_a_model_is_loaded(
    tmp_path: Path, model_folder: str, rule: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.pretrained.loading.load_classifier", None)
    with pytest.raises(UserError, match=message):
        Session(settings(tmp_path, model_folder, stop=rule)).run()


def test_a_run_without_rules_watches_nothing(tmp_path: Path, model_folder: str) -> None:
    state = read_state(Session(settings(tmp_path, model_folder, rounds=0)).run().folder)
    assert state.metrics[0].watched == {}
    assert not state.traces


def test_nothing_stops_before_the_first_fit() -> None:
    config = RunConfig(task="sentiment", data="pool.jsonl", stop="rounds=0")
    assert reason(config, State(), 10, cohen_kappa) is None


def test_every_task_says_how_far_predictions_agree() -> None:
    assert tiny.task().consistency(["positive", "negative"], ["positive", "negative"]) == 1
    answers = [{"text": ["good film"], "answer_start": [0]}, {"text": ["plot"], "answer_start": [3]}]
    assert tiny.qa_task().consistency(answers, [answers[0], {"text": ["film"], "answer_start": [9]}]) == 0.5
    assert tiny_summaries.summary_task().consistency(
        ["good plot", "", "it was"], ["good plot", "", "a film"]
    ) == pytest.approx(2 / 3)
