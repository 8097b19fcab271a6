"""What a table costs to read and check, beside pyarrow's own reader, and the floor of what checking must do.

60 % of the speed of ``pyarrow.csv`` is wanted. The floor is one pass of pyarrow, a hash of each id and text by xxhash
(repeats, and texts that other sets hold), and one write of the rows to the disk: nothing else of the package's own.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc

from dal_nlp.data.corpus import read_pool
from dal_nlp.data.hashing import hash_all
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task


def make_table(path: Path, rows: int) -> None:
    """Write rows of an id, twelve words and an answer."""
    chance, words = random.Random(0), [f"word{i}" for i in range(5000)]
    with path.open("w") as file:
        file.write("id,text,label\n")
        for row in range(rows):
            file.write(f"r{row},{' '.join(chance.choices(words, k=12))} {row},{'pos' if row % 2 else 'neg'}\n")


def parse(path: Path) -> list[pa.RecordBatch]:
    """Return the table's blocks as pyarrow reads them."""
    options = pc.ReadOptions(use_threads=False)
    with pc.open_csv(str(path), read_options=options) as reader:
        return list(reader)


def hash_rows(blocks: list[pa.RecordBatch]) -> None:
    """Hash each id and each text."""
    for block in blocks:
        for name in ("id", "text"):
            hash_all(block.column(name).cast(pa.binary()).to_pylist())


def save(blocks: list[pa.RecordBatch], path: Path) -> None:
    """Write the rows as an Arrow stream that is on the disk at the end."""
    with path.open("wb") as file:
        with pa.ipc.new_stream(file, blocks[0].schema) as writer:
            for block in blocks:
                writer.write_batch(block)
        file.flush()
        os.fsync(file.fileno())


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return what work takes: seconds by the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Print the least seconds of each part over the repeats, and the two shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "pool.csv"
        make_table(table, args.rows)
        config = RunConfig(task="classification", data=str(table), labels=["neg", "pos"], oracle="file")
        task = make_task(config)
        parts: dict[str, list[tuple[float, float]]] = {"parse": [], "hash": [], "write": [], "read_pool": []}
        for repeat in range(args.repeats):
            blocks = parse(table)
            cache = folder / f"cache{repeat}"
            parts["parse"].append(seconds(lambda: parse(table)))
            parts["hash"].append(seconds(lambda blocks=blocks: hash_rows(blocks)))
            parts["write"].append(seconds(lambda blocks=blocks: save(blocks, folder / "written")))
            parts["read_pool"].append(
                seconds(lambda cache=cache: read_pool(str(table), task, config, cache, need_targets=False))
            )
    least = {name: tuple(map(min, zip(*found, strict=True))) for name, found in parts.items()}
    for name, (clock, processor) in least.items():
        print(f"{name:10} {clock:6.2f} s by the clock, {processor:6.2f} s of work")
    for index, what in enumerate(("by the clock", "of work")):
        alone, ours = least["parse"][index], least["read_pool"][index]
        floor = sum(least[name][index] for name in ("parse", "hash", "write"))
        print(f"{what}: {alone / ours:.0%} of pyarrow's speed; the floor has {alone / floor:.0%}")


if __name__ == "__main__":
    main()
