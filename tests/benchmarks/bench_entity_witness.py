"""Entities with a machine as witness: F1 by labels, together, by the labels alone, and of the machine alone.

    python -m tests.benchmarks.bench_entity_witness --data DIR [--labels 20 80 160] [--seeds 2] [--pool 400]
        [--test 400] [--model FOLDER] [--cache FOLDER] [--llm FOLDER]

DIR has train.jsonl and test.jsonl with tokens and ner_tags. The machine is a language model where --llm names one, else
a stand-in made of the right answers: it leaves out some of the entities, gives some another label and lists words that
are none, see ``spoilt``. Labels are drawn at random.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dal_nlp import RunConfig, run
from dal_nlp.downloads import demo
from dal_nlp.readers.entities.tags import TaggedSpan, decode_tags, encode_tags

#: Shares of entities that are left out, of the others that get another label, and of words that are listed besides.
MACHINES = {"good": (0.3, 0.1, 0.01), "poor": (0.5, 0.3, 0.05), "wrong": (1.0, 0.0, 0.1)}


def rows_of(file: Path, n: int, name: str) -> list[dict[str, Any]]:
    """Return n rows of a file, evenly spread over it."""
    lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line]
    rows = [json.loads(lines[place]) for place in np.linspace(0, len(lines) - 1, n).astype(int)]
    return [{**row, "id": f"{name}-{place}"} for place, row in enumerate(rows)]


def spoilt(tags: Sequence[str], how: str, labels: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return what a machine says in the place of right tags."""
    missed, exchanged, added = MACHINES[how]
    runs = [run for run in decode_tags(tags).runs if rng.random() >= missed]
    runs = [run._replace(label=str(rng.choice(labels))) if rng.random() < exchanged else run for run in runs]
    taken = {place for run in decode_tags(tags).runs for place in range(run.first, run.last)}
    free = [place for place in range(len(tags)) if place not in taken and rng.random() < added]
    return encode_tags([*runs, *(TaggedSpan(place, place + 1, str(rng.choice(labels))) for place in free)], len(tags))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=int, nargs="+", default=[20, 80, 160])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pool", type=int, default=400)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--model", default=None, help="the encoder; the demonstration's if left out")
    parser.add_argument("--cache", default=None)
    parser.add_argument("--llm", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {
            "data": rows_of(options.data / "train.jsonl", options.pool, "pool"),
            "test": rows_of(options.data / "test.jsonl", options.test, "test"),
        }
        every = [row for rows in sets.values() for row in rows]
        labels = sorted({run.label for row in every for run in decode_tags(row["ner_tags"]).runs})
        files = {key: write(folder / f"{key}.jsonl", rows) for key, rows in sets.items()}
        machines = {} if options.llm is None else {"llm": f"llm:{options.llm}"}
        for how in MACHINES if options.llm is None else ():
            rng = np.random.default_rng(0)
            said = [{"id": row["id"], "entities": spoilt(row["ner_tags"], how, labels, rng)} for row in every]
            machines[how] = f"file:{write(folder / f'{how}.jsonl', said)}"
        for how, signal in machines.items():
            for seed in range(options.seeds):
                for count in options.labels:
                    started = time.perf_counter()
                    config = RunConfig(
                        task="ner",
                        **files,
                        labels=labels,
                        model=options.model or str(demo.encoder()),
                        cache=options.cache or str(folder / "cache"),
                        out=str(folder / f"{how}-{seed}-{count}"),
                        seed=seed,
                        initial=count,
                        budget=count,
                        rounds=0,
                        query_size=1,
                        initial_strategy="random",
                        strategy="random",
                        training={"mode": "head"},
                        signals=[signal],
                        keep_witness=True,
                    )
                    point = run(config, quiet=how != "llm").curve[-1]
                    print(
                        f"{how:6} seed {seed} {count:4} labels  together {point['values']['f1']:.3f}  "
                        f"no label {point['start']['values']['f1']:.3f}  "
                        f"labels alone {point['beside']['people']['values']['f1']:.3f}  "
                        f"weights {list(point['learner']['signals'].values())} and {point['learner']['reader']}  "
                        f"{time.perf_counter() - started:.0f} s",
                        flush=True,
                    )


def write(file: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write rows as JSON lines; return where."""
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    main()
