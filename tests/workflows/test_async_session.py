"""A run from an event loop: all answers arrive, early ends and errors leave a folder that goes on."""

import asyncio
import importlib.util
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dal_nlp import AsyncSession, RunConfig, UserError
from dal_nlp.ledger.ledger import Ledger, read_state
from tests import tiny

T = TypeVar("T")
EXAMPLE = Path(__file__).parents[2] / "examples" / "label_service.py"


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread of its own: after a test of the page in a browser, this one has a loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture
def config(tmp_path: Path, model_folder: str) -> RunConfig:
    pool = tiny.write(tmp_path / "pool.jsonl", [{"id": r["id"], "text": r["text"]} for r in tiny.sentences(20)])
    return RunConfig(
        **{"task": "sentiment", "data": pool, "model": model_folder, "out": str(tmp_path / "run"), "audit": 4},
        **{"initial": 4, "query_size": 3, "rounds": 1, "initial_strategy": "random", "strategy": "margin"},
        **{"labels": ["negative", "positive"], "cache": str(tmp_path / "cache"), "training": {"mode": "head"}},
    )


def right(text: str) -> str:
    return "positive" if set(text.split()) & set(tiny.POSITIVE) else "negative"


def test_a_whole_run_with_answers_in_another_order(config: RunConfig) -> None:
    async def work() -> tuple[AsyncSession, list[int | None], int]:
        session, held, rounds, ticks = AsyncSession(config), [], [], 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        beside = asyncio.create_task(tick())
        async for query in session.queries():
            rounds.append(query.round)
            held.append(query)
            size = {None: 4, 0: 4, 1: 3}[query.round]
            if len(held) == size:  # the last one first
                for one in reversed(held):
                    session.answer(one.id, right(one.text))
                held.clear()
        beside.cancel()
        return session, rounds, ticks

    session, rounds, ticks = in_a_loop(work())
    assert session.result is not None and session.result.stopped and not session.result.pending
    assert rounds == [None] * 4 + [0] * 4 + [1] * 3 and len(session.result.labels) == 11
    assert ticks > 10  # the event loop was free while models trained


def test_an_early_end_frees_the_folder_and_another_session_goes_on(config: RunConfig) -> None:
    async def some() -> None:
        session = AsyncSession(config)
        async with aclosing(session.queries()) as queries:  # type: ignore[type-var]
            count = 0
            async for query in queries:
                session.answer(query.id, right(query.text))
                count += 1
                if count == 6:
                    break
        assert session.result is None

    in_a_loop(some())
    with Ledger(Path(config.out or "")) as ledger:  # nobody holds it
        assert len(ledger.state.answers) == 6  # all that were given

    async def rest() -> AsyncSession:
        session = AsyncSession(config)
        async for query in session.queries():
            session.answer(query.id, right(query.text))
        return session

    session = in_a_loop(rest())
    assert session.result is not None and session.result.stopped and len(session.result.labels) == 11


def test_a_cancelled_task_ends_the_run(config: RunConfig) -> None:
    async def work() -> None:
        session, first = AsyncSession(config), asyncio.Event()

        async def listen() -> None:
            async for _ in session.queries():
                first.set()

        task = asyncio.create_task(listen())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_a_loop(work())
    state = read_state(Path(config.out or ""))
    assert len(state.pending(state.audit or [])) == 4


def test_a_mistake_in_the_configuration_comes_out_of_the_iterator(config: RunConfig) -> None:
    async def work() -> None:
        async for _ in AsyncSession(config.model_copy(update={"data": "no/such.csv"})).queries():
            pass

    with pytest.raises(UserError, match="There is no file"):
        in_a_loop(work())
    with pytest.raises(RuntimeError, match="iterate over"):
        AsyncSession(config).answer("e1", "positive")


def test_an_answer_that_cannot_be_used_is_refused_and_the_run_goes_on(config: RunConfig) -> None:
    async def work() -> AsyncSession:
        session = AsyncSession(config)
        async for query in session.queries():
            with pytest.raises(UserError, match="cannot be used"):
                session.answer(query.id, "no such label")
            with pytest.raises(UserError, match="was not asked about"):
                session.skip("no such id", "skip")
            session.answer(query.id, right(query.text))
        return session

    result = in_a_loop(work()).result
    assert result is not None and result.stopped


@pytest.mark.long
def test_the_example_is_a_service(config: RunConfig) -> None:
    testing = pytest.importorskip("fastapi.testclient")
    spec = importlib.util.spec_from_file_location("label_service", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with testing.TestClient(module.service(config)) as client:
        until = time.monotonic() + 120
        while client.get("/result").json() == "None" and time.monotonic() < until:
            asked = client.get("/query")
            if asked.status_code == 200:
                assert client.post("/answer", json={"id": asked.json()["id"], "label": "no such"}).status_code == 422
                client.post("/answer", json={"id": asked.json()["id"], "label": right(asked.json()["text"])})
        assert "stopped: the one round is done" in client.get("/result").json()
