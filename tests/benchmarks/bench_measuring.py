"""What audit labels are worth with a judge, whether intervals hold, and how much of a file people must label.

    python -m tests.benchmarks.bench_measuring answers --data DATA --out ANSWERS --model LANGUAGE_MODEL mr trec6
    python -m tests.benchmarks.bench_measuring tables --answers ANSWERS --draws 2000
    python -m tests.benchmarks.bench_measuring scores --answers ANSWERS --draws 2000
    python -m tests.benchmarks.bench_measuring sources --answers ANSWERS --draws 1000
    python -m tests.benchmarks.bench_measuring several --answers ANSWERS --draws 1000

DATA holds a folder for each set, with train.jsonl of text and label, and llm_label and llm_confidence where a language
model has answered; LANGUAGE_MODEL is the witness of the other sets, which have none where it is left out. Of
go_emotions (text, labels) and wnut17 (tokens, ner_tags) there is no witness. `answers` runs active learning on each
pool, without and with the witness, and keeps what the last models say of every text and what the run's own judge
expects of it (a set whose file is there is left out); the other commands draw.
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
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.measuring.design import active_probabilities, draw, inverse_weights
from dal_nlp.measuring.judge import fit_judge, log_odds
from dal_nlp.measuring.judging import evidence, judge_of_training
from dal_nlp.measuring.powered import powered_mean, powered_score
from dal_nlp.measuring.scores import answer_scores, held_out_scores
from dal_nlp.session.context import Context
from dal_nlp.signals.learner import WitnessLearner
from dal_nlp.tasks.metrics import wilson
from dal_nlp.tasks.multilabel.measures import indicators
from tests.benchmarks.bench_signals import ASKED, REVIEW
from tests.benchmarks.promises import guaranteed, routed
from tests.benchmarks.tallies import Tally, tally

Floats = NDArray[np.float64]

#: Texts of a pool at most, labels that train, and labels of the audit sample.
POOL, LABELS, AUDIT = 2400, 100, 100
ERRORS = (0.02, 0.05, 0.1)
#: Labels where a text may have several, or entities, and the errors that are promised then.
MANY_LABELS, WIDER = 300, (0.05, 0.1, 0.2)
#: The plain interval of a score that is no mean is computed of one in so many draws.
SPARED = 4
#: A cheap machine and a dear one.
PAIR = ("student", "stack")


def read(data: Path, name: str) -> list[dict[str, Any]]:
    """Return rows of a set, at most ``POOL``, with ids of their own."""
    rows = [json.loads(line) for line in (data / name / "train.jsonl").open(encoding="utf-8")]
    randomness.Random(0).shuffle(rows)
    own = {"llm_label": "llm", "llm_confidence": "sure"}
    return [
        {**{own.get(key, key): value for key, value in row.items()}, "id": str(i)} for i, row in enumerate(rows[:POOL])
    ]


def witness_of(name: str, rows: list[dict[str, Any]], model: str | None, pool: Path) -> dict[str, Any]:
    """Return the settings of a run whose witness is the stored answers of a set, or else a language model.

    Raises:
        ValueError: There is none.
    """
    if has_answers(rows):
        return {"signals": [f"file:{pool},id=id,label=llm,confidence=sure"]}
    if model is None:
        raise ValueError(f"{name} has no witness")
    prompt, words = ASKED.get(name, (REVIEW, {}))
    return {"signals": [f"llm:{model}"], "llm": {"prompt": prompt, "words": dict(words)}}


def has_answers(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether a set holds a language model's answers."""
    return any(row.get("llm") for row in rows)


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
            **of_several(rows[0]),
            **witness(pool),
        }
        config = RunConfig.load(flags=values)
        Session(config).run()
        with Ledger(folder / "run") as ledger:
            work = Context(config, folder / "run", ledger, None, None, None, None, Silent())
            yield work, len(ledger.state.metrics)


