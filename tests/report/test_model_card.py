"""Model cards, and models that plain transformers loads: where dal_nlp is not there, and nothing tells of a machine."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from dal_nlp import Label, Oracle, Origin, Query, RunConfig, Session
from dal_nlp.core.text import split_names
from dal_nlp.ledger.events import ConfigEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.report.model_card import PLACE, hub_name, model_card, write_card
from dal_nlp.workflows.predict import predict
from tests import tiny

#: Ways to train, each of which leaves a model of its own.
MODES: dict[str, dict[str, Any]] = {
    "head": {"training": {"mode": "head"}},
    "full": {"training": {"mode": "full", "min_steps": 2, "epochs": 1}},
    "lora": {"training": {"mode": "lora", "min_steps": 2, "epochs": 1}},
    "finish": {"training": {"mode": "head", "min_steps": 2, "epochs": 1}, "finish": "full-always"},
}


class Two(Oracle):
    """Two people who know the words."""

    def label(self, queries: list[Query]) -> Any:
        for number, query in enumerate(queries):
            right = "positive" if set(query.text.split()) & set(tiny.POSITIVE) else "negative"
            yield Label(query.id, right, origin=Origin(["ann", "bob"][number % 2], "2026-01-01T10:00:00Z", "test"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each way to train, in folders that name a home; one of them with people."""
    home = tmp_path_factory.mktemp("home-of-somebody")
    pool, test = (tiny.write(home / f"{name}.jsonl", tiny.sentences(n, n)) for name, n in (("pool", 40), ("test", 12)))
    common = {
        **{"task": "sentiment", "data": pool, "test": test, "model": tiny.save_model(home / "encoder")},
        **{"cache": str(home / "cache"), "initial": 4, "query_size": 4, "rounds": 1, "initial_strategy": "random"},
    }
    found = {}
    for name, changes in MODES.items():
        config = RunConfig.load(flags={**common, "out": str(home / name), "strategy": "margin", **changes})
        found[name] = Session(config, oracle=Two() if name == "head" else None).run().folder
    return found


@pytest.mark.long
def test_no_saved_file_names_a_folder_of_this_machine(runs: dict[str, Path]) -> None:
    for folder in runs.values():
        for path in (folder / "model").iterdir():
            assert b"home-of-somebody" not in path.read_bytes(), path


@pytest.mark.long
def test_plain_transformers_answers_what_predict_answers_by_the_lines_of_the_card(runs: dict[str, Path]) -> None:
    texts = [row["text"] for row in tiny.sentences(12, 12)]
    lines, answers = ["import sys", "sys.modules['dal_nlp'] = None", "found = {}"], {}
    for name, folder in runs.items():
        code = re.search(r"```python\n(.*?)```", (folder / "model" / "README.md").read_text(), re.DOTALL)
        assert code is not None
        lines += [code[1].replace(PLACE, str(folder / "model")), f"found[{name!r}] = model({texts!r})"]
        rows = predict(folder, str(folder.parent / "test.jsonl"))
        answers[name] = [(row.answer.target, row.answer.confidence) for row in rows if row.answer]
    lines += ["import json", "print('FOUND', json.dumps(found))"]
    cache = {"HF_MODULES_CACHE": str(runs["head"].parent / "modules"), "HF_HUB_OFFLINE": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=cache, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.rpartition("FOUND ")[2])
    for name, said in found.items():
        assert [one["label"] for one in said] == [answer for answer, _ in answers[name]]
        assert [one["score"] for one in said] == pytest.approx([share for _, share in answers[name]], abs=1e-3), name


def test_only_a_layer_on_an_encoder_needs_code_of_its_own(runs: dict[str, Path]) -> None:
    has_code = {name: (folder / "model" / "head_model.py").is_file() for name, folder in runs.items()}
    asks_for_trust = {name: "trust_remote_code" in (f / "model" / "README.md").read_text() for name, f in runs.items()}
    assert has_code == asks_for_trust == {"head": True, "full": False, "lora": False, "finish": True}


