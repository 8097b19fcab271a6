"""The encoder that a run of ``--train head`` chooses itself."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.pretrained import auto_model
from dal_nlp.pretrained.auto_model import choose_encoder, seconds_to_encode
from dal_nlp.session import context, inputs
from tests import tiny

TEXTS = ["good film", "a bad film was here", "nothing"]


@pytest.fixture
def encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both encoders of the choice are a tiny one."""
    folder = tiny.save_model(tmp_path / "encoder")

    def resolve(name: str, progress: Progress, revision: str | None = None) -> str:
        assert name in ("mpnet", "minilm")
        return folder

    monkeypatch.setattr(auto_model, "resolve", resolve)
    monkeypatch.setattr(context, "resolve", resolve)
    monkeypatch.setattr(inputs, "choose_encoder", choose_encoder)


@pytest.mark.usefixtures("encoders")
def test_the_time_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_model, "seconds_to_encode", lambda source, texts: 0.5 * len(texts))
    name, why = choose_encoder(TEXTS, 1800, Silent())
    assert name == "mpnet" and "1,800 texts" in why and "15 min" in why
    name, why = choose_encoder(TEXTS, 1801, Silent())
    assert name == "minilm" and "--model mpnet" in why


def test_what_cannot_be_had_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str, progress: Progress) -> str:
        raise UserError("there is no network.")

    monkeypatch.setattr(auto_model, "resolve", resolve)
    name, why = choose_encoder(TEXTS, 10, Silent())
    assert name == "minilm" and "no network" in why


def test_a_text_counts_by_its_tokens_beyond_the_longest_input_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second a token that is read; the first batch, which is read twice, counts once."""
    clock = [0.0]

    def read(encoder: Any, batch: Any) -> None:
        clock[0] += int(batch["attention_mask"].sum())

    monkeypatch.setattr(auto_model, "_encode", read)
    monkeypatch.setattr(auto_model, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    source, marks = tiny.save_model(tmp_path / "encoder"), 2
    assert seconds_to_encode(source, ["good"] * 20) == 20 * (1 + marks)
    assert seconds_to_encode(source, ["good"] * 19 + ["good " * 1000]) == pytest.approx(19 * (1 + marks) + 1000 + marks)


def test_the_seconds_are_those_of_an_encoder(tmp_path: Path) -> None:
    assert seconds_to_encode(tiny.save_model(tmp_path / "encoder"), ["good"] * 16) > 0


@pytest.mark.usefixtures("encoders")
def test_a_run_keeps_what_it_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "data": tiny.write(tmp_path / "pool.jsonl", list(tiny.sentences(30, 0))),
        "test": tiny.write(tmp_path / "test.jsonl", list(tiny.sentences(8, 1))),
    }
    values = {"task": "sentiment", **files, "initial": 4, "query_size": 4, "rounds": 1, "oracle": "file"}
    assert RunConfig(**values).model == "auto"
    assert Session(RunConfig(**values)).run().pending
    (folder,) = (tmp_path / "runs").iterdir()
    state = read_state(folder)
    assert state.config is not None and state.config["model"] == "mpnet"
    monkeypatch.setattr(auto_model, "PATIENCE", -1.0)  # today it would be the other one
    again = Session(RunConfig(**values)).run()
    assert again.pending and again.folder.resolve() == folder.resolve()
    state = read_state(folder)
    assert state.config is not None and state.config["model"] == "mpnet"
    assert len([note for note in state.notes if "--model auto" in note]) == 1


@pytest.mark.usefixtures("encoders")
def test_a_finished_run_is_not_said_to_have_another_model(tmp_path: Path) -> None:
    """Nobody named a model: what has changed is the mode, or that there is no data."""
    pool = tiny.write(tmp_path / "pool.jsonl", list(tiny.sentences(30, 0)))
    test = tiny.write(tmp_path / "test.jsonl", list(tiny.sentences(8, 1)))
    own = {"task": "sentiment", "initial": 4, "query_size": 4, "rounds": 1, "out": str(tmp_path / "run")}
    files = {"data": pool, "test": test}
    assert not Session(RunConfig(**own, **files)).run().pending
    with pytest.raises(UserError, match=r"another run \(training.mode was 'head' and is 'full'\)"):
        Session(RunConfig(**own, **files, training={"mode": "full"})).run()
    with pytest.raises(UserError, match=r"is a run on .*pool\.jsonl, and this is the demonstration.*--config"):
        Session(RunConfig(**own)).run()


def test_it_is_for_a_frozen_encoder_on_data_of_ones_own() -> None:
    assert RunConfig(task="sentiment").model == "minilm"
    assert RunConfig(task="sentiment", data="pool.csv", training={"mode": "full"}).model == "minilm"
    with pytest.raises(UserError, match="name the model"):
        RunConfig(task="sentiment", data="pool.csv", model="auto", training={"mode": "full"})


def test_pairs_are_two_texts_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def choose(texts: list[str], count: int, progress: Progress) -> tuple[str, str]:
        seen.append((len(texts), count))
        raise UserError("that is all")

    monkeypatch.setattr(inputs, "choose_encoder", choose)
    rows = [{**row, "other": f"and {row['text']}"} for row in tiny.sentences(40)]
    values = {"task": "sentiment", "data": tiny.write(tmp_path / "pool.jsonl", rows), "initial": 4, "query_size": 4}
    for columns, texts in ((["text"], 1), (["text", "other"], 2)):
        with pytest.raises(UserError, match="that is all"):
            Session(RunConfig(**values, text_column=columns, oracle="file", audit=4, out=str(tmp_path / "run"))).run()
        assert seen.pop() == (texts * auto_model.TIMED, texts * len(rows))
