"""Processes that end with the process that started them, however that one ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dal_nlp.core.distributed import GONE

ROOT = Path(__file__).parents[2]
SPAWNED = """
import multiprocessing, os, time
from dal_nlp.core import distributed

def work():
    print(os.getpid(), flush=True)
    while True:  # busy, as a fit is
        sum(range(1000))

if __name__ == "__main__":
    work.__module__ = "parent"
    distributed.spawn(work)
    time.sleep(600)
"""
#: A parent that is ended while its child still imports what it is to do.
IMPORTING = """
import multiprocessing, os, time
from dal_nlp.core import distributed

if multiprocessing.parent_process() and __name__ == "parent":
    print(os.getpid(), flush=True)
    time.sleep(600)

def work():
    pass

if __name__ == "__main__":
    work.__module__ = "parent"
    distributed.spawn(work)
    time.sleep(600)
"""
#: A child that shows a bar, as libraries do, when its parent ends it.
WITH_A_BAR = """
import multiprocessing, os
from dal_nlp.core import distributed

def work(line):
    from tqdm import tqdm

    list(tqdm(range(2), file=open(os.devnull, "w")))
    line.send("done")
    line.recv()

if __name__ == "__main__":
    work.__module__ = "parent"
    line, its = multiprocessing.Pipe()
    child = distributed.spawn(work, its)
    assert line.recv() == "done"
    child.terminate()
    child.join()
"""
LAUNCHED = """
import os, subprocess, sys, time
child = "import os, sys, time; from dal_nlp.core import distributed; distributed.end_with(int(sys.argv[1])); "
child += "print(os.getpid(), flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child, str(os.getpid())])
time.sleep(600)
"""


def is_there(process: int) -> bool:
    """Tell whether a process runs; what nobody has asked after (a zombie) does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.long
@pytest.mark.parametrize("code", [SPAWNED, IMPORTING, LAUNCHED], ids=["spawned", "importing", "launched"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_its_parent(tmp_path: Path, code: str, how: signal.Signals) -> None:
    (tmp_path / "parent.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "parent.py"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_there(child)
        parent.send_signal(how)
        parent.wait()
        end = time.monotonic() + GONE
        while is_there(child) and time.monotonic() < end:
            time.sleep(0.05)
        assert not is_there(child)


def test_a_child_that_is_ended_leaves_nothing_that_python_complains_of(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(WITH_A_BAR)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "parent.py"]
    ended = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