def test_the_card_is_one_that_the_hub_reads(runs: dict[str, Path]) -> None:
    card = ModelCard.load(runs["head"] / "model" / "README.md")
    assert card.data.license == "unknown" and card.data.pipeline_tag == "text-classification"
    assert card.data.base_model is None and "active-learning" in (card.data.tags or [])


def test_the_card_tells_labels_counts_answerers_score_and_commands(runs: dict[str, Path]) -> None:
    text, state = (runs["head"] / "model" / "README.md").read_text(), read_state(runs["head"])
    assert "- `negative`\n- `positive`" in text
    assert "`pool.jsonl`, 40 rows" in text and "Labels that trained: 8" in text and "12 (test)" in text
    assert "8 examples: 2 people" in text and "ann" not in text
    value, (low, high) = state.metrics[-1].values["accuracy"], state.metrics[-1].intervals["accuracy"]
    assert f"| accuracy | {value:.3f} | {low:.3f} to {high:.3f} |" in text
    assert "dal-nlp run --task sentiment --data pool.jsonl --test test.jsonl --model encoder --train head" in text
    assert "transformers 5" in text


def test_the_command_of_the_card_is_one_that_makes_such_a_run(tmp_path: Path) -> None:
    rows = [{"key": row["id"], "body": row["text"]} for row in tiny.sentences(20)]
    given = {
        **{"task": "classification", "data": tiny.write(tmp_path / "pool.jsonl", rows), "text_column": ["body"]},
        **{"id_column": "key", "labels": ["good, very", "bad"], "oracle": "file", "audit": 4, "budget": 9, "rounds": 1},
        **{"initial": 3, "query_size": 2, "model": str(tmp_path / "encoder"), "training": {"mode": "head"}},
    }
    config = RunConfig.load(flags={**given, "out": str(tmp_path / "run")})
    state = State()
    state.apply(ConfigEvent(config=config.model_dump(mode="json"), digests={}, labels=["good, very", "bad"]))
    (tmp_path / "model").mkdir()
    line = next(one for one in model_card(tmp_path / "model", state).splitlines() if one.startswith("dal-nlp run"))
    words = shlex.split(line)[2:]
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert (said["--oracle"], said["--audit"], said["--data"]) == ("file", "4", "pool.jsonl")
    assert (said["--text-column"], said["--id-column"]) == ("body", "key") and "--label-column" not in said
    assert split_names(said["--labels"]) == ["good, very", "bad"]


def test_a_model_trained_at_the_end_has_the_score_of_that_training(runs: dict[str, Path]) -> None:
    text, state = (runs["finish"] / "model" / "README.md").read_text(), read_state(runs["finish"])
    assert state.finished is not None
    assert f"| macro F1 | {state.finished.values['macro_f1']:.3f} |" in text


def test_a_base_model_of_the_hub_is_named_in_the_front_matter_and_odd_labels_stay_code(tmp_path: Path) -> None:
    state = State()
    config = {"task": "x", "model": "mpnet", "data": "/home/me/pool.csv"}
    state.apply(ConfigEvent(config=config, digests={}, labels=["a`b", "new\nline"]))
    text = model_card(tmp_path, state, license="mit")
    assert "base_model: sentence-transformers/all-mpnet-base-v2\n" in text and "license: mit\n" in text
    assert "- `` a`b ``\n- `new line`" in text and "/home/me" not in text and "It was not measured." in text
    assert hub_name({"model": "org/name"}, tmp_path) == "org/name"
    assert hub_name({"model": str(tmp_path)}, tmp_path) == ""


def test_a_folder_beside_the_run_is_no_name_on_the_hub_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "base" / "encoder").mkdir(parents=True)
    place, state = tmp_path / "model", State()
    place.mkdir()
    state.apply(ConfigEvent(config={"task": "x", "model": "base/encoder"}, digests={}, labels=["a"]))
    monkeypatch.chdir(tmp_path)
    write_card(place, state)
    monkeypatch.chdir(place)
    assert "base_model: base/encoder" not in model_card(place, state)
