"""A model as an ONNX file: it answers what the model answers, and by the lines of its README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers.tokenization_utils_base import VERY_LARGE_INTEGER

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.errors import Unsupported
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.publishing import onnx_export
from dal_nlp.publishing.onnx_export import export_onnx
from dal_nlp.workflows.predict import predict
from tests import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a head."""
    home = tmp_path_factory.mktemp("run")
    pool = tiny.write(home / "pool.jsonl", tiny.sentences(24))
    config = RunConfig(
        **{"task": "sentiment", "data": pool, "model": tiny.save_model(home / "encoder"), "audit": 4, "initial": 4},
        **{"query_size": 4, "rounds": 1, "initial_strategy": "random", "strategy": "margin", "out": str(home / "out")},
        **{"cache": str(home / "cache"), "training": {"mode": "head"}},
    )
    return Session(config).run().folder


def test_the_file_answers_what_predict_answers_without_torch(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    said = export_onnx(folder, read_state(folder), tmp_path / "onnx")
    assert "within" in said and "64 tokens" in said
    code = re.search(r"```python\n(.*?)```", (tmp_path / "onnx" / "README.md").read_text(), re.DOTALL)
    assert code is not None
    rows = tiny.sentences(6, seed=5)
    answers = [row.answer for row in predict(folder, tiny.write(tmp_path / "rows.jsonl", rows))]
    for row, answer in zip(rows[:2], answers, strict=False):
        block = "import sys\nsys.modules['torch'] = None\n" + code[1].replace('"a text"', repr(row["text"]))
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path / "onnx", capture_output=True, text=True, check=False
        )
        assert answer is not None and done.stdout.strip() == answer.target, done.stderr


def test_a_file_that_answers_otherwise_is_not_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_export, "_difference", lambda *of: float("nan"))
    monkeypatch.setattr(onnx_export, "_write", lambda model, tokenizer, texts, longest, path: [])
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda path, providers: None)
    with pytest.raises(Unsupported, match="answers otherwise"):
        export_onnx(folder, read_state(folder), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


def test_texts_are_cut_where_the_model_ends_if_its_tokenizer_does_not_say(tmp_path: Path) -> None:
    place, unsaid = tiny.save_model(tmp_path), tiny.tokenizer()
    unsaid.model_max_length = VERY_LARGE_INTEGER
    assert onnx_export._longest(tiny.classifier(), unsaid, State(), Path(place)) == 64


def test_missing_packages_and_a_run_that_is_not_finished_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"dal-nlp\[onnx\]"):
        export_onnx(folder, read_state(folder), tmp_path / "onnx")
    state = read_state(folder)
    state.stopped = None
    with pytest.raises(UserError, match="no finished model"):
        export_onnx(folder, state, tmp_path / "onnx")
