"""What a run refuses or says before it asks, and answers that cannot be used."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp import Label, Oracle, Query, Session, Skip, UserError
from dal_nlp.annotation import Setting
from dal_nlp.ledger.events import ConfigEvent, Event
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.pool import Pool
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.tasks.classification import Classification
from tests import tiny
from tests.ledgers import change
from tests.session.test_loop import Slow, run, settings
from tests.session.test_loop import files as files  # the fixture
from tests.tiny import write


def test_an_audit_sample_that_takes_the_whole_pool_is_refused(files: Path, model_folder: str) -> None:
    with pytest.raises(UserError, match="audit sample of 100 takes all 60 rows"):
        run(files, model_folder, test=None)


def test_a_start_that_failed_its_checks_does_not_hold_the_folder(files: Path, model_folder: str) -> None:
    for wrong in ({"model": str(files)}, {"strict": True, "budget": 999, "rounds": None}, {"target": "acuracy=1"}):
        with pytest.raises(UserError):
            run(files, **{"model": model_folder, **wrong})
    assert run(files, model_folder, rounds=0, seed=3).stopped


class Wrong(Slow):
    """Answers with a label, or an id, that does not exist."""

    def __init__(self, id: str | None, target: str) -> None:
        self.wrong = (id, target)

    def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
        id, target = self.wrong
        yield Label(id or queries[0].id, target)


@pytest.mark.parametrize(
    ("oracle", "sentence"),
    [(Wrong(None, "positve"), "did you mean 'positive'"), (Wrong("ghost", "positive"), "was not asked")],
)
def test_an_answer_that_cannot_be_used_is_refused_and_leaves_no_trace(
    files: Path, model_folder: str, oracle: Oracle, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        Session(settings(files, model_folder, rounds=0), oracle=oracle).run()
    assert not read_state(files / "run").answers
    assert run(files, model_folder, rounds=0).stopped


def test_a_start_that_fails_before_it_asks_leaves_no_folder(files: Path, model_folder: str) -> None:
    with pytest.raises(UserError, match="--oracle file has people do it"):
        run(files, model_folder, label_column="none_such", test=None, audit=4)
    assert not (files / "run").exists()

    class Unreachable(Oracle):
        def open(self, setting: Setting) -> None:
            raise UserError("The server does not answer: start it.")

        def label(self, queries: Sequence[Query]) -> Iterator[Label]:
            yield from ()

    with pytest.raises(UserError, match="does not answer"):
        Session(settings(files, model_folder), oracle=Unreachable()).run()
    assert not (files / "run").exists()
    (files / "run").mkdir()  # of the user's own
    with pytest.raises(UserError, match="does not answer"):
        Session(settings(files, model_folder), oracle=Unreachable()).run()
    assert (files / "run").is_dir()


def test_an_oracle_that_skips_everything_is_a_sentence(files: Path, model_folder: str) -> None:
    class Refusing(Slow):
        def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
            yield from (Skip(query.id, "no") for query in queries)

    with pytest.raises(UserError, match="No answer came"):
        Session(settings(files, model_folder, rounds=0), oracle=Refusing()).run()


def test_a_pool_of_one_label_is_refused_and_labels_of_the_test_set_alone_are_named(
    files: Path, model_folder: str
) -> None:
    rows = tiny.sentences(60)
    write(files / "pool.jsonl", [{**row, "label": "positive"} for row in rows])
    with pytest.raises(UserError, match="nothing to learn"):
        run(files, model_folder, rounds=0)
    write(files / "pool.jsonl", rows)
    measuring = tiny.sentences(20, seed=1)
    write(files / "test.jsonl", [{**row, "label": f"{row['label']}s"} for row in measuring])
    with pytest.raises(UserError, match=r"None of the labels in .* is one that can be learnt"):
        run(files, model_folder, rounds=0)
    write(files / "test.jsonl", [{**measuring[0], "label": "neutral"}, *measuring[1:]])
    result = run(files, model_folder, rounds=0)
    assert any("'neutral'" in note for note in read_state(result.folder).notes)


def test_numbers_are_the_same_labels_in_every_kind_of_file(files: Path, model_folder: str) -> None:
    import pandas

    rows = [{**row, "label": int(row["label"] == "positive")} for row in tiny.sentences(60)]
    gaps = [{**row, "label": None if i < 3 else row["label"]} for i, row in enumerate(rows)]
    pandas.DataFrame(gaps).to_parquet(files / "pool.parquet")
    write(files / "test.jsonl", [{**r, "label": int(r["label"] == "positive")} for r in tiny.sentences(20, seed=1)])
    result = run(files, model_folder, data=str(files / "pool.parquet"), rounds=0)
    assert set(result.labels.values()) == {"0", "1"}
    assert read_state(result.folder).labels == ["0", "1"]


def test_a_strategy_that_is_gone_does_not_lock_the_folder(files: Path, model_folder: str) -> None:
    run(files, model_folder, rounds=0)

    def gone(events: list[Event]) -> list[Event]:
        return [
            replace(event, config={**event.config, "strategy": "gone.module:Mine"})
            if isinstance(event, ConfigEvent)
            else event
            for event in events
        ]

    change(files / "run", gone)
    assert run(files, model_folder, rounds=1).stopped


def test_rounds_that_hold_back_a_budget_are_named(files: Path, model_folder: str) -> None:
    result = run(files, model_folder, rounds=0, budget=20)
    assert result.stopped == "all 0 rounds are done, with 14 labels of the budget left: --rounds buys more"


class Empty:
    """What is false, as every container without content is."""

    def __len__(self) -> int:
        return 0


def test_objects_of_the_users_own_count_also_where_they_are_empty_containers(files: Path, model_folder: str) -> None:
    class Films(Empty, Classification):
        def show(self, example: Mapping[str, Any]) -> str:
            return f"film: {example['text']}"

    class First(Empty, Strategy):
        def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
            return Selection(np.arange(k), np.full(k, 7.0))

    class Annotators(Empty):
        def __call__(self, query: Query) -> str:
            asked.append(query)
            return truth[query.id]

    asked: list[Query] = []
    truth = {row["id"]: row["label"] for row in tiny.sentences(60)}
    config = settings(files, model_folder, rounds=1)
    Session(config, Films.from_config(config), First(), First(), Annotators()).run()
    assert [query.score for query in asked] == [7.0] * 10
    assert all(query.text.startswith("film: ") for query in asked)


@pytest.mark.parametrize("mode", ["full", "head"])
def test_texts_that_are_cut_are_told_and_the_length_follows_the_pool(files: Path, model_folder: str, mode: str) -> None:
    rows = tiny.sentences(40)
    for row in rows[:10]:
        row["text"] = f"{row['text']} " * 5 + "and so on " * 30
    write(files / "pool.jsonl", rows)
    trained = {"mode": mode, "min_steps": 1, "epochs": 1e-9}
    chosen = {"strategy": "random", "initial_strategy": "random", "training": trained}
    run(files, model_folder, rounds=0, max_length="pool", **chosen)
    state = read_state(files / "run")
    assert state.config is not None and state.config["max_length"] == 64  # all that the model reads
    told = [note for note in state.notes if "tokens" in note]
    assert told[0].startswith("Texts are cut after 64 tokens, which is all that the model reads: 95 % of the pool's")
    assert re.match(r"10 of 40 texts \(pool\) are longer than 64 tokens, the longest 1\d\d, and are cut", told[1])
    write(files / "pool.jsonl", [*rows, *({**row, "id": f"{row['id']}+"} for row in tiny.sentences(30, seed=9))])
    run(files, model_folder, rounds=1, max_length="pool", **chosen)  # the number stays what it was
    assert len([note for note in read_state(files / "run").notes if note.startswith("Texts are cut")]) == 1
