"""What audit labels are worth with a judge, whether intervals hold, and how much of a file people must label.

    python -m tests.benchmarks.bench_measuring answers --data DATA --out ANSWERS --model LANGUAGE_MODEL mr trec6
    python -m tests.benchmarks.bench_measuring tables --answers ANSWERS --draws 2000
    python -m tests.benchmarks.bench_measuring sources --answers ANSWERS --draws 1000

DATA holds a folder for each set, with train.jsonl of text and label, and llm_label and llm_confidence where a language
model has answered; LANGUAGE_MODEL is the witness of the other sets. `answers` runs active learning on each pool twice,
without and with the witness, and keeps what the last models say of every text (a set whose file is there is left out);
`tables` and `sources` draw.
"""

import argparse
import json
import random as randomness
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dal_nlp import RunConfig, Session
from dal_nlp.core.batch import Prediction
from dal_nlp.core.progress import Silent
from dal_nlp.inquiries.routing import SHARES
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.measuring.bounds import binomial_upper, cheapest_route, largest_cut, least_answers
from dal_nlp.measuring.design import active_probabilities, draw, inverse_weights
from dal_nlp.measuring.judge import fit_judge, log_odds
from dal_nlp.measuring.powered import powered_mean
from dal_nlp.session.context import Context
from dal_nlp.signals.learner import WitnessLearner
from dal_nlp.tasks.metrics import wilson
from tests.benchmarks.bench_signals import ASKED, REVIEW

Floats = NDArray[np.float64]

#: Texts of a pool at most, labels that train, and labels of the audit sample.
POOL, LABELS, AUDIT = 2400, 100, 100
ERRORS = (0.02, 0.05, 0.1)
#: A cheap machine and a dear one, and what an answer of the dear one and of people costs.
PAIR, PRICES = ("student", "stack"), (0.002, 0.08)


def read(data: Path, name: str) -> list[dict[str, Any]]:
    """Return rows of a set, at most ``POOL``, with ids of their own."""
    rows = [json.loads(line) for line in (data / name / "train.jsonl").open(encoding="utf-8")]
    randomness.Random(0).shuffle(rows)
    kept = (
        {"text": row["text"], "label": row["label"], "llm": row.get("llm_label"), "sure": row.get("llm_confidence")}
        for row in rows[:POOL]
    )
    return [{"id": str(i), **row} for i, row in enumerate(kept)]


def witness_of(name: str, rows: list[dict[str, Any]], model: str, pool: Path) -> dict[str, Any]:
    """Return the settings of a run whose witness is the stored answers of a set, or else a language model."""
    if any(row["llm"] for row in rows):
        return {"signals": [f"file:{pool},id=id,label=llm,confidence=sure"]}
    prompt, words = ASKED.get(name, (REVIEW, {}))
    return {"signals": [f"llm:{model}"], "llm": {"prompt": prompt, "words": dict(words)}}


@contextmanager
def finished_run(
    rows: list[dict[str, Any]], witness: Callable[[Path], dict[str, Any]]
) -> Iterator[tuple[Context, int]]:
    """Yield what a finished run works with, and its number of rounds."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pool = folder / "pool.jsonl"
        pool.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        values = {
            "task": "classification",
            "data": str(pool),
            "model": "minilm",
            "audit": 1,
            "initial": 20,
            "query_size": 20,
            "rounds": (LABELS - 20) // 20,
            "out": str(folder / "run"),
            "training": {"mode": "head"},
            "repeats": "first",
            **witness(pool),
        }
        config = RunConfig.load(flags=values)
        Session(config).run()
        with Ledger(folder / "run") as ledger:
            work = Context(config, folder / "run", ledger, None, None, None, None, Silent())
            yield work, len(ledger.state.metrics)


def said_of(work: Context, said: Sequence[Prediction]) -> dict[str, list[Any]]:
    """Return whether answers to the whole pool are right, and how sure they are."""
    right = [a.target == t for a, t in zip(said, work.corpus.targets(), strict=True)]
    return {"right": right, "confidence": [a.confidence for a in said]}


def trained(work: Context) -> list[bool]:
    """Tell of each text of the pool whether it has trained."""
    ids = set(work.training.examples()["id"])
    return [str(id) in ids for id in work.corpus.dataset["id"]]


def answers(name: str, rows: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """Return what the last models of two runs say of all rows, and what earlier folds said of those that trained."""
    with finished_run(rows, lambda _: {}) as (work, round):
        said = work.pool(np.arange(len(work.corpus)), round).predict()
        examples = work.training.examples()
        found = work.learner.held_out(examples)
        assert found is not None
        p, y = found
        llm = {row["id"]: row["llm"] for row in rows}
        ids = [str(id) for id in work.corpus.dataset["id"]]
        held = [work.task.labels[i] for i in p.argmax(1)]
        alone = {
            **said_of(work, said),
            "trained": trained(work),
            "agrees": [llm[id] is not None and llm[id] == a.target for id, a in zip(ids, said, strict=True)],
            "llm": any(llm.values()),
            "held_confidence": p.max(1).tolist(),
            "held_right": (p.argmax(1) == y).tolist(),
            "held_agrees": [llm[id] == label for id, label in zip(examples["id"], held, strict=True)],
        }
    with finished_run(rows, lambda pool: witness_of(name, rows, model, pool)) as (work, round):
        assert isinstance(work.learner, WitnessLearner)
        stack = work.pool(np.arange(len(work.corpus)), round)
        student = work._pool(work._data.remove_columns("target"), round - 1, of=work.learner.text_model)
        models = {"student": said_of(work, student.predict()), "stack": said_of(work, stack.predict())}
        return {**alone, "witness": {**models, "trained": trained(work)}}


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
            people, broken = guaranteed(1 - g, z == 0, error, draws)
            cells += [f"{100 * people:.0f}", f"{100 * broken:.1f}"]
        yield f"| {name} | {judge} | {z.mean():.2f} | {' | '.join(cells)} |"


def source_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield rows of the table of files with a stated error by who answers, and of what two machines cost together."""
    heard = found["witness"]
    sets = {"model": found, "student": heard["student"], "stack": heard["stack"]}
    for who, said in sets.items():
        left = ~np.array((found if who == "model" else heard)["trained"])
        wrong, u = ~np.array(said["right"])[left], 1 - np.array(said["confidence"])[left]
        cells = []
        for error in ERRORS:
            people, broken = guaranteed(u, wrong, error, draws)
            cells += [f"{100 * people:.0f}", f"{100 * broken:.1f}"]
        yield f"| {name} | {who} | {1 - wrong.mean():.2f} | {' | '.join(cells)} |"
    left = ~np.array(heard["trained"])
    pair = [(1 - np.array(heard[who]["confidence"])[left], ~np.array(heard[who]["right"])[left]) for who in PAIR]
    cells = []
    for error in ERRORS:
        people, asked, broken = routed(pair, error, draws)
        cells += [f"{100 * people:.0f} (stack {100 * asked:.0f})", f"{100 * broken:.1f}"]
    yield f"| {name} | student, stack | | {' | '.join(cells)} |"


