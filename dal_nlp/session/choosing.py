"""The choice of a round: what is asked, what people may go on with, and what the model may answer itself."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for
from dal_nlp.ledger.events import OverflowEvent, PseudoLabelsEvent, QueryEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Positions
from dal_nlp.session.context import Context
from dal_nlp.session.query import select_batch
from dal_nlp.session.stopping import left_to_read
from dal_nlp.span_witnesses.drafts import draft, has_drafts
from dal_nlp.strategies.base import Selection
from dal_nlp.strategies.pseudo_labels import Policy

#: In the notes of a query: how many were left out, as a budget of what people read has no room for them.
BEYOND = "beyond_budget"


class RoundChoice:
    """The four steps of choosing in a round; a step whose event is in the ledger is skipped.

    Args:
        work: Of the run.
        ledger: Takes the ``select_batch``, ``overflow``, ``pseudo`` and ``drafts`` events.
        round: Whose choice it is.
        progress: Where sentences and bars go.
    """

    def __init__(self, work: Context, ledger: Ledger, round: int, progress: Progress) -> None:
        self._work, self._ledger, self._state, self._round = work, ledger, ledger.state, round
        self._progress = progress
        self._policy = work.pseudo_labels(round)
        # A fit that a crash left behind was made without pseudo-labels where there are none in the ledger.
        self._unfitted = work.learner.fitted(round) is None

    @property
    def is_open(self) -> bool:
        """Whether a step is still to be done."""
        return self._is_unchosen or bool(self._without_draft())

    @property
    def _is_unchosen(self) -> bool:
        return self._state.query(self._round) is None or self._wants_pseudo_labels() or self._further() > 0

    def _without_draft(self) -> list[str]:
        """Return what people are asked about in the round, or may go on with, and no machine was asked to draft yet."""
        if not has_drafts(self._work.config, self._work.task):
            return []
        events = (self._state.query(self._round), self._state.overflows.get(self._round))
        ids = [id for event in events if event is not None for id in event.ids]
        return [id for id in self._state.pending(ids) if id not in self._state.drafts]

    def _wants_pseudo_labels(self) -> bool:
        return self._policy is not None and self._unfitted and self._round not in self._state.pseudo

    def _further(self) -> int:
        """Return how many examples people may go on with; 0 where they have been chosen, or reading has a budget."""
        if left_to_read(self._work.config, self._state) is not None:
            return 0
        return self._work.further() if self._unfitted and self._round not in self._state.overflows else 0

    def make(self) -> None:
        """Choose, see ``is_open``, and have machines draft what people are asked to write."""
        if self._is_unchosen:
            self._choose()
        ids, work = self._without_draft(), self._work
        if ids:
            data = work.corpus.dataset.select(work.corpus.positions(ids))
            draft(work.config, work.task, self._ledger, self._progress, data, self._round)

    def _choose(self) -> None:
        """Choose what to ask, what comes after it, and what is not worth asking, from one pass over the pool."""
        work, round, event = self._work, self._round, self._state.query(self._round)
        # What the draw of the candidates depended on is how many were wanted.
        fewer = sum(event.notes.get(name, 0) for name in ("fewer_by_group", BEYOND)) if event else 0
        k = len(event.ids) - event.prefetched + fewer if event else work.wanted(round)
        positions = work.drawn(round, k)
        pool = work.pool(positions, round)
        started = time.perf_counter()  # what is loaded or encoded once is no time of choosing
        if self._policy is not None:
            pool.also(*self._policy.reads)
        if event is None:
            self._query(positions, pool, k, started)
        further = self._further()
        if further:
            self._continue(positions, pool, k, further)
        if self._policy is not None and self._wants_pseudo_labels():
            self._pseudo_label(positions, pool, self._policy)

    def _select(self, positions: Positions, pool: Pool, k: int) -> Selection:
        """Let the strategy of the round choose k of the pool, whose examples are at these positions of the corpus."""
        name, strategy = self._work.strategy(self._round)
        rng = rng_for(self._work.config.seed, self._round, "choose")
        return select_batch(name, strategy, pool, min(k, len(positions)), rng, self._work.config.query)

    def _within(self, selection: Selection, positions: Positions) -> Selection:
        """Leave out the last of a selection that a budget of what people read has no room for; the first one stays."""
        reading_budget = left_to_read(self._work.config, self._state)
        if reading_budget is None:
            return selection
        measure, left = reading_budget
        read = np.cumsum([measure(text) for text in self._work.texts(self._work.ids(positions[selection.positions]))])
        fits = max(1, int((read <= left).sum()))
        beyond = len(read) - fits
        notes = {**selection.notes, **({BEYOND: beyond} if beyond else {})}
        return replace(selection, positions=selection.positions[:fits], scores=selection.scores[:fits], notes=notes)

    def _query(self, positions: Positions, pool: Pool, k: int, started: float) -> None:
        """Ask for k of the pool; what was answered ahead of the round comes first, as it belongs to it now."""
        work, round, prefetched = self._work, self._round, self._state.prefetched
        ids, scores = list(prefetched), self._state.overflow_scores(prefetched)
        notes, predictions = dict[str, Any](), list[dict[str, Any]]()
        if prefetched and work.can_predict(round):
            predictions += work.predictions_of(prefetched, round)
        if k and len(positions):
            selection = self._within(self._select(positions, pool, k), positions)
            ids += work.ids(positions[selection.positions])
            scores += selection.scores.tolist()
            notes = dict(selection.notes)
            if work.can_predict(round):
                predictions += work.predictions(pool, selection.positions, ids[len(prefetched) :])
        seconds = time.perf_counter() - started
        pool_seconds = pool.seconds + (pool.labeled.seconds if pool.has_labeled else 0)
        self._ledger.append(
            QueryEvent(
                round=round,
                ids=ids,
                scores=scores,
                texts=work.texts(ids),
                strategy=work.strategy(round)[0],
                pool_seconds=pool_seconds,
                choose_seconds=seconds - pool_seconds,
                notes=notes,
                predictions=predictions,
                prefetched=len(prefetched),
                **work.learner.stages.further(),
            )
        )

    def _continue(self, positions: Positions, pool: Pool, k: int, further: int) -> None:
        """Write down what people may go on with: what the strategy chooses if it is to choose so many more than k.

        Of strategies that rank, or choose one after the other, that continues the round; those that choose a whole
        batch at once choose a larger one, and what is in the round is left out of it.
        """
        work, round, started = self._work, self._round, time.perf_counter()
        selection = self._select(positions, pool, k + further)
        ids = work.ids(positions[selection.positions])
        asked_ids = set(self._state.queries[round].ids)
        rest = [rank for rank, id in enumerate(ids) if id not in asked_ids][:further]
        if not rest:
            return
        ids = [ids[rank] for rank in rest]
        predictions = work.predictions(pool, selection.positions[rest], ids) if work.can_predict(round) else []
        self._ledger.append(
            OverflowEvent(
                round=round,
                ids=ids,
                scores=selection.scores[rest].tolist(),
                texts=work.texts(ids),
                strategy=work.strategy(round)[0],
                pool_seconds=0.0,  # what the round has measured is remembered
                choose_seconds=time.perf_counter() - started,
                predictions=predictions,
            )
        )

    def _pseudo_label(self, positions: Positions, pool: Pool, policy: Policy) -> None:
        """Write down the pseudo-labels of the round: answers of the model that chose, for the fit of the next one."""
        work, round = self._work, self._round
        asked_positions = np.flatnonzero(np.isin(positions, work.corpus.positions(self._state.queries[round].ids)))
        predictions = policy.choose(pool, asked_positions, round, rng_for(work.config.seed, round, "pseudo-labels"))
        self._ledger.append(
            PseudoLabelsEvent(
                round=round,
                ids=work.ids(positions[predictions.positions]),
                targets=[work.task.labels[outcome] for outcome in predictions.outcomes],
                weight=work.config.pseudo_labels.weight,
                threshold=predictions.threshold,
            )
        )
