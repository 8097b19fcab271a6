"""A small OpenAI-compatible endpoint that replays what a test tells it, mistakes included."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What is done with a request: (status, headers, body).
Answer = tuple[int, dict[str, str], bytes]


def reply(text: str, first: dict[str, float] | None = None, tokens: tuple[int, int] = (10, 1)) -> Answer:
    """Return a good reply, with log-probabilities of the first token where they are given."""
    choice: dict[str, Any] = {"message": {"content": text}}
    if first is not None:
        top = [{"token": token, "logprob": log_p} for token, log_p in first.items()]
        choice["logprobs"] = {"content": [{"token": text, "logprob": 0.0, "top_logprobs": top}]}
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage}).encode()


@contextmanager
def serve(answer: Callable[[dict[str, Any], int], Answer]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve on this machine; give the URL and the requests so far.

    Args:
        answer: Is given each request and how many were before it.
    """
    asked: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(asked)
                asked.append({**body, "key": self.headers.get("Authorization"), "path": self.path})
            status, headers, content = answer(body, number)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
