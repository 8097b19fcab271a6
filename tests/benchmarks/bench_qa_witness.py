r"""Question answering with a language model as witness: F1 by labels, with it and without.

    python tests/benchmarks/bench_qa_witness.py --data DIR --signal KIND:WHAT [--labels 20 60 120] [--seeds 2]
        [--pool 200] [--test 120] [--cache FOLDER] [--mode full]

DIR has train.jsonl and test.jsonl as SQuAD, or is demo: questions of HotpotQA. The signal is llm: with a causal or
sequence-to-sequence model, or model: with a reader that has learnt elsewhere, such as on SQuAD:

    dal-nlp run --task qa --data squad_v1/train.jsonl --test squad_v1/test.jsonl --initial 3000 --budget 3000 \
        --rounds 0 --initial-strategy random --out runs/reader
    python tests/benchmarks/bench_qa_witness.py --data demo --signal model:runs/reader/model

Labels are drawn at random; the first column of the witness is F1 without a label, and rows without it are a cold start.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dal_nlp import RunConfig, run
from dal_nlp.downloads import demo


def some(file: Path, n: int) -> list[dict[str, Any]]:
    """Return n rows of a file, evenly spread over it."""
    lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line]
    return [json.loads(lines[place]) for place in np.linspace(0, len(lines) - 1, n).astype(int)]


def rows_of(data: str, name: str, n: int) -> list[dict[str, Any]]:
    """Return n rows of the pool ("train") or of the test set of some data."""
    if data != "demo":
        return some(Path(data) / f"{name}.jsonl", n)
    source = "demo:qa" if name == "train" else "demo:qa-test"
    return [row for _, row in demo.demo_rows(source)][:n]


def written(rows: Sequence[Mapping[str, Any]], into: Path) -> str:
    """Write rows into a file, and return its name."""
    into.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(into)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--signal", required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 60, 120])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pool", type=int, default=200)
    parser.add_argument("--test", type=int, default=120)
    parser.add_argument("--model", default=None, help="the reader; the demonstration's encoder if left out")
    parser.add_argument("--cache", default=None)
    parser.add_argument("--mode", default="full")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {
            "data": written(rows_of(options.data, "train", options.pool), folder / "pool.jsonl"),
            "test": written(rows_of(options.data, "test", options.test), folder / "test.jsonl"),
            "model": options.model or str(demo.encoder()),
            "cache": options.cache or str(folder / "cache"),
        }
        for seed in range(options.seeds):
            for labels in options.labels:
                for signals in ([options.signal], []):
                    started = time.perf_counter()
                    config = RunConfig(
                        task="qa",
                        **files,
                        out=str(folder / f"{seed}-{labels}-{len(signals)}"),
                        seed=seed,
                        initial=labels,
                        budget=labels,
                        rounds=0,
                        query_size=1,
                        initial_strategy="random",
                        strategy="random",
                        training={"mode": options.mode},
                        signals=signals,
                        keep_witness=bool(signals),
                    )
                    point = run(config, quiet=True).curve[-1]
                    start = point["start"]["values"]["f1"] if point.get("start") else float("nan")
                    beside = point["beside"]["people"]["values"]["f1"] if point["beside"] else float("nan")
                    weight = list(point["learner"].get("signals", {}).values())
                    print(
                        f"seed {seed}  {labels:4} labels  {'with' if signals else 'without':8} "
                        f"F1 {point['values']['f1']:.3f}  no label {start:.3f}  its reader alone {beside:.3f}  "
                        f"weights {weight} and {point['learner'].get('reader')}  {time.perf_counter() - started:.0f} s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
