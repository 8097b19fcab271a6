"""``dal-nlp compare``: several strategies on the same seeds, and what one has from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dal_nlp.compare.arm_names import LLM, RANDOM, WORDS, parts, planned, random_of, spelled_out
from dal_nlp.compare.arms import Arm, read_arm
from dal_nlp.compare.baseline import BagOfWords
from dal_nlp.compare.jobs import FULL, Job, full_job, make_jobs, run_all
from dal_nlp.compare.machines import Alone, check_alone, judged_alone, machines_alone
from dal_nlp.compare.results import Results, compare
from dal_nlp.compare.verdict import Verdict, verdict, with_user_savings
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted
from dal_nlp.pretrained.auto_model import FASTER
from dal_nlp.report.learning_curves import Curve, common, paired
from dal_nlp.report.summary import spoken
from dal_nlp.session.config import AUTO_MODEL, RunConfig
from dal_nlp.tasks import task_class


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Attributes:
        folder: Where the files are.
        config: What all runs share.
        metric: The score that is compared.
        arms: Random first.
        baseline: Curves of TF-IDF and logistic regression on each arm's labels; empty where the task has no classes or
            there is no test set.
        full: Score of the model trained on all labels; None where it is not known.
        results: None where random has no curve, or no other arm has one.
        verdict: None where ``results`` is.
        seeds: First and last seed.
        remarks: What all runs found to say of the data, in sentences.
        alone: Machines without any label; empty where the arm ``llm`` was not asked for.
        pool: How many texts the pool has.
        hearing: Arms that hear machines.
        first_batches: What chose the first batch; several only in comparisons that an earlier version began.
    """

    folder: Path
    config: RunConfig
    metric: str
    arms: Sequence[Arm]
    baseline: Mapping[str, Curve]
    full: float | None
    results: Results | None
    verdict: Verdict | None
    seeds: tuple[int, int]
    remarks: Sequence[str] = ()
    alone: Sequence[Alone] = ()
    pool: int = 0
    hearing: frozenset[str] = frozenset()
    first_batches: tuple[str, ...] = ()

    def machine_money(self, arm: str) -> float:
        """Return what an arm pays for machines' answers to the pool, as much a text as for the test set."""
        return self.pool * sum(machine.each for machine in self.alone) if arm in self.hearing else 0.0

    def price(self, arm: Arm) -> float | None:
        """Return what labels and machines of a run of an arm cost, None without a price of labels."""
        labels = arm.costs.price(self.config.price_per_label) if arm.costs else None
        return None if labels is None else labels + self.machine_money(arm.name)


