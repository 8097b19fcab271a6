"""What comes in by any door is taken or refused in a sentence: nothing else is raised, and nothing hangs.

3,000 examples in a test run, spread over the doors; ``make fuzz`` runs 100,000, others every time.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dal_nlp.annotation import make_oracle
from dal_nlp.annotation.answer_store import AnswerStore, open_answer_store
from dal_nlp.annotation.ingesting import ingest
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.annotation.label_studio.client import Annotation
from dal_nlp.annotation.sheet_files import read_sheet
from dal_nlp.core.errors import UserError
from dal_nlp.joins.tool_rows import STUDIO_ID
from dal_nlp.ledger.ledger import read_state
from dal_nlp.readers.sources import read_rows
from dal_nlp.session.config import RunConfig, read_yaml
from dal_nlp.session.stopping_language import parse
from dal_nlp.session.stopping_rules import RULES
from dal_nlp.strategies import make_strategy
from dal_nlp.tasks import task_class
from tests import tiny, tiny_summaries

DOORS = 10
EXAMPLES = int(os.environ.get("DAL_NLP_FUZZ", "3000"))
#: The same examples in each test run, others in each `make fuzz`.
fuzz = settings(
    max_examples=max(1, EXAMPLES // DOORS),
    derandomize="DAL_NLP_FUZZ" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

#: What breaks readers: halves of letters, numbers without end, brackets, aliases, tags, and signs of every format.
ODD = st.sampled_from(
    [
        *(
            "\ud800",
            "\0",
            "1" * 5000,
            "-" + "9" * 400,
            "[" * 600,
            "{" * 600,
            "nan",
            "Infinity",
            "1e999",
            "0x_",
            "1_000",
        ),
        *(
            "&a [*a]",
            "*a",
            "!!int x",
            "!!timestamp x",
            "!!binary x",
            "2026-13-40",
            "~",
            "on",
            ": ",
            "- ",
            "? ",
            "%",
            "@",
        ),
        *("\ufeff", "\r", "\x85", "\u2028", "\x1b[2J", '"', "'", ",", ";", "\t", "|", ">", "#", "\\", "=cmd|'/c'!A1"),
    ]
)
TEXTS = st.lists(ODD | st.text(max_size=12), max_size=5).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXTS, inside, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        *RunConfig.model_fields,
        *("training.learning_rate", "training.epochs", "training.batch_size", "query.dedupe", "draws.k"),
        *("scoring.memory", "pseudo_labels.policy", "task_options.x", "strategy_options.k"),
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where files are put; each takes the place of the last one."""
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def asked(paused: Callable[[str], Path]) -> Path:
    """A run that waits for answers."""
    return paused("sentiment") / "run"


@pytest.fixture(scope="module")
def store(asked: Path) -> Iterator[AnswerStore]:
    with open_answer_store(asked) as opened:
        yield opened


def in_words(ask: Callable[[], object]) -> None:
    """Ask for something that may be refused, in one sentence that can be printed."""
    try:
        ask()
    except UserError as error:
        assert str(error).strip() and len(str(error)) < 5_000


@pytest.mark.long
@fuzz
@given(KEYS, TEXTS)
def test_set(key: str, value: str) -> None:
    flags = {"task": "sentiment", "data": "pool.csv", "test": "test.csv"}
    in_words(lambda: RunConfig.load(flags=flags, settings=[f"{key}={value}"]))


