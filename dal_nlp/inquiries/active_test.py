"""The test of a finished model on a file without labels: a few answers, drawn where they tell most."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError, writing
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.core.text import counted
from dal_nlp.data.repeats import REPEAT
from dal_nlp.inquiries.inquiry import AS_THE_RUN, FileColumns, open_inquiry
from dal_nlp.ledger.state import State
from dal_nlp.measuring.design import active_probabilities, draw, inverse_weights
from dal_nlp.measuring.judge import Judge, fit_judge, log_odds
from dal_nlp.measuring.powered import LEAST, Estimate
from dal_nlp.measuring.scores import Sample, answer_scores, estimated_metrics
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task
from dal_nlp.workflows.predict import TrainedRun, open_run


class FinishedModel(TrainedRun):
    """A classifier folder that no run has left: ``TrainedRun`` without a ledger."""

    def load(self) -> nn.Module:
        """Load the model of the folder."""
        self.task.tokenizer = load_tokenizer(str(self.folder))
        model: nn.Module = self.task.load(str(self.folder)).to(process_state().device)
        return model


@dataclass(frozen=True)
class ScoredModel:
    """What a test has shown.

    Attributes:
        scores: By metric; empty while answers are missing.
        answered: How many answers measure.
        pending: How many are missing.
        remarks: What to do next.
    """

    scores: dict[str, Estimate]
    answered: int
    pending: int
    remarks: list[str]


def active_test(
    folder: Path,
    source: str,
    budget: int,
    out: Path,
    oracle: str = "file",
    progress: Progress | None = None,
    columns: FileColumns = AS_THE_RUN,
) -> ScoredModel:
    """Measure a model on a file from so many answers of people; the same call goes on where answers were missing.

    Text i is drawn with a probability in proportion to sqrt(g (1 - g)), g being the chance that the model is right, and
    counts one over it (active inference: Zrnic & Candes, 2024). Texts that the run has labels of are left out.

    Args:
        folder: A run folder, or the folder of a classifier.
        source: The rows.
        budget: How many answers.
        out: Where questions and answers go.
        oracle: As in ``label_file``, and so are the rest.
        progress: See ``oracle``.
        columns: See ``oracle``.

    Raises:
        UserError: No model, a file that cannot be read, or too small a budget.
    """
    if budget < LEAST:
        raise UserError(f"--budget {budget} measures nothing: give {LEAST} or more.")
    shown = Silent() if progress is None else progress
    run = open_run(folder, shown) if (folder / "ledger.jsonl").is_file() else _finished(folder, source, shown)
    with open_inquiry(run, source, out, oracle, budget, columns) as inquiry:
        inquiry.begin("test", budget)
        rows, rng = inquiry.open, rng_for(run.config.seed, 0, "test")
        if len(rows) < 2:
            raise UserError(f"{source} has no two texts that the run has no labels of: there is nothing to test on.")
        g = judge_of(run)(log_odds(inquiry.confidence)[:, None])
        design = active_probabilities(g[rows], budget)
        drawn, ids = draw(design, rng), inquiry.ids
        inquiry.draw([ids[row] for row in rows[drawn]], design[drawn].tolist())
        pending = inquiry.ask()
        answers, probabilities = inquiry.state.answers, inquiry.state.audit_probabilities
        done = [id for id in inquiry.state.audit or [] if id in answers]
        remarks = inquiry.oracle.remarks(pending)
        repeats = sum(row.reason == REPEAT for row in inquiry.corpus.rejected)
        if repeats:
            remarks = [*remarks, f"{source} has {counted(repeats, 'repeat')} of earlier texts; each text counts once."]
        if pending or not done:
            return ScoredModel({}, len(done), len(pending), remarks)
        positions = inquiry.corpus.positions(done)
        weights = inverse_weights(np.array([probabilities[id] for id in done]))
        predicted = [inquiry.answers[position].target for position in positions]
        sample = Sample(g[positions], g[rows], weights)
        scores = estimated_metrics(run.task, predicted, [answers[id] for id in done], sample, rng)
        with writing(out / "test.json"):
            (out / "test.json").write_text(json.dumps({name: vars(of) for name, of in scores.items()}, indent=1))
        return ScoredModel(scores, len(done), 0, remarks)


def judge_of(run: TrainedRun) -> Judge:
    """Return who judges a run's model: fitted to what it said of each query before that was answered."""
    answers = run.state.answers
    pairs = [
        (prediction, answers[id])
        for query in run.state.queries
        for id, prediction in zip(query.ids, query.predictions, strict=False)
        if id in answers
    ]
    confidence = np.array([prediction["confidence"] for prediction, _ in pairs], dtype=np.float64)
    right = answer_scores(run.task, [prediction["target"] for prediction, _ in pairs], [target for _, target in pairs])
    return fit_judge(log_odds(confidence)[:, None], right)


def _finished(folder: Path, source: str, progress: Progress) -> TrainedRun:
    """Return a classifier folder as what answers; raises ``UserError`` where it is none."""
    try:
        labels = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    except (OSError, ValueError, KeyError):
        raise UserError(
            f"{folder} is neither a run folder nor a classifier: it lacks a config.json with labels."
        ) from None
    config = RunConfig.of({"task": "classification", "data": source, "model": str(folder)})
    task = make_task(config)
    task.labels = [str(labels[key]) for key in sorted(labels, key=int)]
    return FinishedModel(folder, config, task, State(), progress)
