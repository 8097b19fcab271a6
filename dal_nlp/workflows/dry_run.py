"""One tiny round before the real ones, so that what can go wrong goes wrong at once."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import rankdata

from dal_nlp.core.config import TrainingConfig
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.core.task import Capability
from dal_nlp.core.text import counted
from dal_nlp.ledger.events import LabelEvent, QueryEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.models.trainer import number_of_steps
from dal_nlp.models.vectors import Positions
from dal_nlp.session.config import RunConfig
from dal_nlp.session.context import Context
from dal_nlp.session.folder import choose_folder, continued
from dal_nlp.session.query import select_batch
from dal_nlp.signals.preview import previews
from dal_nlp.span_witnesses.drafts import most_drafts
from dal_nlp.span_witnesses.listening import kinds_of
from dal_nlp.strategies import bayesian, probes
from dal_nlp.strategies.base import Selection
from dal_nlp.workflows.cost_estimate import RoundCost, estimate
from dal_nlp.workflows.show_signals import check_signals, without_signals

#: Rows of the pool, labels a round and optimizer steps of a rehearsal.
ROWS, LABELS, STEPS = 40, 2, 2
#: Labels that are named in what is said.
SHOWN = 5

#: What tells that a task's answers are labels.
_HAVE_LABELS = frozenset({Capability.SHARED_OUTCOMES, Capability.SEVERAL_LABELS})


@dataclass(frozen=True)
class DryRun:
    """What was checked, and how large the run will be; ``str`` says it in sentences.

    Attributes:
        sets: Usable rows by what they are for: "pool", "test", "validation", "labeled".
        rejected: Rows that the run would drop.
        labels: The label set; empty where examples have outcomes of their own.
        parameters: Of what is trained.
        device: Where the model runs.
        rounds: Rounds with a fit, the first one included.
        budget: Labels that may be bought.
        steps: Optimizer steps of all rounds; 0 where a fit is one layer.
        seconds: What the rehearsed round took, the loading of the model included.
        bald: Mean BALD in nats over the rehearsed rows, and its rank correlation with entropy; None where the
            strategy reads no draws.
        estimate: What a round will take on this machine; None where the whole pool was rehearsed.
        remarks: What should be known of the data, in sentences.
    """

    sets: dict[str, int]
    rejected: int
    labels: list[str]
    parameters: int
    device: str
    rounds: int
    budget: int
    steps: int
    seconds: float
    bald: tuple[float, float] | None
    estimate: RoundCost | None
    remarks: Sequence[str] = ()

    def __str__(self) -> str:
        """Return the sentences."""
        rows = ", ".join(f"{counted(count, 'row')} ({name})" for name, count in self.sets.items())
        names = ", ".join(self.labels[:SHOWN] + (["..."] if len(self.labels) > SHOWN else []))
        labels = f"{counted(len(self.labels), 'label')} ({names}), " if self.labels else ""
        dropped = f"Rows that would be dropped: {self.rejected:,}.\n" if self.rejected else ""
        draws = (
            f"Draws: mean BALD {self.bald[0]:.2g} nats, rank correlation with entropy {self.bald[1]:.2f}.\n"
            if self.bald
            else ""
        )
        steps = f", {counted(self.steps, 'optimizer step')}" if self.steps else ""
        estimate = f"\n{self.estimate}" if self.estimate else ""
        remarks = "".join(f"\n{remark}" for remark in self.remarks)
        return (
            f"Checked: the settings, {rows}, {labels}the model ({self._size()} to train, on "
            f"{self.device}) and one tiny round ({self.seconds:.1f} s).\n{dropped}{draws}"
            f"The run: up to {counted(self.rounds, 'round')}, each with a pass over the pool, "
            f"{counted(self.budget, 'label')}{steps}.{estimate}{remarks}"
        )

    def _size(self) -> str:
        """Return the number of parameters as people write it."""
        return (
            f"{self.parameters / 1e6:.1f} million parameters"
            if self.parameters > 1e5
            else f"{self.parameters:,} parameters"
        )


def dry_run(config: RunConfig, progress: Progress | None = None) -> DryRun:
    """Check everything that a run checks, then choose, train and predict once on a tiny part of the pool.

    It works in a temporary folder. Nobody is asked: where no file has the answer, the model's own stands in for it.
    Where the run folder exists already, what may not change is compared with it.

    Args:
        config: What would be run.
        progress: Where it is shown; nowhere if left out.

    Raises:
        UserError: What the run would raise.
    """
    progress = Silent() if progress is None else progress
    with TemporaryDirectory(prefix="dal-nlp-check-") as temporary:
        folder = Path(temporary)
        free = without_signals(config)  # nobody is asked, for money or otherwise
        if free.initial_strategy == config.initial_strategy:  # a run's own; else it would look like another run
            _compare(free, folder, progress)
        tiny = free.model_copy(update={"training": _tiny(config.training)})
        with Ledger(folder) as ledger:
            work = Context(tiny, folder, ledger, None, None, None, None, progress)
            check_signals(config, work)
            started = time.perf_counter()
            left = _round(work, ledger)
            seconds = time.perf_counter() - started
            signal_config = config.model_copy(update={"llm": work.config.llm, "budget": work.config.budget})
            most = most_drafts(signal_config, work.task)
            told = previews(signal_config, work.task, work.corpus, progress, work.given, kinds_of(work.task), most)
            machines = [line for one in told for line in one.lines()]
            remarks = [*ledger.state.notes, *machines]
            return _summary(work, config, seconds, _compare_draws(work, left), remarks)


def _compare(config: RunConfig, folder: Path, progress: Progress) -> None:
    """Let a copy of the run folder, if there is one, be opened with this configuration."""
    run = choose_folder(config)
    if not (run / "ledger.jsonl").is_file():
        return
    shutil.copy(run / "ledger.jsonl", folder)
    if (run / "cache").is_dir():
        shutil.copytree(run / "cache", folder / "cache")
    with Ledger(folder) as ledger:
        config = continued(config, ledger.state, progress.say)
        Context(config, folder, ledger, None, None, None, None, progress)
    (folder / "ledger.jsonl").unlink()


def _tiny(training: TrainingConfig) -> TrainingConfig:
    return training.model_copy(update={"min_steps": STEPS, "epochs": 1e-9})


def _round(work: Context, ledger: Ledger) -> Positions:
    """Choose with the pretrained model, label, train, choose again, and predict; return the rows not labeled."""
    rng = rng_for(work.config.seed, 0, "rehearsal")
    few = rng.permutation(work.candidates(0))[:ROWS]
    if work.config.initial:
        picked = few[_choose(work, few, 0, rng).positions]
        _label(work, ledger, picked)
        few = np.setdiff1d(few, picked)
    work.fit(0, *work.training.of_round(0))
    if len(few):
        _choose(work, few, 1, rng)
        work.predictions(work.pool(few, 1), np.arange(len(few)), work.ids(few))
    return few


def _compare_draws(work: Context, rows: Positions) -> tuple[float, float] | None:
    """Return mean BALD over rows of the pool and its Spearman correlation with entropy (0 where either is constant).

    A correlation near 1 says that the draws tell nothing that entropy does not.
    """
    if Capability.DRAWS not in work.strategy(1)[1].requires or len(rows) < 2:
        return None
    bald, entropy = work.pool(rows, 1).collect(bayesian.bald, probes.entropy)
    if np.ptp(bald) == 0 or np.ptp(entropy) == 0:
        return float(bald.mean()), 0.0
    return float(bald.mean()), float(np.corrcoef(rankdata(bald), rankdata(entropy))[0, 1])


def _choose(work: Context, few: Positions, round: int, rng: np.random.Generator) -> Selection:
    name, strategy = work.strategy(round)
    k = min(LABELS, len(few))
    return select_batch(name, strategy, work.pool(few, round), k, rng, work.config.query)


def _label(work: Context, ledger: Ledger, picked: Positions) -> None:
    """Write down a query and its answers, as the loop does."""
    ids, name = work.ids(picked), work.config.initial_strategy
    ledger.append(QueryEvent(round=0, ids=ids, scores=[0.0] * len(ids), texts=work.texts(ids), strategy=name))
    predicted = [prediction.target for prediction in work.pool(picked, 0).predict()]
    for id, known, answer in zip(ids, work.corpus.targets(picked), predicted, strict=True):
        ledger.append(LabelEvent(round=0, id=id, target=answer if known is None else known))


def _summary(
    work: Context, config: RunConfig, seconds: float, bald: tuple[float, float] | None, remarks: Sequence[str]
) -> DryRun:
    """Count what the run would do; ``config`` has the training as it will be."""
    labeled = len(work.given["labeled"]) if "labeled" in work.given else 0
    budget, audit = work.config.budget or 0, config.audit or 0
    bought, sizes = min(config.initial or 0, budget - audit), []
    for _ in range((config.rounds or 0) + 1):
        sizes.append(labeled + bought)
        if bought >= budget - audit:
            break
        bought = min(bought + config.query_size, budget - audit)
    model = work.learner.after(0)
    steps = [0 if work.learner.instant else number_of_steps(size, config.training) for size in sizes]
    rng = rng_for(config.seed, 0, "estimate")
    corpora = {"pool": work.corpus, **work.given}
    return DryRun(
        sets={name: len(corpus) for name, corpus in corpora.items()},
        rejected=sum(len(corpus.rejected) for corpus in corpora.values()),
        labels=list(work.task.labels) if _HAVE_LABELS & work.task.capabilities else [],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        device=str(next(model.parameters()).device),
        rounds=len(sizes),
        budget=budget,
        steps=sum(steps),
        seconds=seconds,
        bald=bald,
        estimate=estimate(work, steps[-1], rng) if len(work.candidates(1)) else None,
        remarks=list(remarks),
    )
