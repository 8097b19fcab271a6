"""Machines alone in a comparison: what they answer to the test set without any label, and what all of it costs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dal_nlp.core.errors import ConfigError
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted
from dal_nlp.data.corpus import read_corpus
from dal_nlp.report.learning_curves import Curve, isotonic, labels_to
from dal_nlp.report.machines import answered
from dal_nlp.report.summary import spoken
from dal_nlp.session.config import RunConfig
from dal_nlp.signals import make_signals, short_name
from dal_nlp.signals.asking import ask_once, open_answers, texts_of
from dal_nlp.tasks import make_task, task_class

#: A score that a machine alone may lie below the best arm and still do.
NEGLIGIBLE = 0.01
#: A label of which a machine finds less than half, among so many texts at least, is named.
WEAK, SEEN = 0.5, 10
#: What stands for a missing answer, which is no label.
SILENT = "(no answer)"


@dataclass(frozen=True)
class Alone:
    """What a machine does alone.

    Attributes:
        name: What the report calls it.
        score: Of its answers to the test set; a text that it does not answer is wrong.
        interval: 95 % interval of ``score``.
        silent: Texts that it does not answer.
        texts: Of the test set.
        weak: Labels that it rarely finds: (label, found, texts that have it).
        each: Money for a text.
    """

    name: str
    score: float
    interval: tuple[float, float]
    silent: int
    texts: int
    weak: Sequence[tuple[str, int, int]]
    each: float


def check_alone(config: RunConfig) -> None:
    """Raise ``ConfigError`` where no machine can be measured alone: without a signal, a test set or single labels."""
    single = Capability.SHARED_OUTCOMES in task_class(config.task).capabilities
    if not config.signals or config.test is None or not single:
        raise ConfigError("The arm llm is a machine alone on a test set of one label a text: give --signal and --test.")


def machines_alone(config: RunConfig, labels: Sequence[str], metric: str, progress: Progress) -> list[Alone]:
    """Ask the machines of a configuration about its test set, each text once.

    Args:
        config: See ``check_alone``.
        labels: In the order in which the runs have them.
        metric: Of the comparison.
        progress: Where it is shown.
    """
    task = make_task(config)
    assert config.test is not None
    task.labels = list(labels)
    test = read_corpus(config.test, task, config, None, "test", need_targets=True)
    texts, ids, truth = texts_of(task, test.dataset), [str(id) for id in test.dataset["id"]], test.targets()
    cache, machines = open_answers(config), []
    for spec, signal in make_signals(config, list(map(str, labels)), progress).items():
        answers = ask_once(signal, cache, texts, ids, progress, short_name(spec))
        for remark in signal.news():
            progress.say(remark)
        predictions = [
            answered(None if a.log_probs is None else list(a.log_probs), task.labels) or SILENT for a in answers
        ]
        interval = task.intervals(predictions, truth, rng_for(config.seed, 0, "machines"))[metric]
        machines.append(
            Alone(
                short_name(spec),
                task.evaluate(predictions, truth)[metric],
                (interval[0], interval[1]),
                predictions.count(SILENT),
                len(predictions),
                _weak(predictions, list(map(str, truth))),
                sum(answer.cost for answer in answers) / len(answers),
            )
        )
    return machines


def _weak(predictions: Sequence[str], truth: Sequence[str]) -> list[tuple[str, int, int]]:
    seen = Counter(truth)
    right = Counter(label for label, prediction in zip(truth, predictions, strict=True) if label == prediction)
    return [(label, right[label], n) for label, n in sorted(seen.items()) if n >= SEEN and right[label] < WEAK * n]


def judged_alone(machine: Alone, curves: Mapping[str, Curve], metric: str) -> list[str]:
    """Say whether a machine alone would do in the place of the best arm, or would mislead, in sentences."""
    low, high = machine.interval
    best = max(curves, key=lambda name: float(curves[name].mean[-1]))
    curve = curves[best]
    top, last = float(curve.mean[-1]), f"{curve.labels[-1]:g} labels"
    silent = f" (no answer to {machine.silent:,}, which counts as wrong)" if machine.silent else ""
    sentence = (
        f"{machine.name} alone has {spoken(metric)} {machine.score:.3f} [{low:.3f}, {high:.3f}] on "
        f"{counted(machine.texts, 'test text')}{silent} without a label."
    )
    there = f"{best} has {top:.3f} with {last}"
    if low >= top - NEGLIGIBLE:
        judged = f"It alone would do: {there}, no more than {NEGLIGIBLE:g} above that interval."
    elif high < top:
        judged = f"It alone would mislead: {there}{_passed(machine.score, curve)}."
    else:
        judged = f"Whether it alone would do cannot be told: {there}; a larger --test would tell."
    weak = [f"{count} of {n} texts of {label!r}" for label, count, n in machine.weak]
    rare = [f"It finds only {', '.join(weak)}: counts of its answers would be wrong."] if weak else []
    return [sentence, judged, *rare]


def _passed(score: float, curve: Curve) -> str:
    """Return from how many labels on a curve lies above a score."""
    rising = isotonic(curve.mean)
    if float(rising[0]) >= score:
        return f" and is above it from the first point on, at {curve.labels[0]:g} labels"
    return f" and passes it at about {float(labels_to(curve.labels, rising, score)):.0f}"


def by_money(curve: Curve, price: float, machines: float) -> Curve:
    """Return a curve over the money that its labels cost, and machines where they are asked."""
    return Curve(np.asarray(curve.labels * price + machines), curve.scores, curve.seeds)
