"""The audit sample: powered beside plain, drawn actively, grown on resume."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.ledger.ledger import read_state
from dal_nlp.report.summary import contents, round_line, rounds_table
from dal_nlp.session.loop import Result
from dal_nlp.session.stopping import scores
from tests import tiny
from tests.ledgers import copies_after_every_write
from tests.tiny import write


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    write(tmp_path / "pool.jsonl", tiny.sentences(200))
    return tmp_path


def run(folder: Path, model: str, **changes: Any) -> Result:
    values = {
        "task": "sentiment",
        "data": str(folder / "pool.jsonl"),
        "model": model,
        "out": str(folder / "run"),
        "cache": str(folder / "features"),
        "audit": 20,
        "initial": 8,
        "query_size": 8,
        "rounds": 2,
        "training": {"mode": "head"},
    }
    return Session(RunConfig.load(flags={**values, **changes})).run()


def test_the_powered_estimate_stands_beside_the_plain_one(pool: Path, model_folder: str) -> None:
    result = run(pool, model_folder)
    state = read_state(result.folder)
    for event in state.metrics:
        assert event.on == "audit" and event.size == 20
        for name in ("accuracy", "macro_f1"):
            found = event.powered[name]
            low, high = found["interval"]
            assert 0 <= low <= found["value"] <= high <= 1
        assert event.powered["accuracy"]["worth"] >= 19.9
        assert scores(event) == event.best != {}
        assert event.best["accuracy"] == event.powered["accuracy"]["value"]
    header, _ = rounds_table(state)
    assert {"accuracy", "95 %", "powered accuracy", "powered 95 %", "worth"} <= set(header)
    assert "plain ones" in contents(state)["measured"]
    assert "as sure as" in round_line(state)


def test_no_label_of_the_audit_sample_reaches_the_judge(pool: Path, model_folder: str) -> None:
    run(pool, model_folder, rounds=1)
    before = read_state(pool / "run")
    rows = tiny.sentences(200)
    audited = set(before.audit or [])
    other = {"positive": "negative", "negative": "positive"}
    write(pool / "pool.jsonl", [{**row, "label": other[row["label"]]} if row["id"] in audited else row for row in rows])
    run(pool, model_folder, rounds=1, out=str(pool / "other"))
    after = read_state(pool / "other")
    assert after.audit == before.audit
    for one, two in zip(before.metrics, after.metrics, strict=True):
        assert one.values["accuracy"] == pytest.approx(1 - two.values["accuracy"])
        assert [row["prediction"] for row in one.shown] == [row["prediction"] for row in two.shown]


def test_models_that_train_whole_are_judged_by_what_they_said_before_each_answer(pool: Path, model_folder: str) -> None:
    training = {"mode": "full", "min_steps": 3, "epochs": 1}
    result = run(pool, model_folder, training=training, strategy="margin", stop="plateau(window=1)")
    for event in read_state(result.folder).metrics:
        assert set(event.powered) == {"accuracy", "macro_f1"}
        powered = event.powered["accuracy"]["value"]
        assert np.mean(event.watched["examples"]) == pytest.approx(powered, abs=1e-9) or powered in (0, 1)


@pytest.mark.long
def test_an_audit_sample_grows_without_losing_a_text(pool: Path, model_folder: str) -> None:
    first = read_state(run(pool, model_folder).folder)
    result = run(pool, model_folder, audit=60)
    state = read_state(result.folder)
    assert state.audit is not None and first.audit is not None
    assert state.audit[:20] == first.audit and len(state.audit) == 60 == len(set(state.audit))
    assert not set(state.audit) & {id for query in state.queries for id in query.ids}
    assert [event.size for event in state.metrics] == [20, 20, 60]
    assert result.stopped and any("grew by 40 texts" in note for note in state.notes)
    assert not any("Changed after the last fit" in remark for remark in result.remarks)  # audit answers never train
    assert all(id in state.answers for id in state.audit)
    names = [json.loads(line)["event"] for line in (result.folder / "ledger.jsonl").read_text().splitlines()]
    assert names.count("config") == 2 and names.count("audit") == 2 and names.count("remeasured") == 1
    with pytest.raises(UserError, match="can only grow: --audit 60"):
        run(pool, model_folder, audit=30)
    spent = len(state.answers)
    with pytest.raises(UserError, match=f"10 further answers for the audit sample .* --budget {spent + 10} or more"):
        run(pool, model_folder, audit=70, budget=spent + 9)
    assert read_state(run(pool, model_folder, audit=60).folder) == state


def test_an_active_sample_is_drawn_after_round_0_where_the_model_may_be_wrong(pool: Path, model_folder: str) -> None:
    result = run(pool, model_folder, audit=40, audit_design="active")
    state = read_state(result.folder)
    names = [json.loads(line)["event"] for line in (result.folder / "ledger.jsonl").read_text().splitlines()]
    assert names.index("query") < names.index("audit") < names.index("metrics")
    assert state.audit is not None and len(state.audit) in (40, 41)
    assert list(state.audit_probabilities) == state.audit
    assert len(set(state.audit_probabilities.values())) > 2
    assert not set(state.audit) & {id for query in state.queries for id in query.ids}
    for event in state.metrics:
        low, high = event.intervals["accuracy"]
        assert low <= event.values["accuracy"] <= high
    with pytest.raises(UserError, match="stays as it was drawn"):
        run(pool, model_folder, audit=50, audit_design="active")


def timeless(folder: Path) -> list[dict[str, Any]]:
    """The ledger's events without the clock's numbers."""
    times = ("train_seconds", "eval_seconds", "pool_seconds", "choose_seconds", "encode_seconds", "load_seconds", "sum")
    lines = (folder / "ledger.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in times} for line in lines]


@pytest.mark.long
@pytest.mark.parametrize("design", ["grown", "active"])
def test_a_run_that_is_cut_anywhere_ends_the_same(
    pool: Path, model_folder: str, design: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"rounds": 1, "audit_design": "active"}
    if design == "grown":
        run(pool, model_folder, rounds=1)
        changes = {"rounds": 1, "audit": 60}
    with monkeypatch.context() as patch:
        copies = copies_after_every_write(patch, pool)
        run(pool, model_folder, **changes)
    want = timeless(pool / "run")
    steps = {name for name, _ in copies}
    assert {"config", "audit", "label", "remeasured" if design == "grown" else "metrics"} <= steps
    for name, folder in copies:
        if name in ("config", "audit", "label", "metrics", "remeasured"):
            run(pool, model_folder, out=str(folder), **changes)
            assert timeless(folder) == want, name
