"""The loop: choose, ask, fit, evaluate, until there is a reason to stop.

Every step is an event in the ledger and is skipped where its event is already there, so resuming a run is running it
again. Round 0 chooses with the initial strategy and the pretrained model; round r with the model of round r - 1.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from dal_nlp.annotation import Answer, Channel, Label, Opinion, Oracle
from dal_nlp.annotation.simulated import Answerer
from dal_nlp.core.distributed import GONE, broadcast, broadcast_each, check_same, is_main, main_first, phase
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Console, Logged, Progress, Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.core.task import Task
from dal_nlp.core.text import counted
from dal_nlp.data.tables import keep
from dal_nlp.ledger.events import (
    AuditEvent,
    Event,
    FinishedEvent,
    MetricsEvent,
    StoppedEvent,
)
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.measuring.design import draw
from dal_nlp.models.trainer import Fit
from dal_nlp.report import files as report
from dal_nlp.report.model_card import write_card
from dal_nlp.report.tracking import Tracking, settings
from dal_nlp.session import stopping
from dal_nlp.session.choosing import RoundChoice
from dal_nlp.session.config import RunConfig
from dal_nlp.session.context import Context
from dal_nlp.session.folder import choose_folder, continued, remove_unbegun, sweep_folder
from dal_nlp.session.result import Result
from dal_nlp.strategies.base import Strategy


class Session:
    r"""One run of a configuration.

    Args:
        config: What to run; its ``out`` names the folder, else the next free ``runs/TASK-N`` is taken.
        task: A task of the user's own in place of the configured one; likewise the next three.
        strategy: See ``task``.
        initial_strategy: See ``task``.
        oracle: See ``task``; any callable will do, see ``oracles.Answerer``.
        progress: Where the run is shown; nowhere if left out.
        ledger: Where its events go; the one of its folder if left out.
        on_event: Called with each further event of the ledger (see ``ledger.events``) once it is on the disk, in the
            main process. What it raises ends the run, and the same command goes on.

    The loggers under ``dal_nlp`` are told all sentences (INFO), warnings, and the names of events (DEBUG).

    Example:
        >>> from dal_nlp import RunConfig, Session
        >>> session = Session(RunConfig(task="sentiment"), on_event=lambda event: print(event.name))

        A run with texts, a model and an oracle of one's own (this model has learnt nothing):

        >>> import json
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from dal_nlp.testing import tiny_classifier, tiny_rows, tiny_tokenizer
        >>> with TemporaryDirectory() as name:
        ...     folder = Path(name)
        ...     _ = (folder / "pool.jsonl").write_text("\n".join(map(json.dumps, tiny_rows(30))))
        ...     for part in (tiny_classifier(), tiny_tokenizer()):
        ...         _ = part.save_pretrained(folder / "model")
        ...     config = RunConfig(
        ...         task="sentiment",
        ...         data=str(folder / "pool.jsonl"), model=str(folder / "model"), out=str(folder / "run"),
        ...         audit=6, initial=4, rounds=1, query_size=4, initial_strategy="random", strategy="margin",
        ...         training={"mode": "full", "min_steps": 1, "epochs": 1},
        ...     )
        ...     result = Session(config, oracle=lambda query: "positive" if "good" in query.text else "negative").run()
        >>> [point["labels"] for point in result.curve], result.stopped
        ([4, 8], 'the one round is done')
    """

    def __init__(
        self,
        config: RunConfig,
        task: Task | None = None,
        strategy: Strategy | None = None,
        initial_strategy: Strategy | None = None,
        oracle: Oracle | Answerer | None = None,
        progress: Progress | None = None,
        ledger: Ledger | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        self.config = config
        self._on_event = on_event
        self._given_ledger = ledger
        self._parts = (task, strategy, initial_strategy, oracle)
        self._progress = Logged(Silent() if progress is None else progress)

    def run(self) -> Result:
        """Run to the end, or until answers are missing.

        Raises:
            UserError: A mistake in the configuration or the data, before any model is loaded.
        """
        started = time.perf_counter()
        check_same("setting", settings(self.config))
        folder = broadcast(choose_folder(self.config))
        is_new = broadcast(not folder.exists())
        try:
            return self._run(folder, started)
        except UserError:
            if is_new and is_main():
                remove_unbegun(folder)
            raise

    def _run(self, folder: Path, started: float) -> Result:
        """Run in a folder, having started at a time."""
        with main_first():
            self.config = keep(self.config, folder)
        with ExitStack() as opened:
            self._ledger = opened.enter_context(self._given_ledger or Ledger(folder, GONE))
            self._state = self._ledger.state
            if self._state.inquiry is not None:
                raise UserError(f"{folder} holds questions about a file, and no run: choose another --out.")
            self.config = continued(self.config, self._state, self._progress.say)
            sweep_folder(folder)
            if self._on_event is not None and is_main():
                self._ledger.subscribe(self._on_event)
            self._work = work = Context(self.config, folder, self._ledger, *self._parts, self._progress)
            work.learner.stages.loaded(time.perf_counter() - started)
            self._tracked = opened.enter_context(Tracking(self.config.track, folder, work.config, self._state.metrics))
            self._draw_audit()
            if work.oracle.prefetch_limit and not self._state.queries:
                self._choose(0)  # nobody waits for it once the audit sample is answered
            pending = self._ask(self._state.audit, None) if self._state.audit else []
            if self._state.audit_grown and self._state.metrics and not pending:
                self._measure_again(self._state.round - 1)
            if self._state.queries and self._state.query(self._state.round) is None:
                self._ask([], None)  # corrections, also where no further question is to come
            stop = None
            while not pending and stop is None:
                round = self._state.round
                if self._state.query(round) is None:
                    stop = stopping.reason(work.config, self._state, len(work.candidates(round)), work.task.consistency)
                    if stop:
                        break
                self._choose(round)
                pending = self._ask(self._state.queries[round].ids, round)
                if not pending:
                    done = self._fit(round)
                    pending = self._draw_active(round)
                    if not pending:
                        self._evaluate(round, done)
            if stop and not (self._state.stopped and work.learner.is_finished(self._state.round - 1)):
                self._finish(self._state.round - 1)
            if stop and self._state.stopped is None:
                self._ledger.append(StoppedEvent(why=stop.why, read_test=stop.read_test))
            if stop and is_main():
                write_card(folder / "model", self._state)
            self._report()
            return self._result(folder, pending)

    def _draw_audit(self) -> None:
        """Draw the audit sample, where there is no test set, or what is to be added to it; it never loses a text."""
        there = self._state.audit
        more = (self.config.audit or 0) - len(there or [])
        if more <= 0 or self.config.audit_design == "active":
            return
        rng = rng_for(self.config.seed, len(there or []), "audit")
        corpus = self._work.corpus
        free = np.setdiff1d(np.arange(len(corpus)), corpus.find(sorted(self._state.ever_asked)))
        ids = self._work.ids(rng.permutation(free)[:more])
        left_out = len(corpus) - len(free) - len(there or [])
        if there and left_out:
            grew = f"grew by {counted(len(ids), 'text')}" if ids else "cannot grow: there is none left"
            before = f"{counted(left_out, 'text')} asked before ({100 * left_out / len(corpus):.1f} % of the pool)"
            self._work.note(
                f"The audit sample {grew} of those that nobody had been asked about; the {before} could not be drawn."
            )
        if ids:
            self._ledger.append(AuditEvent(ids=[*(there or []), *ids], texts=self._work.texts([*(there or []), *ids])))

    def _draw_active(self, round: int) -> list[str]:
        """Draw an active audit sample once a model can say where it may be wrong; return what of it is pending."""
        if not self.config.audit or self.config.audit_design != "active":
            return []
        if self._state.audit is None:
            rows = self._work.candidates(round + 1)
            design = self._work.evaluation.active_design(rows, self.config.audit, round)
            drawn = draw(design, rng_for(self.config.seed, 0, "audit"))
            ids = self._work.ids(rows[drawn])
            probabilities = design[drawn].tolist()
            self._ledger.append(AuditEvent(ids=ids, texts=self._work.texts(ids), probabilities=probabilities))
        return self._ask(self._state.audit or [], None)

    @phase("evaluating")
    def _measure_again(self, round: int) -> None:
        """Measure the last model on an audit sample that has grown."""
        self._restore(round)
        self._ledger.append(self._work.evaluation.measure_again(round))
        self._progress.say(report.round_line(self._state))

    @phase("choosing")
    def _choose(self, round: int) -> None:
        """Let the strategy choose what to ask next and the policy, if there is one, what is not worth asking."""
        choice = RoundChoice(self._work, self._ledger, round, self._progress)
        if choice.is_open:
            self._restore(round - 1)
            choice.make()

    @phase("asking")
    def _ask(self, ids: list[str], round: int | None) -> list[str]:
        """Put the unanswered ones of ``ids`` to the oracle; return what is pending.

        Each answer of people is on the disk before the next is asked for; those of a simulation are written together.
        """
        oracle, questions = self._work.oracle, self._work.questions(self._state.pending(ids), round)
        if oracle.from_file:
            answers = broadcast(list(oracle.label(questions)) if is_main() else [])
            self._ledger.extend([self._checked(answer).event(round) for answer in answers])
        else:
            for answer in broadcast_each(oracle.label(questions)):
                self._ledger.append(self._checked(answer).event(round))
        return self._state.pending(ids)

    def _checked(self, answer: Answer | Channel) -> Answer | Channel:
        """Return an answer; raises ``UserError`` for one that the run cannot use, before it is written down."""
        if isinstance(answer, Channel):
            return answer
        if answer.id not in self._state.ever_asked:
            raise UserError(f"The oracle answered {answer.id!r}, which was not asked: yield ids of the queries.")
        decision = answer.answer if isinstance(answer, Opinion) else answer
        if isinstance(decision, Label):
            self._work.check(decision.id, decision.target)
        return answer

    @phase("training")
    def _fit(self, round: int) -> Fit:
        """Fit on all labels, or find the fit that a crash left behind; a collapsed fit is tried once more."""
        work = self._work
        done = work.learner.fitted(round)
        if done is None:
            if work.config.training.warm_start:
                self._restore(round - 1)
            examples, weights = work.training.of_round(round)
            if not len(examples):
                raise UserError(
                    "No answer came that could train a model: raise --initial or --budget, or lower --audit."
                )
            done = work.fit(round, examples, weights)
            if work.collapsed(round):
                done = work.fit(round, examples, weights, attempt=1)
                done = replace(done, attempts=2, collapsed=work.collapsed(round))
            work.learner.save(round, done)
        return done

    def _restore(self, round: int) -> None:
        """Have the model of a finished round; it is fitted again where its checkpoint has gone or cannot be read."""
        if round >= 0 and not self._work.learner.has(round):
            self._progress.say(f"The model of round {round} is not there any more: it is fitted again.")
            self._fit(round)

    @phase("evaluating")
    def _evaluate(self, round: int, done: Fit) -> None:
        """Measure the model of a round; the numbers of this round are complete with this event."""
        evaluation = self._work.evaluation
        start = evaluation.measure_start() if round == 0 and self._work.learner.ready else None
        event = MetricsEvent(**self._measured(round, done), watched=evaluation.watched(round), start=start)
        rules = stopping.traces(self._work.config, self._state, event, self._work.task.consistency)
        self._ledger.append(replace(event, rules=rules))
        self._tracked.log(event)
        self._progress.say(report.round_line(self._state))
        if not self._work.learner.instant:
            self._report()

    def _measured(self, round: int, done: Fit) -> dict[str, Any]:
        """Return what a fit was and how good its model is."""
        stages, started = self._work.learner.stages, time.perf_counter()
        before = stages.encode_seconds
        measured = self._work.evaluation.measure(round)
        return {
            "round": round,
            "labels": self._work.training.size(),
            "unlearnable": self._work.training.unlearnable(),
            "seen": len(self._state.decided),
            **measured,
            "train_seconds": done.seconds,
            "eval_seconds": time.perf_counter() - started - (stages.encode_seconds - before),
            **stages.further(),
            **{name: value for name, value in asdict(done).items() if name not in ("seconds", "notes")},
            "learner": done.notes,
        }

    @phase("finishing")
    def _finish(self, round: int) -> None:
        """Leave the run's model in its place; where it is wanted, all weights are trained once before that."""
        work = self._work
        learner = work.learner
        self._restore(round)
        if work.config.finish != "none":
            first = work.evaluation.judged_answers(round)
            work.train_whole(round)
            if self._state.finished is None or work.learner.fitted(round) is None:
                done = self._fit(round)
                judged, gain = work.evaluation.gain_over(first, round)
                kept = not gain or gain[0] > 0 or work.config.finish == "full-always"
                measured = {**self._measured(round, done), "kept": kept, "difference": gain, "judged": judged}
                self._ledger.append(FinishedEvent(**measured, soft_labels=len(work.training.soft)))
            assert self._state.finished is not None
            learner.keep_tuned(self._state.finished.kept)
        learner.finish(round)

    def _report(self) -> None:
        """Write everything that is made from the ledger."""
        if is_main():
            report.write_all(self._ledger.folder, self._state)

    def _result(self, folder: Path, pending: list[str]) -> Result:
        state = self._state
        model_dir = folder / "model" if state.stopped else None
        remarks = [*self._work.oracle.remarks(pending), *report.trained_otherwise(state)]
        if state.stopped and state.late:
            answers = counted(len(state.late), "answer")
            remarks.append(f"Changed after the last fit: {answers}; raise --rounds or --budget to train with that.")
        curve = [event.as_dict() for event in state.metrics]
        finished = state.finished.as_dict() if state.finished else None
        return Result(folder, curve, dict(state.answers), model_dir, state.stopped, pending, finished, remarks)


def run(config: RunConfig, quiet: bool = False) -> Result:
    """A run from start to end, as ``dal-nlp run`` does it; progress goes to standard error unless ``quiet``.

    Raises:
        UserError: See ``Session.run``.

    Example:
        >>> from dal_nlp import RunConfig, run
        >>> run(RunConfig(task="sentiment", data="no/such.csv"), quiet=True)
        Traceback (most recent call last):
            ...
        dal_nlp.core.errors.DataError: There is no file no/such.csv, nor a folder no: correct the path.
    """
    return Session(config, progress=Silent() if quiet else Console()).run()
