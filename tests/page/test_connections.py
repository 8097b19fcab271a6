"""Connections that ask for nothing, guesses of the token, and who is still served beside them."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import uvicorn

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.page import connections
from dal_nlp.page.connections import Brake, settings
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.page.server import make_app

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@pytest.fixture
def port(waiting: Callable[[str], Path]) -> Iterator[int]:
    folder = waiting("sentiment") / "run"
    with Ledger(folder) as ledger, socket.create_server(("127.0.0.1", 0)) as listening:
        queue = AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger)
        served = uvicorn.Server(settings(make_app(queue, "the-token", ["localhost", "127.0.0.1"])))
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        served.should_exit = True
        thread.join(10)


def half_open(port: int) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", port), timeout=20)
    line.sendall(HALF)
    return line


def is_closed(line: socket.socket) -> bool:
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


def get(port: int, path: str = "/", **headers: str) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    line.request("GET", path, headers=headers)
    reply = line.getresponse()
    reply.read()
    line.close()
    return reply.status


def test_half_a_request_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    with half_open(port) as line:
        assert is_closed(line)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:  # nothing at all
        assert is_closed(line)


def test_the_second_request_of_a_connection_is_not_waited_for_either(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    line.request("GET", "/", headers={"Host": "localhost"})
    line.getresponse().read()
    assert line.sock is not None
    with line.sock as half:
        half.sendall(HALF)
        assert is_closed(half)


@pytest.mark.long
def test_the_page_is_there_beside_400_half_open_connections(port: int) -> None:
    lines = [half_open(port) for _ in range(400)]
    assert get(port) == 200
    lost = 0
    for line in lines:
        line.settimeout(0.001)
        with suppress(TimeoutError):
            lost += is_closed(line)
        line.close()
    assert lost >= 400 - connections.PER_PEER


def test_there_are_fewer_connections_than_files(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 3)
    lines = [half_open(port) for _ in range(4)]
    assert is_closed(lines[0])
    assert get(port) == 200
    for line in lines:
        line.close()


def test_whoever_guesses_the_token_waits(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BETWEEN_GUESSES", 0.2)
    monkeypatch.setattr(connections, "AT_ONCE", 2)
    started = time.monotonic()
    assert [get(port, "/api/about", Authorization=f"Bearer {guess}") for guess in range(5)] == [401] * 5
    assert time.monotonic() - started >= 0.5
    assert get(port, "/api/about", Authorization="Bearer the-token") == 200


def test_guesses_at_the_same_time_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def guess() -> float:
        brake, loop = Brake(), asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(brake.wait({"client": ("10.0.0.1", port)}) for port in range(4)))
        return loop.time() - started

    monkeypatch.setattr(connections, "BETWEEN_GUESSES", 0.05)
    monkeypatch.setattr(connections, "AT_ONCE", 1)
    with ThreadPoolExecutor() as apart:  # the browser's tests leave a loop running in this thread
        assert apart.submit(asyncio.run, guess()).result() >= 0.15


@pytest.mark.parametrize(
    "host", ["evil@localhost", "localhost/x", "localhost:1:2", "evil.com", "", "local host", "[::1"]
)
def test_a_host_that_is_none_of_ours_is_refused(port: int, host: str) -> None:
    assert get(port, Host=host) == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8765"])
def test_a_host_of_ours_is_served(port: int, host: str) -> None:
    assert get(port, Host=host) == 200
