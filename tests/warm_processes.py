"""Processes that begin where the imports have ended: forked from one that has done them, so that each takes no seconds.

A forked one is a process of its own, with its own files, directory, environment, signals and end; so are those that
``--processes`` has a forked one start. That the command starts from nothing is for the few tests that start it so.
Learning curves are left blank, and nothing waits for the disk.
"""

import atexit
import fcntl
import json
import logging
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import traceback
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

from torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler import SubprocessHandler

ROOT = Path(__file__).parents[1]
#: Bytes of the longest request: words, a directory and an environment.
_LONGEST = 1 << 17
#: What is imported before a process is forked: what most of them would import themselves.
_BEFORE = (
    "dal_nlp_cli.main",
    "dal_nlp_cli.run",
    "dal_nlp.compare.jobs",
    "dal_nlp.page.server",
    "dal_nlp.session.loop",
    "dal_nlp.workflows.annotate_live",
    "tests.session.killing",
    "tests.tiny",
    "tests.tiny_entities",
    "tests.tiny_summaries",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
)


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
    script: str = "",
) -> Process:
    """Start ``dal-nlp``, or a script, with some words.

    Args:
        words: The command line, without the program's name.
        cwd: The directory it starts in.
        environment: All variables that it finds.
        files: What its standard input, output and error are.
        session: Whether it leads a session, and so a group that can be sent a signal.
        terminal: Whether standard input is the terminal whose Ctrl-C it hears.
        script: A path; it runs in the place of ``dal-nlp``.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {
        "words": list(words),
        "cwd": str(cwd),
        "environment": dict(environment),
        "session": session,
        "terminal": terminal,
        "script": script,
    }
    with theirs:
        socket.send_fds(_server(), [json.dumps(request).encode()], [*files, theirs.fileno()])
        return Process(ours)


def run(
    words: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float = 300,
    script: str = "",
    typed: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run ``dal-nlp``, or a script, with some words to its end, and return what it has printed."""
    with TemporaryFile() as out, TemporaryFile() as error, TemporaryFile() as standard_input:
        standard_input.write(typed.encode())
        standard_input.seek(0)
        files = (standard_input.fileno(), out.fileno(), error.fileno())
        code = start(words, cwd, environment, files, script=script).wait(timeout)
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
    from tests.pictures import leave_blank

    for name in _BEFORE:
        import_module(name)
    leave_blank()
    os.fsync = lambda fd: None
    SubprocessHandler._popen = _fork  # type: ignore[method-assign,assignment]
    lines: dict[int, socket.socket] = {}
    heard, rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(rung)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and this one is nobody's
    watched: list[Any] = [control, heard]
    while True:
        ready, _, _ = select.select(watched, [], [])
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


def _become(request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Be the command, and end."""
    code: Any = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if request["session"]:
            os.setsid()
        for number, file in enumerate(files):
            if file != number:
                os.dup2(file, number)
                os.close(file)
        if request["terminal"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.path[:0] = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        sys.path[:0] = [str(Path(request["script"]).parent) if request["script"] else ""]  # as with -m
        sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.stdout = sys.__stdout__ = open(1, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.stderr = sys.__stderr__ = open(2, "w", buffering=1, closefd=False)  # type: ignore[misc]  # noqa: SIM115
        sys.argv = [request["script"] or "dal-nlp", *request["words"]]
        if request["script"]:
            runpy.run_path(request["script"], run_name="__main__")
        else:
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


class _Child:
    """A child of this process; as much of ``subprocess.Popen`` as torch's launcher needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.02)
        assert self.returncode is not None
        return self.returncode


def _fork(handler: SubprocessHandler, words: Sequence[str], environment: Mapping[str, str]) -> _Child:
    """Fork one of several processes of a command where torch's launcher would start Python; it leads a session."""
    _, *options, module = words[: words.index("dal_nlp") + 1]
    assert (options, module) == (["-P", "-m"], "dal_nlp"), words
    pid = os.fork()
    if pid:
        return _Child(pid)
    atexit._clear()  # what the launcher has opened is the launcher's to remove
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logging.disable(logging.NOTSET)
    files = [
        0,
        *(file.fileno() if file else i for i, file in enumerate((handler._stdout, handler._stderr), 1)),
    ]
    request = {"cwd": os.getcwd(), "environment": dict(environment), "session": True, "terminal": False, "script": ""}
    _become({**request, "words": list(words[words.index("dal_nlp") + 1 :])}, files)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
