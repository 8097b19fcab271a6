"""Who answers in the place of people: the model of a run, that model with its witnesses, or a witness alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from dal_nlp.core.batch import Prediction
from dal_nlp.core.errors import Unsupported, UserError, unknown
from dal_nlp.core.progress import Progress
from dal_nlp.data.corpus import Corpus
from dal_nlp.learners.head_checkpoint import StoredLayer
from dal_nlp.ledger.state import State
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.report.machines import machine_rows
from dal_nlp.span_witnesses.drafts import has_drafts
from dal_nlp.span_witnesses.listening import hears_in_columns
from dal_nlp.workflows.predict import TrainedRun

#: Who may give the machine's answers beside a witness: the model that reads the text alone, it with the witnesses, and
#: whoever was right most often on the run's audit sample.
MODEL, STACK, BEST = "model", "stack", "best"


@dataclass(frozen=True)
class Machine:
    """A source of answers.

    Attributes:
        name: MODEL, STACK or the name of a witness.
        run: Whose model it is, or beside whose model it was heard.
    """

    name: str
    run: TrainedRun

    @cached_property
    def _model(self) -> nn.Module:
        return self.run.load()

    def answers(self, examples: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Return the answer to each example."""
        if self.name in (MODEL, STACK):
            return self.run.answers(self._model, examples)
        return self._of_witness(examples) if examples else []

    def _of_witness(self, examples: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Return a witness's answer to each text, as sure as model and witnesses together are of it.

        That is fitted to the labels of the run. A text that it has no answer to goes to people: nothing is sure of it.
        """
        if hears_in_columns(self.run.task) or has_drafts(self.run.config, self.run.task):
            raise Unsupported(f"--answers-by {self.name} is for texts with one label: name model, or stack.")
        shares, log_probs = np.exp(self.run.log_probs(self._model, examples)), self.run.heard(self.name, examples)
        silent = np.asarray(np.isnan(log_probs).any(1))
        classes = np.where(silent, shares.argmax(1), np.nan_to_num(log_probs, nan=0.0).argmax(1))
        sure = np.where(silent, 0.0, shares[np.arange(len(classes)), classes])
        labels = self.run.task.labels
        return [Prediction(labels[k], float(p)) for k, p in zip(classes.tolist(), sure, strict=True)]

    def read(self, corpus: Corpus, cache: Path) -> list[Prediction]:
        """Return the answer to each text of a corpus; encodings that the run's cache holds are not computed again."""
        run = self.run
        if self.name != MODEL:
            return self.answers(fetch(corpus.dataset, range(len(corpus))))
        model = self._model  # whose tokenizer the task has from here on
        encoded = corpus.encoded(run.task)
        for remark in run.task.remarks({"rows": encoded}):
            run.progress.say(remark)
        if isinstance(model, StoredLayer):
            columns = set(encoded.column_names) - set(corpus.dataset.column_names)
            return model.pool(encoded, sorted(columns), cache).predict()
        draws = make_draws(run.config.draws, run.config.seed, 0)
        return Pool(encoded, model, run.task, draws, run.config.scoring, progress=run.progress).predict()


def named_machines(state: State, by: str, progress: Progress) -> list[str]:
    """Return the names of one machine, or of a cheap one and a dear one with a comma between; see ``answered_by``."""
    names = [answered_by(state, name.strip(), progress) for name in by.split(",")]
    if len(names) > 2 or len(set(names)) < len(names):
        raise UserError(f"--answers-by {by}: name one machine, or a cheap and a dear one, such as model,stack.")
    return names


def answered_by(state: State, by: str, progress: Progress) -> str:
    """Return who gives the answers: MODEL, STACK or the name of a witness of a run.

    Of BEST whoever was right most often on the run's audit sample, which neither trained nor will bound the error; the
    model where it is as good as another one.

    Raises:
        UserError: There is no such witness, or no audit sample to judge by.
    """
    rows = {row["name"]: row["pairs"] for row in machine_rows(state)}
    if by in (MODEL, STACK, *rows):
        return by
    if by != BEST:
        raise unknown("source of answers", by, (MODEL, STACK, BEST, *rows))
    last = state.metrics[-1] if state.metrics else None
    if last is None or last.on != "audit" or not last.beside:
        raise UserError(
            "--answers-by best compares machines by the audit sample of a run on texts with one label: name model or "
            "stack."
        )
    pairs = {MODEL: last.confusion, **rows}
    if STACK in last.beside:
        pairs[STACK] = last.beside[STACK]["confusion"]
    else:  # the run keeps its witnesses
        pairs = {STACK: last.confusion, **rows}
    right: dict[str, int] = {
        name: sum(n for truth, predicted, n in of if truth == predicted) for name, of in pairs.items()
    }
    best = max(right, key=lambda name: right[name])
    told = ", ".join(f"{name} {n}" for name, n in right.items())
    progress.say(f"Answers by {best}: right answers to the {last.size:,} audited texts: {told}.")
    return best
