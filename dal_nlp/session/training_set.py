"""The labeled examples of a run: what trains in a round, and with which weight in the loss."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray

from dal_nlp.core.config import Settings
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for
from dal_nlp.core.targets import Target, decode, encode_target
from dal_nlp.core.task import Task
from dal_nlp.core.text import counted
from dal_nlp.data.corpus import Corpus
from dal_nlp.learners.learner import Learner
from dal_nlp.learners.soft_labels import NO_TEXTS, SoftLabels
from dal_nlp.ledger.state import State
from dal_nlp.models.pool import fetch
from dal_nlp.models.vectors import Positions
from dal_nlp.session.evaluation import MakePool
from dal_nlp.signals import asking
from dal_nlp.strategies.probes import class_log_probs


class TrainingSet:
    """The labeled examples of a run.

    Attributes:
        soft: Texts that train beside them, where there are any in the place of pseudo-labels.

    Args:
        config: Of the run.
        task: Says which examples a model can learn from.
        state: What the ledger holds.
        corpus: The pool.
        data: The pool as the learner sees it.
        given: The other sets, likewise, by what they are for: "test", "validation", "labeled".
        learner: Of the rounds.
        progress: Where it is said what trains beside the labels.
    """

    def __init__(
        self,
        config: Settings,
        task: Task,
        state: State,
        corpus: Corpus,
        data: Dataset,
        sets: Mapping[str, Dataset],
        learner: Learner,
        progress: Progress,
    ) -> None:
        self._config, self._task, self._state = config, task, state
        self._corpus, self._data, self._given = corpus, data, sets
        self._learner, self._progress = learner, progress
        self._known: tuple[dict[str, Target], Dataset] | None = None
        self.soft = NO_TEXTS

    def size(self) -> int:
        """Return how many labels train: those bought for training and those given."""
        labeled = self._given.get("labeled")
        return len(self._state.training_ids) + (len(labeled) if labeled else 0)

    def of_round(self, round: int) -> tuple[Dataset, NDArray[np.float64]]:
        """Return all examples that train in a round, its pseudo-labels last, and their weights in the loss.

        Where machines teach, texts of the pool by what these say stand in the place of pseudo-labels.
        """
        examples = self._learnable(self.examples(round))
        weights = np.ones(len(examples))
        if self._config.training.class_weights == "balanced":
            weights = np.array(self._task.weights([decode(text) for text in examples["target"]]))
        soft = self.soft if len(self.soft) else self._lessons(round, examples)
        if len(soft):
            return soft.beside(examples, weights, self._task.labels, self._data)
        predicted = self._state.pseudo.get(round)
        if not predicted:
            return examples, weights
        targets = dict(zip(predicted.ids, predicted.targets, strict=True))
        there = [id for id, row in zip(targets, self._corpus.find(list(targets)), strict=True) if row >= 0]
        believed = np.full(len(there), predicted.weight)  # whatever the classes' weights: there is a cap on each class
        return concatenate_datasets([examples, self._with(targets, there)]), np.concatenate([weights, believed])

    def unlearnable(self) -> int:
        """Return how many labels do not train, because the model could not give such an answer."""
        examples = self.examples()
        return len(examples) - len(self._learnable(examples))

    def examples(self, round: int | None = None) -> Dataset:
        """Return what has a label and trains in a round, in all if left out; made once for the same answers."""
        state = self._state
        ids = state.training_ids if round is None else state.trained_by(round)
        answers = {id: state.answers[id] for id in ids}
        if self._known is None or self._known[0] != answers:
            bought, labeled = self._with(answers, list(answers)), self._given.get("labeled")
            self._known = (answers, concatenate_datasets([bought, labeled]) if labeled else bought)
        return self._known[1]

    def audited(self) -> Dataset:
        """Return the audit sample, as far as it was answered."""
        return self._answered([id for id in self._state.audit or [] if id in self._state.answers])

    def _answered(self, ids: Sequence[str]) -> Dataset:
        """Return rows of the pool with the targets that the ledger holds."""
        return self._with(self._state.answers, ids)

    def _with(self, targets: Mapping[str, Target], ids: Sequence[str]) -> Dataset:
        """Return rows of the pool with targets by id."""
        rows = fetch(self._data, self._corpus.positions(ids))
        for row in rows:
            row["target"] = encode_target(targets[row["id"]])
        return Dataset.from_list(rows, features=self._data.features) if rows else self._data.select([])

    def _learnable(self, examples: Dataset) -> Dataset:
        """Return the examples whose targets the model could give."""
        rows = fetch(examples, range(len(examples)))
        return examples.select([i for i, row in enumerate(rows) if self._task.trainable(row)])

    def candidates(self, round: int) -> Positions:
        """Return the rows of the pool that were not asked about before a round, and measure nothing."""
        state = self._state
        asked_ids, here = [id for query in state.queries if query.round < round for id in query.ids], state.query(round)
        asked_ids += here.ids[: here.prefetched] if here else state.prefetched
        free = np.ones(len(self._corpus), dtype=bool)
        free[self._corpus.positions([*(state.audit or []), *asked_ids])] = False
        return np.flatnonzero(free)

    def draw_soft(self, round: int, pool: MakePool) -> SoftLabels:
        """Return random texts with what a layer that hears machines says of them; none where no machine counts.

        Args:
            round: The last one.
            pool: Gives examples under a model.
        """
        learner, teacher = self._learner, asking.teacher(self._learner, round)
        if teacher is None:
            return NO_TEXTS
        rows = self._draw(round, lambda rows: asking.answered(learner, round, self._data.select(rows)))
        if not len(rows):
            return NO_TEXTS
        texts = pool(self._data.remove_columns("target"), round, rows=rows, of=lambda _: teacher)
        (log_probs,) = texts.collect(class_log_probs)
        return SoftLabels(rows, np.exp(log_probs.astype(np.float64)))

    def _lessons(self, round: int, examples: Dataset) -> SoftLabels:
        """Return random texts with what machines say of them where they teach the model of each round."""
        shares = asking.lessons(self._learner, examples)
        if shares is None:
            return NO_TEXTS
        if round == 0 and self._config.audit and self._config.audit_design == "active":
            self._progress.say("Round 0 trains on labels alone: by its model the texts of the audit sample are drawn.")
            return NO_TEXTS
        rows = self._draw(round, lambda rows: ~np.isnan(shares[rows, 0]))
        return SoftLabels(rows, shares[rows])

    def _draw(self, round: int, answered: Callable[[Positions], NDArray[np.bool_]]) -> Positions:
        """Return rows of random texts that nobody was asked about after a round, and that measure nothing.

        They are among those of which a machine says anything; where these are fewer than wanted, they are all.
        """
        most, free = self._config.training.soft_labels, self.candidates(round + 1)
        if not most or not len(free):
            return np.zeros(0, dtype=np.int64)
        mixed = rng_for(self._config.seed, round, "soft labels").permutation(free)
        rows = np.sort(mixed[answered(mixed)][:most])
        if len(rows) < min(most, len(free)):
            amount = f"only {len(rows):,} of the {len(free):,} texts that may train so"
            self._progress.say(f"Signals that count have answered {amount}.")
        if len(rows):
            amount = f"{counted(len(rows), 'text')} of the pool"
            how = "by what layer and signals say" if asking.teacher(self._learner, round) else "by what signals say"
            self._progress.say(f"Beside the labels {amount} train, {how} of them (training.soft_labels).")
        return rows
