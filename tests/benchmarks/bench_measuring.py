"""What audit labels are worth with a judge, whether intervals hold, and how much of a file people must label.

    python -m tests.benchmarks.bench_measuring answers --data DATA --out ANSWERS mr trec6
    python -m tests.benchmarks.bench_measuring tables --answers ANSWERS --draws 2000

DATA holds a folder for each set, with train.jsonl of text and label, and llm_label where a language model has answered.
`answers` runs active learning on each pool once and keeps what the last model says of every text; `tables` draws.
"""

import argparse
import json
import random as randomness
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp import RunConfig, Session
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.measuring.bounds import binomial_upper, largest_cut, least_answers
from dal_nlp.measuring.design import active_probabilities, draw, inverse_weights
from dal_nlp.measuring.judge import fit_judge, log_odds
from dal_nlp.measuring.powered import powered_mean
from dal_nlp.session.context import Context
from dal_nlp.tasks.metrics import wilson

Floats = NDArray[np.float64]

#: Texts of a pool at most, labels that train, and labels of the audit sample.
POOL, LABELS, AUDIT = 2400, 100, 100
ERRORS = (0.02, 0.05, 0.1)


def read(data: Path, name: str) -> list[dict[str, Any]]:
    """Return rows of a set, at most ``POOL``, with ids of their own."""
    rows = [json.loads(line) for line in (data / name / "train.jsonl").open(encoding="utf-8")]
    randomness.Random(0).shuffle(rows)
    kept = ({"text": row["text"], "label": row["label"], "llm": row.get("llm_label")} for row in rows[:POOL])
    return [{"id": str(i), **row} for i, row in enumerate(kept)]


def answers(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the last model of a run says of all rows, and what earlier folds said of those that trained."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pool = folder / "pool.jsonl"
        pool.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        values = {
            "task": "classification",
            "data": str(pool),
            "audit": 1,
            "initial": 20,
            "query_size": 20,
            "rounds": (LABELS - 20) // 20,
            "out": str(folder / "run"),
            "training": {"mode": "head"},
            "repeats": "first",
        }
        config = RunConfig.load(flags=values)
        Session(config).run()
        with Ledger(folder / "run") as ledger:
            work = Context(config, folder / "run", ledger, None, None, None, None, Silent())
            round = len(ledger.state.metrics)
            said = work.pool(np.arange(len(work.corpus)), round).predict()
            examples = work.training.examples()
            found = work.learner.held_out(examples)
            assert found is not None
            p, y = found
            llm = {row["id"]: row["llm"] for row in rows}
            ids = [str(id) for id in work.corpus.dataset["id"]]
            held = [work.task.labels[i] for i in p.argmax(1)]
            return {
                "right": [a.target == t for a, t in zip(said, work.corpus.targets(), strict=True)],
                "confidence": [a.confidence for a in said],
                "trained": [id in set(examples["id"]) for id in ids],
                "agrees": [llm[id] is not None and llm[id] == a.target for id, a in zip(ids, said, strict=True)],
                "llm": any(llm.values()),
                "held_confidence": p.max(1).tolist(),
                "held_right": (p.argmax(1) == y).tolist(),
                "held_agrees": [llm[id] == label for id, label in zip(examples["id"], held, strict=True)],
            }


def judges(found: Mapping[str, Any]) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield the name of each judge, its g and whether the answers are right, of texts that did not train."""
    left = ~np.array(found["trained"])
    z = np.array(found["right"], dtype=np.float64)[left]
    own, held = (log_odds(np.array(found[name])) for name in ("confidence", "held_confidence"))
    right = np.array(found["held_right"], dtype=np.float64)
    yield "confidence", fit_judge([held], right)([own[left]]), z
    if found["llm"]:
        features = [held, np.array(found["held_agrees"], dtype=np.float64)]
        also = np.array(found["agrees"], dtype=np.float64)[left]
        yield "confidence and LLM", fit_judge(features, right)([own[left], also]), z


def audit_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield rows of the table of intervals."""
    for judge, g, z in judges(found):
        rng = np.random.default_rng(0)
        held, widths, values = np.zeros(3), np.zeros(3), [list[float](), list[float](), list[float]()]
        design = active_probabilities(g, AUDIT)
        for _ in range(draws):
            rows = rng.permutation(len(z))
            mine, rest = rows[:AUDIT], rows[AUDIT:]
            plain = wilson(int(z[mine].sum()), AUDIT)
            uniform = powered_mean(z[mine], g[mine], g[rest])
            drawn = draw(design, rng)
            active = powered_mean(z[drawn], g[drawn], g, inverse_weights(design[drawn]))
            ends = [plain, (uniform.low, uniform.high), (active.low, active.high)]
            held += [low <= z.mean() <= high for low, high in ends]
            widths += [high - low for low, high in ends]
            for of, value in zip(values, (z[mine].mean(), uniform.value, active.value), strict=True):
                of.append(float(value))
        variances = [np.mean((np.array(of) - z.mean()) ** 2) for of in values]
        bias = [np.mean(of) - z.mean() for of in values]
        cover = " | ".join(f"{100 * share / draws:.1f}" for share in held)
        worth = " | ".join(f"{AUDIT * variances[0] / one:.0f}" for one in variances[1:])
        wider = " | ".join(f"{100 * (one / widths[0] - 1):+.0f}" for one in widths[1:])
        yield f"| {name} | {judge} | {z.mean():.2f} | {cover} | {worth} | {wider} | {max(map(abs, bias)):.4f} |"


def guarantee_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield rows of the table of files with a stated error."""
    for judge, g, z in judges(found):
        cells = []
        for error in ERRORS:
            m, rng = min(len(z) // 2, 4 * least_answers(error)), np.random.default_rng(0)
            people, broken = [], 0
            for _ in range(draws):
                rows = rng.permutation(len(z))[:m]
                cut = largest_cut(1 - g[rows], z[rows] == 0, error, lambda e, m=m: binomial_upper(int(e.sum()), m))
                machine = 1 - g < cut.threshold
                machine[rows] = False
                broken += bool((machine & (z == 0)).mean() > error)
                people.append(1 - machine.mean())
            cells += [f"{100 * np.mean(people):.0f}", f"{100 * broken / draws:.1f}"]
        yield f"| {name} | {judge} | {z.mean():.2f} | {' | '.join(cells)} |"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("answers")
    make.add_argument("--data", type=Path, required=True)
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("names", nargs="+")
    show = commands.add_parser("tables")
    show.add_argument("--answers", type=Path, required=True)
    show.add_argument("--draws", type=int, default=2000)
    given = parser.parse_args()
    if given.command == "answers":
        given.out.mkdir(parents=True, exist_ok=True)
        for name in given.names:
            (given.out / f"{name}.json").write_text(json.dumps(answers(read(given.data, name))), encoding="utf-8")
            print(name, flush=True)
        return
    sets = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(given.answers.glob("*.json"))}
    print("| set | judge | accuracy | plain | powered | active | powered | active | powered | active | bias |")
    print("|" + "---|" * 11)
    for name, found in sets.items():
        print("\n".join(audit_rows(name, found, given.draws)), flush=True)
    print("\n| set | judge | accuracy |" + "".join(f" {100 * e:g} %: people | broken |" for e in ERRORS))
    print("|" + "---|" * 9)
    for name, found in sets.items():
        print("\n".join(guarantee_rows(name, found, given.draws // 2)), flush=True)


if __name__ == "__main__":
    main()
