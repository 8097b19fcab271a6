"""Twenty people answer on the page while a model trains: how long an answer takes, from the key to the next text.

An answer is written, flushed to the disk and followed by the next text within the time that is measured. People read
for about a second, which is less than they do; ``--reading 0`` has all of them answer without a pause.

    python tests/benchmarks/bench_page.py [--people 20] [--answers 25] [--reading 1]
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from transformers import BertConfig, BertForSequenceClassification

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a script is not in the package `tests` by itself

from dal_nlp import RunConfig, Session
from tests import tiny
from tests import waiting_runs as asking
from tests.page.serving import Served


def prepare(folder: Path, labels: int) -> None:
    """Begin a run whose fits take far longer than the measurement: a random encoder of the size of MiniLM."""
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tiny.tokenizer()),
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=1536,
        )
    )
    model.save_pretrained(folder / "model")
    tiny.tokenizer().save_pretrained(folder / "model")
    flags = {
        **asking.flags("sentiment", folder),
        "data": asking.write(folder / "pool.jsonl", tiny.sentences(labels + 500)),
        "test": asking.write(folder / "test.jsonl", tiny.sentences(20, seed=1)),
        "model": str(folder / "model"),
        "initial": 20,
        "query_size": 100,
        "rounds": None,
        "budget": labels + 400,
        "training": {"min_steps": 4000, "epochs": 1, "learning_rate": 1e-4},
    }
    Session(RunConfig.load(flags=flags)).run()


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--answers", type=int, default=25, help="of each while the model trains")
    parser.add_argument("--reading", type=float, default=1.0, help="mean seconds of reading before each answer")
    words = parser.parse_args()
    count = words.people * words.answers
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(folder, count)
        with Served(folder, "--ahead", str(count + words.people)) as served:
            measure(served, words.people, words.answers, words.reading)


def measure(served: Served, people: int, answers: int, reading: float) -> None:
    """Answer the first round alone, then as many, and measure that."""
    alone = {"who": "first", "tab": "tab-of-the-first"}
    while not served.progress()["batch"]:
        time.sleep(0.2)
    for _ in range(20):
        item = served.ask("/api/next", **alone)["item"]
        served.ask("/api/answer", **alone, id=item["id"], text="positive")
    while not (told := served.progress())["learning"] or served.ask("/api/next", **alone)["item"] is None:
        time.sleep(0.5)
    took: list[float] = []
    trained: list[bool] = []

    def work(number: int) -> None:
        chance, me = random.Random(number), {"who": f"person {number}", "tab": f"tab-{number:05}"}
        item = served.ask("/api/next", **me)["item"]
        for place in range(answers):
            if item is None:
                return
            time.sleep(chance.uniform(0, 2 * reading))
            start = time.perf_counter()
            reply = served.ask("/api/answer", **me, id=item["id"], text="positive", request=f"{number} {place}")
            took.append(time.perf_counter() - start)
            item = reply["item"]
            if place % 4 == 0:  # as an open page asks every few seconds
                trained.append(served.progress(f"person {number}")["learning"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = sum(json.loads(line)["event"] == "label" for line in (served.folder / "ledger.jsonl").open())
    middle, high, most = np.percentile(took, (50, 95, 100)) * 1000
    print(f"{people} people, {len(took)} answers, a model training in {np.mean(trained):.0%} of the looks")
    print(f"answer and next text: median {middle:.0f} ms, 95th percentile {high:.0f} ms, longest {most:.0f} ms")
    print(f"labels in the ledger {labels}, answers sent {len(took) + 20}, rounds {told['round']}")


if __name__ == "__main__":
    main()
