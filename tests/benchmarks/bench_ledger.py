"""The cost of asking: 50,000 simulated answers against 25,000, and people's answers one by one.

What is timed is the ledger's part of a round that asks for N answers: the query, a check of each id, the answers in
JSON on the disk, the state, and reading all of it again. It has to be linear: twice the answers in at most 2.2 times.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from dal_nlp.annotation.answers import Label
from dal_nlp.ledger.events import ConfigEvent, QueryEvent
from dal_nlp.ledger.ledger import Ledger, read_state

#: Most that twice as many answers may cost.
LIMIT = 2.2


def seconds(n: int) -> tuple[float, float]:
    """Return what n answers take to write, and to read."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with Ledger(Path(folder)) as ledger:
            ids = [f"row-{i}" for i in range(n)]
            ledger.append(ConfigEvent(config={"task": "sentiment"}, labels=["n", "p"]))
            ledger.append(QueryEvent(round=0, ids=ids, scores=[0.5] * n, texts=ids, strategy="random"))
            answers = [Label(id, "p") for id in ledger.state.pending(ids)]
            assert all(answer.id in ledger.state.ever_asked for answer in answers)
            ledger.extend([answer.event(0) for answer in answers])
            assert not ledger.state.pending(ids) and ledger.state.spent == n
        written = time.perf_counter()
        assert read_state(Path(folder)).spent == n
        return written - started, time.perf_counter() - written


def one_by_one(n: int) -> float:
    """Return the seconds of one answer of a person, flushed to the disk, in a run of n earlier ones."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        ids = [f"row-{i}" for i in range(n + 100)]
        ledger.append(QueryEvent(round=0, ids=ids, scores=[0.5] * len(ids), texts=ids, strategy="random"))
        ledger.extend([Label(id, "p").event(0) for id in ids[:n]])
        started = time.perf_counter()
        for id in ids[n:]:
            ledger.append(Label(id, "p").event(0))
        return (time.perf_counter() - started) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=50_000)
    n = parser.parse_args().answers
    pairs = [(sum(seconds(n // 2)), sum(seconds(n))) for _ in range(3)]
    ratio = statistics.median(double / single for single, double in pairs)
    write, read = seconds(n)
    print(f"{n:,} answers: {write:.2f} s to write, {read:.2f} s to read; {ratio:.2f} times as long as half of them")
    print(
        f"a person's answer in a run of {n:,}: {1000 * one_by_one(n):.2f} ms; of 100: {1000 * one_by_one(100):.2f} ms"
    )
    assert ratio <= LIMIT, f"asking is not linear: twice as many answers take {ratio:.2f} times as long"


if __name__ == "__main__":
    main()