def routed(pair: Sequence[tuple[Floats, NDArray[np.bool_]]], error: float, draws: int) -> tuple[float, float, float]:
    """Return the shares of a file that people label and that the dear machine is asked about, and broken promises."""
    (u, w), (v, x) = pair
    m, rng, total = min(len(u) // 2, 4 * least_answers(error)), np.random.default_rng(0), np.zeros(3)
    starts, mass = [-np.inf, *np.quantile(u, SHARES)], np.full(m, 1 / m)
    for _ in range(draws):
        rows = rng.permutation(len(u))[:m]
        of = (u[rows], v[rows]), (w[rows], x[rows])
        found = cheapest_route(
            *of, error, starts, PRICES, mass, lambda e, risk, m=m: binomial_upper(int(e.sum()), m, risk)
        )
        drawn = np.zeros(len(u), dtype=bool)
        drawn[rows] = True
        cheap = ~drawn & (u < found.cheap)
        dear = ~drawn & ~cheap & (v < found.dear)
        asked = ~cheap if found.dear > -np.inf else drawn
        total += [1 - (cheap | dear).mean(), asked.mean(), ((cheap & w) | (dear & x)).mean() > error]
    people, share, broken = total / draws
    return float(people), float(share), float(broken)


def guaranteed(u: Floats, wrong: NDArray[np.bool_], error: float, draws: int) -> tuple[float, float]:
    """Return the mean share of a file that people label, and how often it had more errors than promised."""
    m, rng = min(len(u) // 2, 4 * least_answers(error)), np.random.default_rng(0)
    people, broken = [], 0
    for _ in range(draws):
        rows = rng.permutation(len(u))[:m]
        cut = largest_cut(u[rows], wrong[rows], error, lambda e, m=m: binomial_upper(int(e.sum()), m))
        machine = u < cut.threshold
        machine[rows] = False
        broken += bool((machine & wrong).mean() > error)
        people.append(1 - machine.mean())
    return float(np.mean(people)), broken / draws


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("answers")
    make.add_argument("--data", type=Path, required=True)
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--model", required=True)
    make.add_argument("names", nargs="+")
    for command, draws in (("tables", 2000), ("sources", 1000)):
        show = commands.add_parser(command)
        show.add_argument("--answers", type=Path, required=True)
        show.add_argument("--draws", type=int, default=draws)
    given = parser.parse_args()
    if given.command == "answers":
        given.out.mkdir(parents=True, exist_ok=True)
        for name in given.names:
            place = given.out / f"{name}.json"
            if not place.exists():
                place.write_text(json.dumps(answers(name, read(given.data, name), given.model)), encoding="utf-8")
            print(name, flush=True)
        return
    sets = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(given.answers.glob("*.json"))}
    head = "".join(f" {100 * e:g} %: people | broken |" for e in ERRORS)
    if given.command == "sources":
        print(f"| set | answers by | accuracy |{head}\n|{'---|' * 9}")
        for name, found in sets.items():
            print("\n".join(source_rows(name, found, given.draws)), flush=True)
        return
    print("| set | judge | accuracy | plain | powered | active | powered | active | powered | active | bias |")
    print("|" + "---|" * 11)
    for name, found in sets.items():
        print("\n".join(audit_rows(name, found, given.draws)), flush=True)
    print(f"\n| set | judge | accuracy |{head}")
    print("|" + "---|" * 9)
    for name, found in sets.items():
        print("\n".join(guarantee_rows(name, found, given.draws // 2)), flush=True)


if __name__ == "__main__":
    main()
