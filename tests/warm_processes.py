"""Processes that begin where the imports have ended: forked from one that has done them, so that each takes no seconds.

A forked one is a process of its own, with its own files, directory, environment, signals and end. That the command
starts from nothing is for the few tests that start it so. Learning curves are left blank.
"""

import atexit
import fcntl
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import termios
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

ROOT = Path(__file__).parents[1]
#: Bytes of the longest request: words, a directory and an environment.
_LONGEST = 1 << 17


class Process:
    """A command that runs in a process of its own; as much of ``subprocess.Popen`` as the tests need."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pid = int(line.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; minus the signal that has ended it."""
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        code = self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def _read(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._line], [], [], timeout)[0]:
            self.returncode = int(self._line.recv(64))
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    files: tuple[int, int, int],
    session: bool = False,
    terminal: bool = False,
) -> Process:
    """Start ``dal-nlp`` with some words.

    Args:
        words: The command line, without the program's name.
        cwd: The directory it starts in.
        environment: All variables that it finds.
        files: What its standard input, output and error are.
        session: Whether it leads a session, and so a group that can be sent a signal.
        terminal: Whether standard input is the terminal whose Ctrl-C it hears.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {
        "words": list(words),
        "cwd": str(cwd),
        "environment": dict(environment),
        "session": session,
        "terminal": terminal,
    }
    with theirs:
        socket.send_fds(_server(), [json.dumps(request).encode()], [*files, theirs.fileno()])
        return Process(ours)


def run(
    words: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run ``dal-nlp`` with some words to its end, and return what it has printed."""
    with TemporaryFile() as out, TemporaryFile() as error, open(os.devnull) as nothing:
        code = start(words, cwd, environment, (nothing.fileno(), out.fileno(), error.fileno())).wait(timeout)
        printed = []
        for file in (out, error):
            file.seek(0)
            printed.append(file.read().decode())
    return subprocess.CompletedProcess(list(words), code, *printed)


@cache
def _server() -> socket.socket:
    """The line to the process from which the others are forked; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_processes", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        )

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> None:
    """Fork a process for each request, and say how it ended, until nobody asks any more."""
    import dal_nlp_cli.main  # noqa: F401
    import tests.tiny  # noqa: F401 - with it come the libraries
    from tests.pictures import leave_blank

    leave_blank()
    lines: dict[int, socket.socket] = {}
    heard, rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(rung)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and this one is nobody's
    while True:
        ready, _, _ = select.select([control, heard], [], [])
        if heard in ready:
            os.read(heard, 4096)
            for pid in list(lines):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with lines.pop(pid) as line:
                        line.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        if control in ready:
            data, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
            if not data:
                return
            pid = os.fork()
            if not pid:
                for other in (control, *lines.values()):
                    other.close()
                os.close(files[3])
                _become(json.loads(data), files[:3])
            lines[pid] = socket.socket(fileno=files[3])
            lines[pid].sendall(str(pid).encode())
            for file in files[:3]:
                os.close(file)


def _become(request: dict[str, Any], files: Sequence[int]) -> None:
    """Be the command, and end."""
    code: Any = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request["session"]:
            os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        if request["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[:0] = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        sys.path[:0] = [""]  # as with -m
        sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.argv = ["dal-nlp", *request["words"]]
        runpy.run_module("dal_nlp", run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
