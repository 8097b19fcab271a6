"""The page's requests, over real sockets on the loopback: who is let in, and what may come."""

import base64
import hashlib
import http.client
import json
import re
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.page import server
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.page.server import LARGEST, make_app, token_of

TOKEN = "the-token-of-this-test"
ME = {"who": "anna", "tab": "tab-of-anna"}
ROUTES = (
    "/api/leave",
    "/api/next",
    "/api/open",
    "/api/answer",
    "/api/undo",
    "/api/mine",
    "/api/suggested",
    "/api/accept",
    "/api/disputes",
    "/api/progress",
)


class Client:
    """Speaks to the server as a page does, or not quite."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def ask(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = "", token: str = TOKEN
    ) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        all_headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        line.request(method or ("POST" if body is not None else "GET"), path, data, {**all_headers, **(headers or {})})
        reply = line.getresponse()
        found = reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        line.close()
        return found

    def told(self, path: str, body: Any = None) -> Any:
        status, _, data = self.ask(path, body)
        assert status == 200, data
        return json.loads(data)

    def ledger(self) -> bytes:
        return (self.folder / "ledger.jsonl").read_bytes()


def serve(folder: Path, hosts: list[str]) -> Iterator[Client]:
    with Ledger(folder) as ledger, socket.create_server(("127.0.0.1", 0)) as listening:
        queue = AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger)
        served = uvicorn.Server(uvicorn.Config(make_app(queue, TOKEN, hosts), log_level="error"))
        thread = threading.Thread(target=served.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield Client(folder, listening.getsockname()[1])
        served.should_exit = True
        thread.join(10)


@pytest.fixture
def client(waiting: Callable[[str], Path]) -> Iterator[Client]:
    yield from serve(waiting("sentiment") / "run", ["127.0.0.1"])


def test_the_page_holds_all_it_needs_and_nothing_of_the_run(client: Client) -> None:
    status, headers, page = client.ask("/", token="")
    assert status == 200
    text = page.decode()
    assert not re.search(r"(src|href)=|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=", text)
    state = read_state(client.folder)
    assert all(part not in text for part in (*state.waiting, *state.queries[0].texts, TOKEN))
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("accepted", "language"), [("de-AT,de;q=0.8", "de"), ("fr", "en")])
def test_the_page_speaks_the_language_of_the_browser_under_its_policy(
    client: Client, accepted: str, language: str
) -> None:
    _, headers, page = client.ask("/", headers={"Accept-Language": accepted})
    assert f'<html lang="{language}">' in page.decode()
    (script,) = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert f"'sha256-{digest}'" in headers["content-security-policy"]


def test_a_text_goes_out_and_an_answer_comes_in(client: Client) -> None:
    assert client.told("/api/about")["widget"]["data"]["labels"] == [["1", "negative"], ["2", "positive"]]
    item = client.told("/api/next", ME)["item"]
    reply = client.told("/api/answer", {**ME, "id": item["id"], "text": "positive", "request": "r"})
    assert read_state(client.folder).answers == {item["id"]: "positive"}
    assert reply["disputed"] is False and reply["item"]["id"] != item["id"]
    assert client.told("/api/mine", ME)["rows"][0]["id"] == item["id"]
    assert client.told("/api/progress", {**ME, "active": True})["labels"] == 1
    assert client.told("/api/open", {**ME, "id": item["id"]})["item"]["answer"]["typed"] == "positive"
    assert client.told("/api/mine", {**ME, "find": "no such word"}) == {"rows": []}
    assert client.told("/api/suggested", ME) == {"label": "", "groups": [], "rows": []}
    assert client.ask("/api/accept", {**ME, "ids": ["x"], "request": "request-1"})[0] == 422
    assert client.told("/api/disputes", ME) == {"rows": []}
    assert client.told("/api/undo", ME)["item"]["id"] == item["id"]
    assert read_state(client.folder).answers == {}


@pytest.mark.long
@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper()])
def test_without_the_token_nothing_is_told_or_written(client: Client, token: str) -> None:
    before, id = client.ledger(), read_state(client.folder).waiting[0]
    body = {**ME, "id": id, "text": "positive", "active": True}
    replies = [client.ask(path, body, token=token) for path in ROUTES] + [client.ask("/api/about", token=token)]
    for status, _, data in replies:
        assert status == 401 and b"token" in data and id.encode() not in data
    assert client.ledger() == before


def test_other_sites_and_other_names_of_this_machine_are_refused(client: Client) -> None:
    before = client.ledger()
    body = {**ME, "id": read_state(client.folder).waiting[0], "text": "positive"}
    here = f"127.0.0.1:{client.port}"
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{client.port + 1}"},
        {"Host": "evil.example"},  # a name that was made to lead here
        {"Host": f"evil.example:{client.port}", "Origin": f"http://evil.example:{client.port}"},
        {"Host": ""},
        {"Host": "["},
        {"Host": f"127.0.0.1:{client.port}", "Origin": "http://["},
    ):
        assert client.ask("/api/answer", body, headers)[0] in (400, 403), headers
        assert client.ask("/", headers=headers)[0] in (400, 403), headers
    # What a form of another site can send without asking: no header of its own, and no JSON.
    form = b"who=anna&tab=tab-of-anna&text=positive"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}
    assert client.ask("/api/answer", form, headers)[0] in (401, 422)
    assert client.ask("/api/answer", json.dumps(body).encode(), {"Content-Type": "text/plain"})[0] == 422
    assert client.ledger() == before
    assert client.ask("/api/next", ME, {"Origin": f"http://{here}"})[0] == 200


def test_an_open_address_takes_any_name_but_no_other_site(waiting: Callable[[str], Path]) -> None:
    for client in serve(waiting("sentiment") / "run", []):
        assert client.ask("/api/next", ME, {"Host": "box.example:8765", "Origin": "http://box.example:8765"})[0] == 200
        assert client.ask("/api/next", ME, {"Host": "box.example:8765", "Origin": "https://evil.example"})[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/ledger.jsonl",
        "/.page-token",
        "/report.html",
        "/api/../ledger.jsonl",
        "/api/next/../../config.yaml",
        "/docs",
        "/openapi.json",
    ],
)
def test_there_are_no_files_behind_paths(client: Client, path: str) -> None:
    status, _, data = client.ask(path)
    assert status == 404 and data == b'{"detail":"Not Found"}'


def test_requests_that_no_page_sends(client: Client) -> None:
    before, id = client.ledger(), read_state(client.folder).waiting[0]
    good = {**ME, "id": id, "text": "positive"}
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        {},
        {**good, "who": 5},
        {**good, "who": "x" * 201},
        {**good, "tab": ""},
        {**good, "refusal": "never"},
        {**good, "final": "maybe"},
        {**good, "text": ["positive"]},
        {**good, "more": 1},
        {**good, "id": None},
        {**good, "text": "neither"},
        {**good, "id": "../../ledger"},
        {**good, "who": "<script>\x00</script>"},
        b'{"who": "\\ud800", "tab": "tab-of-anna", "id": "x", "text": "positive"}',
        b"[" * 100_000,
    ):
        status, _, data = client.ask("/api/answer", body)
        assert status in (400, 422) and json.loads(data)["detail"], body
    assert client.ask("/api/answer")[0] == 405
    assert client.ledger() == before


def test_an_answer_of_a_megabyte_is_refused_before_it_is_read(client: Client) -> None:
    before = client.ledger()
    huge = {**ME, "id": read_state(client.folder).waiting[0], "text": "x" * 1_000_000}
    status, _, data = client.ask("/api/answer", huge)
    assert status == 413 and f"{LARGEST:,}".encode() in data
    head = "POST /api/answer HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as line:  # without the token
        line.sendall(f"{head}Content-Length: {10**9}\r\n\r\n".encode())
        assert b" 401 " in line.recv(4096)
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as line:  # whose end nobody has announced
        line.sendall(f"{head}Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(LARGEST // 0x10000 + 2):
                line.sendall(chunk)
        except ConnectionError:
            pass  # it has hung up already
        assert b" 413 " in line.recv(4096)
    assert client.ledger() == before
    assert client.told("/api/next", ME)["item"]


def test_a_request_that_does_not_come_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SLOWEST", 0.05)
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as line:
        head = f"POST /api/next HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        line.sendall(f"{head}Content-Length: 9\r\n\r\n".encode())
        assert b" 408 " in line.recv(4096)


def test_a_slow_client_keeps_nobody_waiting(client: Client) -> None:
    head = (
        f"POST /api/answer HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 500\r\n\r\n"
    )
    slow = [socket.create_connection(("127.0.0.1", client.port), timeout=20) for _ in range(60)]
    for line in slow:
        line.sendall(head.encode() + b"{")
    item = client.told("/api/next", ME)["item"]
    client.told("/api/answer", {**ME, "id": item["id"], "text": "positive"})
    assert read_state(client.folder).answers == {item["id"]: "positive"}
    for line in slow:
        line.close()
    assert client.told("/api/progress", {**ME, "active": False})["labels"] == 1


def test_the_token_is_kept_for_open_pages_and_for_nobody_else(tmp_path: Path) -> None:
    token = token_of(tmp_path)
    assert token_of(tmp_path) == token and len(token) >= 32
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("")  # a power cut
    again = token_of(tmp_path)
    assert again != token and len(again) >= 32
