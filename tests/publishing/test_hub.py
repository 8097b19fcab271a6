"""A run's model and labels on a Hub: against a small server that keeps what huggingface_hub sends."""

import base64
import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import huggingface_hub.constants
import pyarrow.parquet
import pytest
from huggingface_hub import DatasetCard, HfApi, ModelCard

from dal_nlp import Label, Oracle, Origin, Query, RunConfig, Session, UserError
from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.ledger.ledger import read_state
from dal_nlp.publishing.hub import _dataset, hashed, push
from tests import tiny
from tests.cli.conftest import invoke


class Hub:
    """What a Hub was sent.

    Attributes:
        files: By repository and path.
        private: By repository.
        refusal: The status of every answer, where that is not 0.
        url: Its own address.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.refusal, self.url = 0, ""

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and content of the answer to a request."""
        if self.refusal:
            return self.refusal, {"error": "no"}
        place = path.partition("?")[0].removeprefix("/api/")
        if place == "repos/create":
            asked = json.loads(body)
            name = f"{asked.get('type', 'model')}s/{asked['organization']}/{asked['name']}"
            self.private.setdefault(name, asked.get("private") or asked.get("visibility") == "private")
            self.files.setdefault(name, {})
            return 200, {"url": f"{self.url}/{name.removeprefix('models/')}"}
        if not place.startswith(("models/", "datasets/")):  # whether a card's front matter is right, say
            return 200, {"errors": [], "warnings": []}
        kind, owner, title, *rest = place.split("/")
        name = f"{kind}/{owner}/{title}"
        if not rest or rest[0] == "revision":
            return 200, {"id": f"{owner}/{title}", "private": self.private[name], "sha": "0" * 40, "siblings": []}
        if rest[0] == "preupload":
            asked = [one["path"] for one in json.loads(body)["files"]]
            return 200, {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in asked]}
        if rest[0] == "commit":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return 200, {"success": True, "commitOid": "0" * 40, "commitUrl": f"{self.url}/{name}/commit/0"}
        return (200, []) if rest[0] in ("tree", "paths-info") else (404, {"error": place})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hub, HfApi]]:
    """A Hub on this machine, and an account there."""
    there = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = there.answer(self.command, self.path, body)
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = _reply

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    there.url = f"http://127.0.0.1:{server.server_port}"
    yield there, HfApi(endpoint=there.url, token="hf_x")
    server.shutdown()
    server.server_close()


class Ann(Oracle):
    """One person who knows the words."""

    def label(self, queries: list[Query]) -> Any:
        for query in queries:
            right = "positive" if set(query.text.split()) & set(tiny.POSITIVE) else "negative"
            yield Label(query.id, right, origin=Origin("ann", "2026-01-01T10:00:00Z", "test", note="ask bob"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that ann has answered, whose pool has a column of its own."""
    home = tmp_path_factory.mktemp("run")
    pool = tiny.write(home / "pool.jsonl", [{**row, "product": "shoes"} for row in tiny.sentences(30)])
    config = RunConfig(
        **{"task": "sentiment", "data": pool, "model": tiny.save_model(home / "encoder"), "audit": 6, "initial": 4},
        **{"query_size": 4, "rounds": 1, "initial_strategy": "random", "strategy": "margin", "out": str(home / "out")},
        **{"cache": str(home / "cache"), "training": {"mode": "head"}},
    )
    return Session(config, oracle=Ann()).run().folder


def test_model_and_data_arrive_with_cards_and_are_private(folder: Path, hub: tuple[Hub, HfApi], tmp_path: Path) -> None:
    there, api = hub
    said: list[str] = []
    push(folder, "org/film", api, "salt", license="mit", say=said.append)
    assert there.private == {"models/org/film": True, "datasets/org/film-labels": True}
    model, data = there.files["models/org/film"], there.files["datasets/org/film-labels"]
    assert {"README.md", "config.json", "model.safetensors", "head_model.py", "tokenizer.json"} <= model.keys()
    assert not {"fit.json", "head.safetensors"} & model.keys()
    card = ModelCard(model["README.md"].decode())
    assert card.data.license == "mit" and 'model="org/film"' in card.text
    assert DatasetCard(data["README.md"].decode()).data.license == "mit"
    (tmp_path / "labels.parquet").write_bytes(data["labels.parquet"])
    rows = pyarrow.parquet.read_table(tmp_path / "labels.parquet").to_pylist()
    assert len(rows) == 14 and {row["product"] for row in rows} == {"shoes"}
    assert {row["annotated_by"] for row in rows} == {hashed("ann", "salt")}
    assert {row["annotated_at"] for row in rows} == {"2026-01-01T10:00:00Z"}
    assert [row["chosen"] for row in rows].count("drawn at random, to measure on") == 6
    assert any("notes of 14 answers" in line for line in said) and "Columns of the data: " in "".join(said)
    everything = b"".join([*model.values(), *data.values()])
    assert b"ask bob" not in everything and str(folder.parent).encode() not in everything


def test_names_and_notes_in_columns_of_the_pool_are_not_published(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    state = read_state(tmp_path / "run")
    store = AnswerStore(tmp_path / "run", state)
    rows = [json.loads(line) for line in Path(str(store.config.data)).read_text().splitlines()]
    people = {"annotated_by": "Bob Personal", "annotated_by (dal-nlp)": "Eve Personal", "note (dal-nlp)": "for Eve"}
    pool = tiny.write(tmp_path / "pool.jsonl", [{**row, **people} for row in rows])
    store.config = store.config.model_copy(update={"data": pool})
    data = _dataset(store, tmp_path / "scratch", "salt", lambda text: None)
    assert set(data["annotated_by"]) == {hashed("ann", "salt")}
    assert "Personal" not in str(data.to_dict()) and "for Eve" not in str(data.to_dict())


def test_the_hash_of_a_name_hangs_on_the_salt_and_nobody_stays_nobody() -> None:
    assert hashed("ann", "a") == hashed("ann", "a") != hashed("ann", "b") and hashed("ann", "a") != hashed("bob", "a")
    assert hashed("", "a") == "" and hashed("majority", "a") == "majority"


def test_what_is_public_already_is_not_taken_for_private(folder: Path, hub: tuple[Hub, HfApi]) -> None:
    there, api = hub
    there.private["models/org/film"], there.files["models/org/film"] = False, {}
    with pytest.raises(UserError, match="everybody can read it"):
        push(folder, "org/film", api, "salt")
    assert there.files == {"models/org/film": {}}
    push(folder, "org/film", api, "salt", private=False)
    assert "config.json" in there.files["models/org/film"]


@pytest.mark.parametrize(("status", "words"), [(401, "hf auth login"), (403, "may not write there"), (500, "later")])
def test_a_refusal_is_one_sentence(folder: Path, hub: tuple[Hub, HfApi], status: int, words: str) -> None:
    hub[0].refusal = status
    with pytest.raises(UserError, match=words):
        push(folder, "org/film", hub[1], "salt")


def test_no_token_no_network_no_model_and_no_name_are_told_apart(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        push(folder, "org/film", HfApi(token="hf_x"), "salt")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(UserError, match="cannot be reached"):
        push(folder, "org/film", HfApi(endpoint="http://127.0.0.1:1", token="hf_x"), "salt")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UserError, match="wants a token"):
        push(folder, "org/film", HfApi(endpoint="http://127.0.0.1:1"), "salt")
    with pytest.raises(UserError, match="give ORG/NAME"):
        push(folder, "film", HfApi(token="hf_x"), "salt")
    done = invoke("push", str(tmp_path), "org/film")
    assert done.exit_code == 2 and str(tmp_path) in done.output