@fuzz
@given(st.binary(max_size=60) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_yaml(folder: Path, content: bytes) -> None:
    (folder / "run.yaml").write_bytes(content)
    in_words(lambda: RunConfig.of({"task": "sentiment", **read_yaml(folder / "run.yaml")}))


@pytest.mark.long
@fuzz
@given(st.dictionaries(KEYS.filter(lambda key: "." not in key), VALUES, max_size=4))
def test_config(values: dict[str, Any]) -> None:
    in_words(lambda: RunConfig.of({"task": "sentiment", "data": "pool.csv", **values}))


@fuzz
@given(st.lists(st.sampled_from([*RULES, "and", "or", "(", ")", "=", ",", "1", "nan", "x"]) | TEXTS, max_size=12))
def test_stop_language(words: list[str]) -> None:
    in_words(lambda: parse(" ".join(words)))


@fuzz
@given(st.sampled_from(["", "noisy:", "label-studio:", "stochastic:", "os:", "dal_nlp.strategies:"]), TEXTS)
def test_names(prefix: str, name: str) -> None:
    for make in (make_oracle, task_class, lambda name: make_strategy(name, {})):
        in_words(lambda: make(prefix + name))  # noqa: B023 - called at once


@pytest.mark.long
@fuzz
@given(st.data())
def test_ledger(asked: Path, folder: Path, data: st.DataObject) -> None:
    lines = (asked / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    line = bytearray(lines[place])
    match data.draw(st.sampled_from(["flip", "cut", "drop", "twice", "other", "value"])):
        case "flip":
            line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        case "cut":
            del line[data.draw(st.integers(0, len(line) - 1)) :]
        case "drop":
            line.clear()
        case "twice":
            line *= 2
        case "other":
            line[:] = data.draw(TEXTS).encode("utf-8", "surrogatepass") + b"\n"
        case "value":
            event = json.loads(line)
            event[data.draw(st.sampled_from(sorted(event)))] = data.draw(VALUES)
            line[:] = json.dumps(event).encode() + b"\n"
    lines[place] = bytes(line)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines))
    in_words(lambda: read_state(folder))


@pytest.mark.long
@fuzz
@given(
    st.sampled_from(["csv", "tsv", "jsonl", "json"]),
    TEXTS.map(lambda text: f"id,text,label\n{text}\n".encode("utf-8", "surrogatepass"))
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=80),
)
def test_data_files(folder: Path, kind: str, content: bytes) -> None:
    (folder / f"pool.{kind}").write_bytes(content)
    in_words(lambda: list(read_rows(str(folder / f"pool.{kind}"))))


@pytest.mark.long
@fuzz
@given(
    st.sampled_from(["csv", "jsonl"]),
    TEXTS.map(lambda text: f"id,answer\n{text}\n".encode("utf-8", "surrogatepass"))
    | st.dictionaries(st.sampled_from(["id", "answer", "note"]), VALUES).map(lambda row: json.dumps(row).encode())
    | st.binary(max_size=80),
)
def test_sheets(folder: Path, kind: str, content: bytes) -> None:
    (folder / f"round-0.{kind}").write_bytes(content)
    in_words(lambda: list(read_sheet(folder / f"round-0.{kind}", ["text"], lambda text: None)))


@pytest.mark.long
@fuzz
@given(
    st.sampled_from(["csv", "jsonl", "label-studio"]),
    st.dictionaries(st.sampled_from(["id", "label", "text", "data", "annotations"]), VALUES),
    st.binary(max_size=40),
    st.booleans(),
)
def test_ingest(
    folder: Path, store: AnswerStore, format: str, row: dict[str, Any], content: bytes, plain: bool
) -> None:
    known = {**row, "id": store.state.waiting[0], "data": {STUDIO_ID: store.state.waiting[0]}}
    rows = [row, known] if store.state.waiting else [row]
    text = json.dumps(rows) if format == "label-studio" else "\n".join(map(json.dumps, rows))
    (folder / "answers").write_bytes(content if plain else text.encode())
    in_words(lambda: ingest(store, folder / "answers", format, "anna"))


@pytest.mark.long
@fuzz
@given(
    st.dictionaries(st.sampled_from(["id", "completed_by", "updated_at", "was_cancelled", "result"]), VALUES), VALUES
)
def test_oracle_replies(values: dict[str, Any], value: Any) -> None:
    right = {"id": 1, "completed_by": 1, "updated_at": "2026-01-01T00:00:00Z", "was_cancelled": False}
    result = {"from_name": "answer", "to_name": "about", "type": "choices", "value": {"choices": value}}
    for reply in (values, {**right, "result": [result]}, {**right, "result": [{**result, "value": value}]}):
        for task in (tiny.task(), tiny_summaries.summary_task()):
            try:
                annotation = Annotation.of(reply)
                label_studio.read_results(task, annotation.result, {"id": "a", "text": "b", "document": "b"})
            except ValueError as error:  # what the oracle says, and goes on
                assert str(error)
