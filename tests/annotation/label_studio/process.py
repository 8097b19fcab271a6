"""A real Label Studio, from the environment that ``make label-studio`` makes."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

COMMAND = Path(__file__).parents[3] / ".venv-label-studio" / "bin" / "label-studio"
#: Of the accounts: who runs, and who else labels.
TOKEN, ANNA, BEN, PASSWORD = (
    "0123456789abcdef0123456789abcdef01234567",
    "anna@example.org",
    "ben@example.org",
    "a-Pass-4",
)
#: Seconds until the server has to answer: it makes its tables at its first start.
STARTING = 900
_direct = build_opener(ProxyHandler({}))


class StudioProcess:
    """A server on SQLite that can be killed and started again, and what people do there by its API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._accounts: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        """Start it and wait until it answers; nothing of it speaks to the outside."""
        settings = {
            "LABEL_STUDIO_USERNAME": ANNA,
            "LABEL_STUDIO_PASSWORD": PASSWORD,
            "LABEL_STUDIO_USER_TOKEN": TOKEN,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder / "data"),
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
        }
        words = ["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(COMMAND), *words], stdout=log, stderr=log, env=settings, cwd=self.folder, start_new_session=True
            )
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                self.call("GET", "/api/current-user/whoami")
                return
            except (OSError, HTTPError):
                time.sleep(0.5)
        raise AssertionError((self.folder / "server.log").read_text()[-3000:])

    def kill(self) -> None:
        """Kill it, with all of its processes, as a power cut would."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, method: str, path: str, values: Any = None) -> Any:
        """Ask its API as the owner of the token."""
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        data = None if values is None else json.dumps(values).encode()
        with _direct.open(Request(self.url + path, data, headers, method=method), timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def sign_up(self, address: str) -> None:
        """Make an account."""
        self.call("POST", "/api/users/", {"email": address, "username": address, "password": PASSWORD})

    def account(self, address: str) -> int:
        """Return the number of an account."""
        return next(user["id"] for user in self.call("GET", "/api/users/") if user["email"] == address)

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """Return the tasks of a project in the order of their numbers, with their annotations and predictions."""
        found = self.call("GET", f"/api/tasks?project={project}&fields=all&page_size=500")["tasks"]
        return sorted(found, key=lambda task: task["id"])

    def first(self, project: int) -> int:
        """Return the number of the task that a person is shown next."""
        return self.call("GET", f"/api/projects/{project}/next")["id"]

    def annotate(self, task: int, result: Any, by: str = ANNA, cancelled: bool = False) -> int:
        """Have a person answer a task; return the number of the annotation."""
        values = {"result": result, "was_cancelled": cancelled, "completed_by": self.account(by)}
        return self.call("POST", f"/api/tasks/{task}/annotations/", values)["id"]

    def change(self, annotation: int, result: Any) -> None:
        """Have a person change an answer."""
        self.call("PATCH", f"/api/annotations/{annotation}/", {"result": result})
