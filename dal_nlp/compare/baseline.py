"""TF-IDF and logistic regression on the same labels: was the transformer needed?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dal_nlp.compare.arms import bought
from dal_nlp.compare.jobs import Job
from dal_nlp.data.corpus import Corpus, read_corpus
from dal_nlp.ledger.state import State
from dal_nlp.models.pool import fetch
from dal_nlp.report.learning_curves import Curve, stack
from dal_nlp.session.config import RunConfig
from dal_nlp.tasks import make_task


class BagOfWords:
    """Words and pairs of words, weighted by TF-IDF, under logistic regression; both as scikit-learn has them.

    The weights of words come from the texts that measure and those that any arm has bought: texts cost nothing.

    Args:
        config: Of the comparison; its task has classes and its scores come from a test set.
        jobs: Whose labels are learnt from.
    """

    def __init__(self, config: RunConfig, jobs: Sequence[Job]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        assert config.test is not None
        self._task = make_task(config)
        test = self._read(config, config.test, "test")
        self._truth = test.targets()
        measured = [self._task.show(row) for row in fetch(test.dataset, range(len(test)))]
        labeled = self._read(config, config.labeled, "labeled") if config.labeled else None
        self._given: list[Any] = labeled.targets() if labeled else []
        shown = [self._task.show(row) for row in fetch(labeled.dataset, range(len(labeled)))] if labeled else []
        states = {(job.arm, job.seed): state for job in jobs if (state := job.state()) is not None}
        texts = {id: text for state in states.values() for id, text, _ in bought(state)}
        self._places = {id: position for position, id in enumerate(texts, start=len(shown))}
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit([*shown, *texts.values(), *measured])
        self._test, self._pool = words.transform(measured), words.transform([*shown, *texts.values()])
        self._states = states

    def _read(self, config: RunConfig, source: str, name: str) -> Corpus:
        return read_corpus(source, self._task, config, None, name, need_targets=True)

    def curve(self, jobs: Sequence[Job], metric: str) -> Curve | None:
        """Return the learning curve on the labels that one arm's runs have bought; None where there are none."""
        curves = [self._one(job.seed, self._states[job.arm, job.seed], metric) for job in jobs if self._has(job)]
        return stack(curves) if curves else None

    def _has(self, job: Job) -> bool:
        state = self._states.get((job.arm, job.seed))
        return state is not None and len(state.metrics) > 1

    def _one(self, seed: int, state: State, metric: str) -> Curve:
        labels, scores = [], []
        for event in state.metrics:
            queries = [query for query in state.queries if query.round <= event.round]
            ids = [id for query in queries for id in query.ids if id in state.answers]
            labels.append(float(event.labels))
            scores.append(self._task.evaluate(self._predict(ids, state.answers), self._truth)[metric])
        return Curve(np.array(labels), np.array([scores]), (seed,))

    def _predict(self, ids: Sequence[str], answers: Mapping[str, Any]) -> list[Any]:
        """Learn from the labels that the team has already, and some more; predict the test set."""
        from sklearn.linear_model import LogisticRegression

        targets = [*self._given, *(answers[id] for id in ids)]
        if len(set(targets)) < 2:
            return [targets[0] if targets else None] * len(self._truth)
        model = LogisticRegression(C=10, max_iter=1000)
        model.fit(self._pool[[*range(len(self._given)), *(self._places[id] for id in ids)]], targets)
        predicted: list[Any] = model.predict(self._test).tolist()
        return predicted
