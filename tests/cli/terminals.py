"""A process behind a real pseudo-terminal, as a person would sit before it."""

import os
import pty
import re
import select
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests import warm_processes
from tests.cli.conftest import PATH

#: Seconds after which a text that was waited for is taken to be missing.
PATIENCE = 60
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Types keys into ``dal-nlp`` and reads its screen; the process is gone when the block ends."""

    def __init__(self, *words: str, cwd: Path, **environment: str) -> None:
        main, child = pty.openpty()
        self._main = main
        found = {**os.environ, "PYTHONPATH": PATH, "COLUMNS": "100", "TERM": "xterm", **environment}
        self._process = warm_processes.start(words, cwd, found, (child, child, child), session=True, terminal=True)
        os.close(child)
        self.screen = ""
        self._read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._main)

    def wait_for(self, text: str) -> str:
        """Return what is on the screen up to a text, from where the last one ended."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen[self._read :]:
            assert self._more(deadline - time.monotonic()), f"{text!r} never came; the screen:\n{self.screen}"
        start, self._read = self._read, self.screen.index(text, self._read) + len(text)
        return self.screen[start : self._read]

    def _more(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._main], [], [], max(0.0, seconds))
        try:
            data = os.read(self._main, 65536) if ready else b""
        except OSError:  # the process has ended
            data = b""
        self.screen += _STYLE.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
        return bool(data)

    def type(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> int:
        """Return the exit code, once the process is done."""
        deadline = time.monotonic() + PATIENCE
        while self._more(deadline - time.monotonic()):
            pass
        return self._process.wait(timeout=PATIENCE)