def of_several(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run whose answers are several labels or entities, which take more of them; else {}."""
    more = {"initial": 60, "query_size": 60, "rounds": (MANY_LABELS - 60) // 60}
    if "labels" in row:
        return {"task": "multilabel", "audit": AUDIT, **more}
    return {"task": "ner", "audit": AUDIT, **more} if "tokens" in row else {}


def said_of(work: Context, said: Sequence[Prediction], expected: Sequence[float] = ()) -> dict[str, list[Any]]:
    """Return answers to the whole pool, how right and how sure they are, and what a judge expects of them."""
    targets, given = work.corpus.targets(), [a.target for a in said]
    right = answer_scores(work.task, given, targets)
    sure = [a.confidence for a in said]
    return {"said": given, "right": right.tolist(), "confidence": sure, "g": list(expected)}


def apart(work: Context) -> list[bool]:
    """Tell of each text of the pool whether it has trained, or was audited to fit thresholds."""
    ids = {*work.training.examples()["id"], *(work._ledger.state.audit or [])}
    return [str(id) in ids for id in work.corpus.dataset["id"]]


def judged(work: Context, said: Sequence[Prediction]) -> list[float]:
    """Return what the judge of a run expects of answers to the whole pool, as its audit would have it."""
    judge, _ = judge_of_training(work.task, work._ledger.state, work.learner, work.training.examples())
    return list(judge(evidence(work.learner, work._data, said)))


def judged_alone(work: Context, said: Sequence[Prediction]) -> list[float]:
    """Return what a judge would expect that sees the model's confidence and no machine's answer."""
    found = work.learner.held_out(work.training.examples())
    assert found is not None
    confidence, right = held_out_scores(*found)
    own = np.array([a.confidence for a in said], dtype=np.float64)
    return list(fit_judge(log_odds(confidence)[:, None], right)(log_odds(own)[:, None]))


def answers(name: str, rows: list[dict[str, Any]], model: str | None) -> dict[str, Any]:
    """Return what the last models of a run without a witness and, if there is one, of a run with it say of all rows."""
    with finished_run(rows, lambda _: {}) as (work, round):
        said = work.pool(np.arange(len(work.corpus)), round).predict()
        found = {"model": said_of(work, said, judged(work, said)), "targets": work.corpus.targets()}
        found |= {"apart": apart(work), "labels": list(work.task.labels)}
    if not has_answers(rows) and (model is None or of_several(rows[0])):
        return found
    with finished_run(rows, lambda pool: witness_of(name, rows, model, pool)) as (work, round):
        assert isinstance(work.learner, WitnessLearner)
        stack = work.pool(np.arange(len(work.corpus)), round).predict()
        student = work._pool(work._data.remove_columns("target"), round - 1, of=work.learner.text_model).predict()
        own = {**said_of(work, student, judged(work, student)), "g of confidence": judged_alone(work, student)}
        return {**found, "witness": {"student": own, "stack": said_of(work, stack), "apart": apart(work)}}


def judges(found: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], Floats, NDArray[np.bool_]]]:
    """Yield model, judge, what the model says, the judge's g of all texts, and which did not train."""
    yield "without signals", "confidence", found["model"], np.array(found["model"]["g"]), ~np.array(found["apart"])
    if "witness" in found:
        student, left = found["witness"]["student"], ~np.array(found["witness"]["apart"])
        yield "student", "confidence", student, np.array(student["g of confidence"]), left
        yield "student", "confidence and signal", student, np.array(student["g"]), left


def audit_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield rows of the table of intervals."""
    for model, judge, said, of_all, left in judges(found):
        g, z = of_all[left], np.array(said["right"], dtype=np.float64)[left]
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
        who = f"{name} | {model} | {judge} | {z.mean():.2f}"
        yield f"| {who} | {cover} | {worth} | {wider} | {max(map(abs, bias)):.4f} |"


def guarantee_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield the row of the table of files with a stated error."""
    left, said = ~np.array(found["apart"]), found["model"]
    wrong, u = np.array(said["right"])[left] < 1, 1 - np.array(said["confidence"])[left]
    cells = []
    for error in ERRORS:
        people, broken, _ = guaranteed(u, wrong, error, draws)
        cells += [f"{100 * people:.0f}", f"{100 * broken:.1f}"]
    yield f"| {name} | {1 - wrong.mean():.2f} | {' | '.join(cells)} |"


def several_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield the row of a set of several labels or entities: promised is the share of texts with any of them wrong."""
    left, said = ~np.array(found["apart"]), found["model"]
    wrong, u = np.array(said["right"])[left] < 1, 1 - np.array(said["confidence"])[left]
    each = None
    if isinstance(found["targets"][0], list):
        given, truth = (indicators(sets, found["labels"]) for sets in (said["said"], found["targets"]))
        each = (given != truth)[left]
    cells = []
    for error in WIDER:
        people, broken, worst = guaranteed(u, wrong, error, draws, each)
        cells += [f"{100 * people:.0f}", f"{100 * broken:.1f}", "" if each is None else f"{100 * worst:.1f}"]
    yield f"| {name} | {1 - wrong.mean():.2f} | {' | '.join(cells)} |"


def score_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield rows of the table of scores that are no means."""
    for model, judge, said, g, left in judges(found):
        score = tally(found, said)
        if score is None or (judge, model) == ("confidence", "student"):
            continue
        places, z = np.flatnonzero(left), np.array(said["right"], dtype=np.float64)
        some = np.random.default_rng(1).choice(places, 300)
        assert np.isclose(score.of(some), score.slow(some)) and np.isclose(score.of(places), score.slow(places))
        truth, rng = score.of(places), np.random.default_rng(0)
        held, widths, times, values = np.zeros(2), np.zeros(2), np.zeros(2), [list[float](), list[float]()]
        for number in range(draws):
            rows = rng.permutation(places)
            mine, rest = rows[:AUDIT], rows[AUDIT:]

            def of(drawn: NDArray[np.int64], score: Tally = score, mine: NDArray[np.int64] = mine) -> float:
                return score.of(mine[drawn])

            powered = powered_score(of, z[mine], g[mine], g[rest], rng)
            ends = [(powered.low, powered.high)]
            if number % SPARED == 0:  # a bootstrap that takes as long as all the rest
                ends.append(tuple(score.interval(mine, rng)))
            for place, (low, high) in enumerate(ends):
                held[place] += low <= truth <= high
                widths[place] += high - low
                times[place] += 1
            for one, value in zip(values, (score.of(mine), powered.value), strict=True):
                one.append(value)
        errors = [np.mean((np.array(of) - truth) ** 2) for of in values]
        bias = [np.mean(of) - truth for of in values]
        powered_cover, cover = 100 * held / times
        wider = 100 * (np.divide(*(widths / times)) - 1)
        yield (
            f"| {name} | {model} | {judge} | {score.name} {truth:.2f} | {cover:.1f} | {powered_cover:.1f} "
            f"| {AUDIT * errors[0] / errors[1]:.0f} | {wider:+.0f} | {bias[0]:+.3f} | {bias[1]:+.3f} |"
        )


def source_rows(name: str, found: Mapping[str, Any], draws: int) -> Iterator[str]:
    """Yield rows of the table of files with a stated error by who answers, and of what two machines cost together."""
    if "witness" not in found:
        return
    heard = found["witness"]
    sets = {"model": found["model"], "student": heard["student"], "stack": heard["stack"]}
    for who, said in sets.items():
        left = ~np.array((found if who == "model" else heard)["apart"])
        wrong, u = np.array(said["right"])[left] < 1, 1 - np.array(said["confidence"])[left]
        cells = []
        for error in ERRORS:
            people, broken, _ = guaranteed(u, wrong, error, draws)
            cells += [f"{100 * people:.0f}", f"{100 * broken:.1f}"]
        yield f"| {name} | {who} | {1 - wrong.mean():.2f} | {' | '.join(cells)} |"
    left = ~np.array(heard["apart"])
    pair = [(1 - np.array(heard[who]["confidence"])[left], np.array(heard[who]["right"])[left] < 1) for who in PAIR]
    cells = []
    for error in ERRORS:
        people, asked, broken = routed(pair, error, draws)
        cells += [f"{100 * people:.0f} (stack {100 * asked:.0f})", f"{100 * broken:.1f}"]
    yield f"| {name} | student, stack | | {' | '.join(cells)} |"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("answers")
    make.add_argument("--data", type=Path, required=True)
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--model")
    make.add_argument("names", nargs="+")
    for command, draws in (("tables", 2000), ("scores", 2000), ("sources", 1000), ("several", 1000)):
        show = commands.add_parser(command)
        show.add_argument("--answers", type=Path, required=True)
        show.add_argument("--draws", type=int, default=draws)
    given = parser.parse_args()
    if given.command == "answers":
        given.out.mkdir(parents=True, exist_ok=True)
        for name in given.names:
            place = given.out / f"{name}.json"
            if not place.exists():
                found = json.dumps(answers(name, read(given.data, name), given.model), default=float)
                place.write_text(found, encoding="utf-8")
            print(name, flush=True)
        return
    sets = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(given.answers.glob("*.json"))}
    several = {name for name, found in sets.items() if not isinstance(found["targets"][0], str)}
    single = {name: found for name, found in sets.items() if name not in several}
    tables = {
        "scores": [(sets, score_rows, "set | model | judge | score | plain | powered | worth | wider | bias | bias")],
        "sources": [(single, source_rows, f"set | answers by | accuracy |{_columns(ERRORS, 'people', 'broken')}")],
        "several": [
            (
                {name: sets[name] for name in sorted(several)},
                several_rows,
                f"set | right |{_columns(WIDER, 'people', 'broken', 'worst label')}",
            )
        ],
        "tables": [
            (single, audit_rows, "set | model | judge | accuracy | plain" + " | powered | active" * 3 + " | bias"),
            (single, guarantee_rows, f"set | accuracy |{_columns(ERRORS, 'people', 'broken')}"),
        ],
    }
    for of, rows, head in tables[given.command]:
        print(f"| {head} |\n|{'---|' * (head.count('|') + 1)}")
        for name, found in of.items():
            for row in rows(name, found, given.draws):
                print(row, flush=True)


def _columns(errors: Sequence[float], *names: str) -> str:
    return " | ".join(f" {100 * error:g} %: {name}" for error in errors for name in names)


if __name__ == "__main__":
    main()
