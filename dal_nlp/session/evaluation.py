"""How good the models of a run are: numbers of rounds, what stopping rules read, and which of two models is better."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.batch import Prediction
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import rng_for
from dal_nlp.core.targets import Target, decode
from dal_nlp.core.task import Capability, Task
from dal_nlp.data.corpus import Corpus
from dal_nlp.learners.learner import Learner
from dal_nlp.ledger.events import RemeasuredEvent
from dal_nlp.ledger.state import State
from dal_nlp.measuring.design import FLOOR, active_probabilities, inverse_weights
from dal_nlp.measuring.judge import Judge
from dal_nlp.measuring.judging import evidence, judge_of_training
from dal_nlp.measuring.mistakes import agreement_of, mistakes, shown
from dal_nlp.measuring.powered import LEAST, powered_scores
from dal_nlp.measuring.scores import Sample, estimated_metrics, weighted_values
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.session.config import RunConfig
from dal_nlp.session.stopping import ON_EXAMPLES, ON_STOP_SET, check_metrics, reads
from dal_nlp.span_witnesses.listening import models_beside
from dal_nlp.strategies.normalized_entropy import normalized_entropy
from dal_nlp.tasks.metrics import paired_difference

if TYPE_CHECKING:
    from dal_nlp.tasks.hf_metrics import ExtraMetric

Floats = NDArray[np.float64]
MakeModel = Callable[[int], nn.Module]  # of a round

#: Examples of the set that measures whose predictions are kept in every round, for the report.
SHOWN = 5
#: Most texts of the pool on which the judge of an audit sample is asked; of models that write, so many for each label.
JUDGED, WRITTEN = 2000, 3
#: Known labels on which the metrics of ``--metric`` are tried before anybody is asked.
TRIED = 200


class MakePool(Protocol):
    """Gives examples, or some rows of them, under the model of a round."""

    def __call__(
        self, examples: Dataset, round: int, *, rows: Positions | None = None, of: MakeModel | None = None
    ) -> Pool:
        """Return the pool; ``of`` gives another model of the round."""


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
        learner: What trains.
        trained: Gives the examples that have a label and train.
        extra: The metrics beside the task's.
    """

    config: RunConfig
    task: Task
    state: State
    corpus: Corpus
    data: Dataset
    sets: Mapping[str, Dataset]
    pool: MakePool
    learner: Learner
    trained: Callable[[], Dataset]
    extra: Sequence["ExtraMetric"] = ()

    def measure(self, round: int) -> dict[str, Any]:
        """Evaluate the model of a round where it is to be measured; the numbers of the ``metrics`` event."""
        set_name, examples = self._measuring()
        validation = self.sets.get("validation")
        return {
            **self._numbers(set_name, examples, round),
            "agreement": agreement_of(self.task, self.state.queries[round], self.state.answers),
            "beside": self._beside(set_name, examples, round),
            "validation": self._evaluate(validation, round)[0] if validation else None,
        }

    def _beside(self, set_name: str, examples: Dataset, round: int) -> dict[str, Any]:
        """Return the values and the confusion of what stands beside the model of a round; see ``MetricsEvent``."""
        results = {}
        for name, of in models_beside(self.learner, heard=set_name == "audit").items():
            pool = self.pool(examples, round, of=of)
            answers, targets = pool.predict(), pool.targets
            rng = rng_for(self.config.seed, round, "interval")
            values, _ = self._scores(set_name, examples, [answer.target for answer in answers], targets, rng)
            wrong = mistakes(self.task, examples, answers, targets)
            results[name] = {"values": values, "confusion": wrong.get("confusion", [])}
        return results

    def measure_again(self, round: int) -> RemeasuredEvent:
        """Return the numbers of the model of a round on the audit sample as it is now."""
        set_name, examples = self._measuring()
        return RemeasuredEvent(round=round, **self._numbers(set_name, examples, round))

    def _numbers(self, set_name: str, examples: Dataset, round: int) -> dict[str, Any]:
        """Return what is measured of the model of a round on one set."""
        answers, targets = self._answers(examples, round)
        predictions = [answer.target for answer in answers]
        rng = rng_for(self.config.seed, round, "interval")
        few = rng_for(self.config.seed, 0, "shown").permutation(len(examples))[:SHOWN].tolist()  # always the same
        values, intervals = self._scores(set_name, examples, predictions, targets, rng)
        powered: dict[str, dict[str, Any]] = {}
        if set_name == "audit" and len(targets) >= LEAST:
            sample, rng = self._judged(examples, answers, round), rng_for(self.config.seed, round, "powered")
            powered = {
                name: {"value": of.value, "interval": [of.low, of.high], "worth": of.worth}
                for name, of in estimated_metrics(self.task, predictions, targets, sample, rng).items()
            }
        return {
            "on": set_name,
            "size": len(targets),
            "values": values,
            "intervals": intervals,
            "powered": powered,
            "breakdown": self.task.breakdown(predictions, targets),
            "shown": shown(self.task, examples, few, predictions, targets),
            **mistakes(self.task, examples, answers, targets),
            "added": [name for name in values if name not in self.task.metrics],
        }

    def _scores(
        self,
        set_name: str,
        examples: Dataset,
        predictions: Sequence[Target],
        targets: Sequence[Target],
        rng: np.random.Generator,
    ) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Return the metrics and their intervals; on an active audit sample each answer counts 1 / its probability."""
        weights = self._weights(examples) if set_name == "audit" else None
        if weights is None:
            return self._values(predictions, targets), self.task.intervals(predictions, targets, rng)
        estimates = estimated_metrics(self.task, predictions, targets, Sample.unjudged(weights), rng)
        values = weighted_values(self.task, predictions, targets, weights, rng)
        values |= {name: of.value for name, of in estimates.items()}
        values |= dict.fromkeys(self.state.metrics[0].added if self.state.metrics else (), math.nan)
        return values, {name: [of.low, of.high] for name, of in estimates.items()}

    def _weights(self, examples: Dataset) -> Floats | None:
        """Return what each example of the audit sample counts, None where all count the same."""
        drawn = self.state.audit_probabilities
        return inverse_weights(np.array([drawn[id] for id in examples["id"]])) if drawn else None

    def _judge(self) -> tuple[Judge, dict[str, Floats]]:
        """Return who judges the model's answers, and what it is fitted to by id; see ``judge_of_training``."""
        return judge_of_training(self.task, self.state, self.learner, self.trained())

    def _judged(self, examples: Dataset, answers: Sequence[Prediction], round: int) -> Sample:
        """Return what a judge expects of the audit sample, and of random texts of the pool."""
        judge, known = self._judge()
        most = JUDGED
        if Capability.GENERATED_TEXTS in self.task.capabilities:
            most = min(most, WRITTEN * len(examples))
        weights = self._weights(examples)
        apart = set(self.state.audit or []) if weights is None else set(self.state.queries[0].ids)
        untold = set(self.state.training_ids) - known.keys()  # its confidence in what it has learnt tells nothing
        free = np.ones(len(self.corpus), dtype=bool)
        free[self.corpus.positions([*(apart | untold)])] = False
        drawn = rng_for(self.config.seed, 0, "judged").permutation(np.flatnonzero(free))[:most]
        own = evidence(self.learner, examples, answers)
        return Sample(judge(own), self._expected(judge, np.sort(drawn), round, known), weights)

    def _expected(self, judge: Judge, rows: Positions, round: int, known: Mapping[str, Floats]) -> Floats:
        """Return what a judge expects of the answers of a round's model to rows of the pool.

        Of training examples it judges what is known of them.
        """
        ids = [str(id) for id in self.data.select_columns("id")[rows]["id"]] if len(rows) else []
        new = np.array([id not in known for id in ids], dtype=bool)
        features = np.array([known.get(id, np.zeros(len(judge.slopes))) for id in ids]).reshape(-1, len(judge.slopes))
        if new.any():
            unlabeled = self.data.remove_columns("target")
            pool = self.pool(unlabeled, round, rows=rows[new])
            features[new] = evidence(self.learner, unlabeled.select(rows[new]), pool.predict())
        return judge(features)

    def active_design(self, rows: Positions, size: int, round: int) -> Floats:
        """Return with which probability each of some rows of the pool enters an active audit sample of so many."""
        judge, _ = self._judge()
        return active_probabilities(self._expected(judge, rows, round, {}), size, FLOOR)

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

        rng = rng_for(self.config.seed, 0, "gain")
        weights = self._weights(examples) if name == "audit" else None
        return name, list(paired_difference(score, first, second, targets, rng, weights=weights))

    def _judging(self) -> tuple[str, Dataset]:
        """Return what may decide between two models, and its name: never the test set."""
        name = "validation" if "validation" in self.sets else "audit"
        return name, self.sets[name]

    def measure_start(self) -> dict[str, Any]:
        """Return the values of the model that no label has trained, and their intervals."""
        set_name, examples = self._measuring()
        _, predictions, targets = self._evaluate(examples, -1)
        rng = rng_for(self.config.seed, 0, "interval of the start")
        values, intervals = self._scores(set_name, examples, predictions, targets, rng)
        return {"values": values, "intervals": intervals}

    def _measuring(self) -> tuple[str, Dataset]:
        """Return the name of the set that measures, and its examples; raises ``UserError`` where there are none."""
        if "test" in self.sets:
            set_name, examples = "test", self.sets["test"]
        elif self.config.audit:
            set_name, examples = "audit", self.sets["audit"]
        else:
            set_name, examples = "validation", self.sets["validation"]
        if not len(examples):
            raise UserError(
                "Nothing in the audit sample has been answered, so there is nothing to measure on: give --test."
            )
        return set_name, examples

    def watched(self, round: int) -> dict[str, Any]:
        """Return what stopping rules read of the model of a round, {} where there are none.

        ``stop_set`` holds its predictions on random rows of the pool, always the same ones; ``uncertainty`` the mean of
        their entropies, each over its largest value; ``examples`` the score of each example that a rule may be told.
        """
        if self.config.stop is None:
            return {}
        readings: dict[str, Any] = {}
        if reads(self.config, ON_EXAMPLES):
            readings["examples"] = self._example_scores(round)
        if reads(self.config, ON_STOP_SET):
            drawn = rng_for(self.config.seed, 0, "stop set").permutation(len(self.corpus))[: self.config.stop_set]
            pool = self.pool(self.data.remove_columns("target"), round, rows=np.sort(drawn))
            (shares,) = pool.collect(normalized_entropy)
            readings["uncertainty"] = float(shares.mean())
            readings["stop_set"] = [prediction.target for prediction in pool.predict()]
        return readings

    def _example_scores(self, round: int) -> list[float]:
        """Return the score of each validation example, or of each where the run is measured.

        On the audit sample these are what adds up to the powered estimate, so that their mean is that.
        """
        set_name = "validation" if "validation" in self.sets else "test"
        examples = self.sets[set_name] if set_name in self.sets else self.sets["audit"]
        answers, targets = self._answers(examples, round)
        predictions = [answer.target for answer in answers]
        measures = self.task.agreement(predictions, targets)
        scores = next(iter(measures.values()), [float(a == b) for a, b in zip(predictions, targets, strict=True)])
        if set_name in self.sets or len(targets) < LEAST:
            return scores
        sample = self._judged(examples, answers, round)
        return list(powered_scores(np.array(scores), sample.g, sample.pool_g, sample.weights))

    def _evaluate(self, examples: Dataset, round: int) -> tuple[dict[str, float], list[Target], list[Target]]:
        answers, targets = self._answers(examples, round)
        predictions = [answer.target for answer in answers]
        return self._values(predictions, targets), predictions, targets

    def _answers(self, examples: Dataset, round: int) -> tuple[list[Prediction], list[Target]]:
        pool = self.pool(examples, round)
        return pool.predict(), pool.targets

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
