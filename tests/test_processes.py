"""Two processes choose and train as one does; only the first writes."""

import os
import subprocess
import sys
from pathlib import Path

from dal_nlp.ledger import read_state
from dal_nlp.processes import is_main, share, share_each
from tests import tiny
from tests.test_session import run, write


def test_one_process_shares_with_itself() -> None:
    assert is_main()
    assert share({"a": 1}) == {"a": 1}
    assert list(share_each(iter([1, 2, 3]))) == [1, 2, 3]


def test_two_processes_ask_for_the_same_examples_as_one(tmp_path: Path) -> None:
    write(tmp_path / "pool.jsonl", tiny.sentences(60))
    write(tmp_path / "test.jsonl", tiny.sentences(20, seed=1))
    model = tiny.save_model(tmp_path / "model", dropout=0.0)  # masks would differ between processes
    run(tmp_path, model, out=str(tmp_path / "one"), strategy="entropy")
    flags = f"--task sentiment --data {tmp_path}/pool.jsonl --test {tmp_path}/test.jsonl --model {model} --initial 6 "
    flags += f"--query-size 4 --rounds 2 --strategy entropy --out {tmp_path}/two "
    flags += "--set training.min_steps=3 --set training.epochs=1 --set training.learning_rate=1e-3"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "dal_nlp"]
    done = subprocess.run(
        [*launch, "run", *flags.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(Path(__file__).parent.parent)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    one, two = read_state(tmp_path / "one"), read_state(tmp_path / "two")
    assert [query.ids for query in two.queries] == [query.ids for query in one.queries]
    assert [point["values"] for point in two.metrics] == [point["values"] for point in one.metrics]
    assert done.stdout.count("Finished:") == 1