def run_comparison(
    values: Mapping[str, Any],
    strategies: Sequence[str],
    seeds: int,
    out: Path,
    jobs: int = 1,
    full_score: float | Literal["train", "none"] = "train",
    progress: Progress | None = None,
) -> Comparison:
    """Run every arm on every seed, as far as that has not been done, and compare them.

    Args:
        values: Of the configuration of all runs, as ``RunConfig`` takes them.
        strategies: The arms, see ``arm_names``; random ones with the same learners join them.
        seeds: How many, from the configuration's seed on.
        out: Folder of the comparison; each run has its own in ``runs/``.
        jobs: Runs at a time.
        full_score: Score of the model trained on all labels: a number, "train" to measure it once, or "none".
        progress: Where it is shown.

    Raises:
        UserError: A wrong setting, or no run of random or of all others came to anything.
    """
    progress = Silent() if progress is None else progress
    config = RunConfig.of(values)
    if config.model == AUTO_MODEL:  # one encoder for all arms, whatever the machine does meanwhile
        values = {**values, "model": FASTER}
        config = RunConfig.of(values)
        progress.say(f"All arms have the encoder {FASTER}; --model names another one.")
    if LLM in strategies:
        check_alone(config)
    names = planned(spelled_out(strategies, config.strategy))
    arms = [name for name in names if parts(name)[1] != WORDS]
    planned_jobs = make_jobs(config, values, arms, seeds, out)
    extra = [full_job(config, values, out, arms[0])] if full_score == "train" else []
    failed = _run([*planned_jobs, *extra], jobs, progress)
    metric = task_class(config.task).metrics[0]
    gathered = [
        read_arm(arm, [job for job in planned_jobs if job.arm == arm], _errors(failed, planned_jobs, arm), metric)
        for arm in arms
    ]
    full = _full(extra[0], metric) if extra else (full_score if isinstance(full_score, float) else None)
    random = gathered[0].curve
    gathered[1:] = [_comparable(arm, random) for arm in gathered[1:]]
    curves = {arm.name: arm.curve for arm in gathered[1:] if arm.curve is not None}
    others = {name: curve for name, curve in curves.items() if random_of(name) == arms[0]}
    if random is None or not others:
        reasons = [f"{job.name}: {reason}" for job, reason in failed.items()]
        raise UserError(f"No two arms have a curve to compare ({'; '.join(reasons[:2]) or 'no round was finished'}).")
    results = compare(others, random, full, rng_for(config.seed, 0, "comparison"))
    baseline = _baseline(config, [job for job in planned_jobs if job not in failed], arms, metric)
    learners = {name: curve for name, curve in curves.items() if name == random_of(name)}
    if any(parts(name)[1] == WORDS for name in names) and arms[0] in baseline:
        learners[f"{RANDOM}@{WORDS}"] = baseline[arms[0]]
    judged = with_user_savings(verdict(results), results, others, learners, rng_for(config.seed, 0, "comparison"))
    found_alone = list[Alone]()
    if LLM in strategies:
        labels = next((state.labels for job in planned_jobs if (state := job.state()) is not None), [])
        found_alone = machines_alone(config, labels, metric, progress)
        by_name = {arms[0]: random, **curves}
        sentences = [sentence for one in found_alone for sentence in judged_alone(one, by_name, metric)]
        judged = replace(judged, sentences=(*judged.sentences, *sentences))
    return Comparison(
        folder=out,
        config=config,
        metric=metric,
        arms=gathered,
        baseline=baseline,
        full=full,
        results=results,
        verdict=judged,
        seeds=(config.seed, config.seed + seeds - 1),
        remarks=_shared_notes(planned_jobs),
        alone=found_alone,
        pool=max((state.pool.rows for job in planned_jobs if (state := job.state()) and state.pool), default=0),
        hearing=frozenset(job.arm for job in planned_jobs if job.config.signals),
        first_batches=tuple(sorted({job.config.initial_strategy for job in planned_jobs})),
    )


def _shared_notes(jobs: Sequence[Job]) -> list[str]:
    """Return the notes that every run has that has begun: those on the data, which all runs read."""
    notes = [state.notes for job in jobs if (state := job.state()) is not None]
    return [note for note in notes[0] if all(note in others for others in notes)] if notes else []


def _comparable(arm: Arm, random: Curve | None) -> Arm:
    """Return an arm as it is, or without its curve where that has no seed or no labels in common with random's."""
    if arm.curve is None or random is None:
        return arm
    try:
        common(paired(arm.curve, random))
    except ValueError as error:
        return Arm(arm.name, None, None, {**{seed: str(error) for seed in arm.curve.seeds}, **arm.errors})
    return arm


def _run(jobs: Sequence[Job], workers: int, progress: Progress) -> dict[Job, str]:
    """Run the jobs; return what went wrong."""
    failed: dict[Job, str] = {}
    for number, (job, error) in enumerate(run_all(jobs, workers, Silent()), start=1):
        if error is not None:
            failed[job] = error
        progress.say(f"{number} of {len(jobs)}: {job.name}{_came_to(job, error)}")
    return failed


def _came_to(job: Job, error: str | None) -> str:
    if error is not None:
        return f" failed ({error.rstrip('.')})"
    state = job.state()
    if state is None or not state.metrics:
        return ""
    name, value = next(iter(state.metrics[-1].values.items()))
    return f", {spoken(name)} {value:.3f} at {counted(state.metrics[-1].labels, 'label')}"


def _errors(failed: Mapping[Job, str], jobs: Sequence[Job], arm: str) -> dict[int, str]:
    return {job.seed: failed[job] for job in jobs if job.arm == arm and job in failed}


def _full(job: Job, metric: str) -> float | None:
    """Return the score on all labels, None where that run did not end."""
    state = job.state()
    return float(state.metrics[-1].values[metric]) if state is not None and state.metrics else None


def _baseline(config: RunConfig, jobs: Sequence[Job], arms: Sequence[str], metric: str) -> dict[str, Curve]:
    if config.test is None or Capability.SHARED_OUTCOMES not in task_class(config.task).capabilities:
        return {}
    words = BagOfWords(config, jobs)
    curves = {arm: words.curve([job for job in jobs if job.arm == arm], metric) for arm in arms}
    return {arm: curve for arm, curve in curves.items() if curve is not None}


__all__ = ["FULL", "Comparison", "run_comparison"]
