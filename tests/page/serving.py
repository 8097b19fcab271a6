"""``dal-nlp annotate`` as its users start it: a process of its own, asked over the loopback."""

import http.client
import json
import os
import re
import select
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests import warm_processes

#: Seconds in which anything here has happened, on a machine that is busy with other things.
PATIENCE = 120


class Served:
    """The command, running for a folder from ``asking``."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder / "run"
        self._words = ["annotate", str(self.folder), "--port", "0", *flags]

    def __enter__(self) -> Self:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        ours, theirs = os.pipe()
        self._stdout = open(ours)
        with (self.folder.parent / "stderr.txt").open("a") as errors, open(os.devnull) as nothing:
            files = (nothing.fileno(), theirs, errors.fileno())
            self.process = warm_processes.start(self._words, Path.cwd(), environment, files, session=True)
        os.close(theirs)
        self.address = self._address()
        found = re.fullmatch(r"http://([^:]+):(\d+)/#(\S+)", self.address)
        assert found
        self.host, self.port, self.token = found[1], int(found[2]), found[3]
        return self

    def _address(self) -> str:
        said, end = "", time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([self._stdout], [], [], 1)[0]:
                line = self._stdout.readline()
                said += line
                found = re.search(r"http://\S+", line)
                if found:
                    return found[0]
                if not line:
                    break
        raise AssertionError(f"no address came: {said}{self.errors()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        self._stdout.close()

    def kill(self) -> None:
        """End the process that serves as a power cut does; the one that trains has to notice by itself."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C, which reaches all processes of the terminal; return the exit code and the last words."""
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(PATIENCE)
        return code, self._stdout.read()

    def errors(self) -> str:
        return (self.folder.parent / "stderr.txt").read_text()

    def ask(self, path: str, **body: Any) -> Any:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        line.request("POST", path, json.dumps(body), headers)
        reply = line.getresponse()
        data = json.loads(reply.read())
        line.close()
        assert reply.status == 200, data
        return data

    def progress(self, who: str = "anna") -> Any:
        return self.ask("/api/progress", who=who, tab="tab-of-the-test", active=False)

    def children(self) -> list[int]:
        """The processes that this one has started."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append(int(place.name))
        return found


def until(what: Any, seconds: float = PATIENCE) -> Any:
    """Return what a function returns once that is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
    return found


def alive(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
