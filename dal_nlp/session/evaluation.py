"""How good the models of a run are: numbers of rounds, what stopping rules read, and which of two models is better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from datasets import Dataset

from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import generator
from dal_nlp.core.targets import Target, decode
from dal_nlp.core.task import Task
from dal_nlp.data.corpus import Corpus
from dal_nlp.ledger.state import State
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.vectors import Positions
from dal_nlp.session.config import RunConfig
from dal_nlp.session.stopping import ON_EXAMPLES, ON_STOP_SET, check_metrics, reads
from dal_nlp.strategies.normalized_entropy import normalized_entropy
from dal_nlp.tasks.metrics import paired_difference

if TYPE_CHECKING:
    from dal_nlp.tasks.hf_metrics import ExtraMetric

#: Examples of the set that measures whose predictions are kept in every round, for the report.
SHOWN = 5
#: Known labels on which the metrics of ``--metric`` are tried before anybody is asked.
TRIED = 200


class MakePool(Protocol):
    """Gives examples, or some rows of them, under the model of a round."""

    def __call__(self, examples: Dataset, round: int, *, rows: Positions | None = None) -> Pool:
        """Return the pool."""


@dataclass(frozen=True)
class Evaluation:
    """What measures the models of rounds.

    Attributes:
        config: Of the run.
        task: Its task.
        state: What its ledger holds.
        corpus: The pool.
        data: The pool as the learner sees it.
        sets: The other sets, likewise: "test", "validation", "labeled" as far as they were given, and "audit".
        pool: Gives examples under the model of a round.
        extra: The metrics beside the task's.
    """

    config: RunConfig
    task: Task
    state: State
    corpus: Corpus
    data: Dataset
    sets: Mapping[str, Dataset]
    pool: MakePool
    extra: Sequence["ExtraMetric"] = ()

    def measure(self, round: int) -> dict[str, Any]:
        """Evaluate the model of a round where it is to be measured; the numbers of the ``metrics`` event."""
        place, examples = self._measuring()
        values, predictions, targets = self._evaluate(examples, round)
        rng = generator(self.config.seed, round, "interval")
        validation = self.sets.get("validation")
        return {
            "on": place,
            "size": len(targets),
            "values": values,
            "intervals": self.task.intervals(predictions, targets, rng),
            "breakdown": self.task.breakdown(predictions, targets),
            "shown": self._shown(examples, predictions, targets),
            "agreement": self._agreement(round),
            "validation": self._evaluate(validation, round)[0] if validation else None,
            "added": [name for name in values if name not in self.task.metrics],
        }

    def known_labels(self) -> Dataset:
        """Return the examples whose labels are known before a run: those given, else those of the pool's own file."""
        if "labeled" in self.sets:
            return self.sets["labeled"]
        column = self.data.data.column("target")
        return self.data.select(np.flatnonzero(~np.asarray(column.is_null())))

    def judged_answers(self, round: int) -> list[Target]:
        """Return what the model of a round answers to what decides between two models; [] where there is nothing."""
        _, examples = self._judging()
        return self._evaluate(examples, round)[1] if len(examples) else []

    def gain_over(self, first: Sequence[Target], round: int) -> tuple[str, list[float]]:
        """Return by how much the model of a round is better than one that gave ``judged_answers``, and what told.

        Of the headline metric: [difference, low, high]; [] where nothing could tell.
        """
        name, examples = self._judging()
        if not len(examples):
            return "", []
        headline, (_, second, targets) = self.task.metrics[0], self._evaluate(examples, round)

        def score(predictions: Sequence[Target], truth: Sequence[Target]) -> float:
            return self.task.evaluate(predictions, truth)[headline]

        return name, list(paired_difference(score, first, second, targets, generator(self.config.seed, 0, "gain")))

    def _judging(self) -> tuple[str, Dataset]:
        """Return what may decide between two models, and its name: never the test set."""
        name = "validation" if "validation" in self.sets else "audit"
        return name, self.sets[name]

    def measure_start(self) -> dict[str, Any]:
        """Return the values of the model that no label has trained, and their intervals."""
        _, examples = self._measuring()
        values, predictions, targets = self._evaluate(examples, -1)
        rng = generator(self.config.seed, 0, "interval of the start")
        return {"values": values, "intervals": self.task.intervals(predictions, targets, rng)}

    def _measuring(self) -> tuple[str, Dataset]:
        """Return the name of the set that measures, and its examples; raises ``UserError`` where there are none."""
        if "test" in self.sets:
            place, examples = "test", self.sets["test"]
        elif self.config.audit:
            place, examples = "audit", self.sets["audit"]
        else:
            place, examples = "validation", self.sets["validation"]
        if not len(examples):
            raise UserError(
                "Nothing in the audit sample has been answered, so there is nothing to measure on: give --test."
            )
        return place, examples

    def watched(self, round: int) -> dict[str, Any]:
        """Return what stopping rules read of the model of a round, {} where there are none.

        ``stop_set`` holds its predictions on random rows of the pool, always the same ones; ``uncertainty`` the mean of
        their entropies, each over its largest value; ``examples`` the score of each example that a rule may be told.
        """
        if self.config.stop is None:
            return {}
        found: dict[str, Any] = {}
        if reads(self.config, ON_EXAMPLES):
            found["examples"] = self._example_scores(round)
        if reads(self.config, ON_STOP_SET):
            drawn = generator(self.config.seed, 0, "stop set").permutation(len(self.corpus))[: self.config.stop_set]
            pool = self.pool(self.data.remove_columns("target"), round, rows=np.sort(drawn))
            (shares,) = pool.collect(normalized_entropy)
            found["uncertainty"] = float(shares.mean())
            found["stop_set"] = [prediction.target for prediction in pool.predict()]
        return found

    def _example_scores(self, round: int) -> list[float]:
        """Return the score of each validation example, or of each where the run is measured."""
        place = "validation" if "validation" in self.sets else "test"
        examples = self.sets[place] if place in self.sets else self.sets["audit"]
        _, predictions, targets = self._evaluate(examples, round)
        measures = self.task.agreement(predictions, targets)
        return next(iter(measures.values()), [float(a == b) for a, b in zip(predictions, targets, strict=True)])

    def _shown(
        self, examples: Dataset, predictions: Sequence[Target], targets: Sequence[Target]
    ) -> list[dict[str, Any]]:
        """Return a few examples, the same in every round, with what the model says of them."""
        few = generator(self.config.seed, 0, "shown").permutation(len(examples))[:SHOWN]
        return [
            {"id": row["id"], "text": self.task.show(row), "target": targets[i], "prediction": predictions[i]}
            for i, row in zip(few.tolist(), fetch(examples, few), strict=True)
        ]

    def _agreement(self, round: int) -> dict[str, dict[str, float]]:
        """Return how well what the model would have answered agrees with the answers to a round's query, by id."""
        asked, answers = self.state.queries[round], self.state.answers
        guesses = {id: guess["target"] for id, guess in zip(asked.ids, asked.guesses, strict=False) if id in answers}
        if not guesses:
            return {}
        measured = self.task.agreement(list(guesses.values()), [answers[id] for id in guesses])
        return {id: {name: values[i] for name, values in measured.items()} for i, id in enumerate(guesses)}

    def _evaluate(self, examples: Dataset, round: int) -> tuple[dict[str, float], list[Target], list[Target]]:
        pool = self.pool(examples, round)
        predictions, targets = [prediction.target for prediction in pool.predict()], pool.targets
        return self._values(predictions, targets), predictions, targets

    def _values(self, predictions: Sequence[Target], targets: Sequence[Target]) -> dict[str, float]:
        """Return the task's metrics and those beside them, of the latter the columns that there are by now."""
        values = self.task.evaluate(predictions, targets)
        if not self.extra:
            return values
        from dal_nlp.tasks.hf_metrics import values_of  # seconds

        added, _ = values_of(self.extra, self.task, predictions, targets)
        columns = self.state.metrics[0].added if self.state.metrics else added
        return values | {name: added.get(name, math.nan) for name in columns}

    def try_metrics(self) -> list[str]:
        """Compute the metrics beside the task's on known labels, each its own prediction, where there are any.

        Returns:
            Remarks on what is left out.

        Raises:
            UserError: One cannot be computed of the task's answers, or a target is none of their columns.
        """
        from dal_nlp.tasks.hf_metrics import values_of

        known = [self.sets[name] for name in ("test", "validation") if name in self.sets] or [self.known_labels()]
        targets = [decode(text) for text in known[0][:TRIED]["target"]]
        added, remarks = values_of(self.extra, self.task, targets, targets) if targets else ({}, [])
        check_metrics(self.config, [*self.task.metrics, *added])
        return remarks
