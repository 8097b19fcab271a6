"""What a session works with: names turned into objects, and what each round needs of the files and the models.

All checks of the configuration and the data come before any model is loaded.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.annotation import Oracle, Query, Setting, make_oracle
from dal_nlp.annotation.simulated import Answerer, as_oracle
from dal_nlp.core.distributed import main_first, phase
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for, torch_seeded
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability, Task
from dal_nlp.learners.checkpoints import fitted_settings
from dal_nlp.learners.learner import Learner
from dal_nlp.learners.lora_learner import check_peft
from dal_nlp.learners.tuned_head import last_learner
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.measuring.calibrating import calibration_of
from dal_nlp.models.mc_dropout import check_draws, make_draws
from dal_nlp.models.pool import NO_GROUPS, Pool, fetch, gives_states
from dal_nlp.models.trainer import Fit
from dal_nlp.models.vectors import Positions
from dal_nlp.pretrained.loading import resolve
from dal_nlp.pretrained.masked_lm import has_masked_lm
from dal_nlp.pretrained.sentence_format import load_reader
from dal_nlp.pretrained.tokenizers import check_vocabulary
from dal_nlp.report.tracking import check_tracker
from dal_nlp.session.config import AUTO_MODEL, RunConfig
from dal_nlp.session.evaluation import Evaluation
from dal_nlp.session.inputs import CorpusAnswers, RunInputs
from dal_nlp.session.query import draw_candidates
from dal_nlp.session.stopping import check_metrics
from dal_nlp.session.training_set import TrainingSet
from dal_nlp.span_witnesses.listening import has_witnesses, listen, make_learner
from dal_nlp.strategies import check_fit, check_states, make_strategy
from dal_nlp.strategies.base import Strategy
from dal_nlp.strategies.pseudo_labels import Policy, check_policy, make_policy
from dal_nlp.tasks import load_metrics, make_task

#: Texts of the pool on which it is seen whether the tokenizer knows their words.
READ = 200
#: Most training examples that are predicted to see whether a fit collapsed.
COLLAPSE_SAMPLE = 500


class Context:
    """The files, the objects and the fixed facts of one run.

    Args:
        config: What to run.
        folder: The run folder.
        ledger: Open for writing; takes the ``config``, ``pool`` and ``note`` events.
        task: A task of the user's own, or None for the configured one; likewise the next three.
        strategy: See ``task``.
        initial_strategy: See ``task``.
        oracle: See ``task``.
        progress: Where sentences and bars go.

    Raises:
        UserError: Anything wrong with the configuration, the data, or the run folder it is used with.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        ledger: Ledger,
        task: Task | None,
        strategy: Strategy | None,
        initial_strategy: Strategy | None,
        oracle: Oracle | Answerer | None,
        progress: Progress,
    ) -> None:
        self.config, self.folder, self._ledger, self._progress = config, folder, ledger, progress
        self.task = task if task is not None else make_task(config)
        self._strategy = strategy if strategy is not None else make_strategy(config.strategy, config.strategy_options)
        self._initial = make_strategy(config.initial_strategy, {}) if initial_strategy is None else initial_strategy
        self._policy = make_policy(config.pseudo_labels)
        self.oracle = as_oracle(oracle) if oracle is not None else make_oracle(config.oracle, config.oracle_options)
        self._extra, self._calibrated = load_metrics(config.metrics), dict[str, Any]()
        self._check_names()
        files = RunInputs(config, folder, ledger, self.task, self.oracle, progress)
        source = resolve(files.config.model, progress, config.revision)
        self.task.check_model(source)
        self.task.tokenizer = load_reader(source, config.training.mode, self.task.capabilities)
        self.task = files.settled(source, self.task) if task is None else self.task
        self.config, self.corpus, self.given, self.note = files.config, files.corpus, files.given, files.note
        remarks = check_vocabulary(self.task.tokenizer, self._some_texts(), source)
        files.record()  # before anything is noted: a ledger begins with its configuration
        self._load(source)
        if config.training.mode == "head" and Capability.DRAWS in self._initial.requires | self._strategy.requires:
            files.note("The encoder is frozen, so draws are those of the output layer alone (draws.kind head).")
        sets = {name: corpus.encoded(self.task) for name, corpus in {"pool": self.corpus, **self.given}.items()}
        tried = self.evaluation.try_metrics() if self._extra else []
        for remark in (*remarks, *self.task.remarks(sets), *self.learner.remarks(), *tried):
            files.note(remark)

    def _check_names(self) -> None:
        heard = frozenset({Capability.WITNESSES} if has_witnesses(self.config, self.task) else ())
        capabilities = self.task.capabilities | self._model_capabilities() | heard
        check_fit(self.config.initial_strategy, self._initial, capabilities)
        if self.config.training.mode == "head":
            self._check_head()
        if self.config.training.mode == "lora":
            check_peft()
        if self.config.track is not None:
            check_tracker(self.config.track)
        check_fit(self.config.strategy, self._strategy, capabilities | {Capability.PREDICTED_LOSS})
        if self.config.query.prefilter is not None:
            check_fit(self.config.query.prefilter, make_strategy(self.config.query.prefilter, {}), capabilities)
        check_policy(self._policy, self.config.pseudo_labels.policy, self.task.capabilities)
        if self.config.query.max_per_group and Capability.GROUPS not in self.task.capabilities:
            raise Unsupported(NO_GROUPS)
        if not self.config.metrics:
            check_metrics(self.config, self.task.metrics)
        if not (self.config.test or self.config.validation or self.config.audit):
            raise UserError("There is nothing to measure on: give --test or --validation, or an --audit above 0.")

    def _check_head(self) -> None:
        """Refuse what a frozen encoder cannot serve."""
        if not {Capability.POOLED_OUTPUT, Capability.WORD_OUTPUT} & self.task.capabilities:
            raise Unsupported(
                f"--train head trains a layer of labels on one vector for each text or word, and the task "
                f"{self.config.task!r} has no such layer: use --train full."
            )
        if Capability.MASKED_LM in self._strategy.requires:
            raise Unsupported(
                "With --train head a language model would read all texts every round: use --initial-strategy "
                f"{self.config.strategy}, and another --strategy."
            )

    def _model_capabilities(self) -> frozenset[Capability]:
        """Return those of the pretrained model; it is looked at only where a strategy requires one."""
        required = self._initial.requires | self._strategy.requires
        if self.config.model == AUTO_MODEL or Capability.MASKED_LM not in required:
            return frozenset()  # encoders of sentences have none
        has = has_masked_lm(resolve(self.config.model, self._progress, self.config.revision))
        return frozenset({Capability.MASKED_LM} if has else ())

    def _load(self, source: str) -> None:
        """Tokenise, once per run, and make what trains and what answers."""
        if self._ledger.state.audit is None and not self._ledger.state.queries:
            self._progress.say(f"Tokenizing {len(self.corpus):,} texts")
        predicts_loss = Capability.PREDICTED_LOSS in self._strategy.requires
        self._source = source
        self._use(make_learner(self.config, self.task, source, self.folder, self._progress, predicts_loss))
        answers, state, example = CorpusAnswers(self.corpus), self._ledger.state, self.corpus.example
        self.oracle.open(Setting(self.folder, self.config, self.task, state, answers, example, self._progress))
        if not state.queries and state.audit is None:
            self._check_model()
        for name, strategy in ((self.config.initial_strategy, self._initial), (self.config.strategy, self._strategy)):
            if Capability.DRAWS in strategy.requires and (strategy is self._initial or not self.learner.has_dropout):
                check_draws(name, self._pool(self._data.select(range(min(8, len(self._data)))), -1))

    def _some_texts(self) -> list[str]:
        """Return some texts of the pool, evenly spread over it."""
        rows = np.unique(np.linspace(0, len(self.corpus) - 1, READ).astype(np.int64))
        return [text for row in fetch(self.corpus.dataset, rows) for text in self.task.texts(row)]

    def _check_model(self) -> None:
        """Refuse a model that cannot read the texts, or lacks what a strategy reads, before anybody is asked."""
        if self.config.finish != "none":
            with torch_seeded(0):  # of weights that are not used
                self.task.load(self._source)
        model = self.learner.after(-1)
        self.task.head(model)  # every pass over the pool looks for it
        sets = {"pool": self._data, **self._given}
        self.task.feeding.check(max(int(np.max(rows["length"], initial=0)) for rows in sets.values()))
        strategies = {self.config.initial_strategy: self._initial, self.config.strategy: self._strategy}
        read = {
            name: strategy
            for name, strategy in strategies.items()
            if strategy.reads_states
            and (self.config.query.embedding_model is None or Capability.PREDICTED_LOSS in strategy.requires)
        }
        if not read and self.config.query.dedupe is None:
            return
        few = np.unique(np.argsort(self._data["length"], kind="stable")[[0, len(self._data) // 2, -1]])
        if gives_states(self._pool(self._data, -1, rows=few)):
            return
        for name, strategy in read.items():
            check_states(name, strategy, self.task.capabilities, type(model).__name__, "a query.embedding_model, or ")
        self.note(f"query.dedupe is left out, as {type(model).__name__} does not give the hidden states that it reads.")

    def _use(self, learner: Learner) -> None:
        """Let a learner train from here on, and see all sets of texts as it does."""
        self.learner = learner
        with phase("tokenizing"), main_first():
            data = learner.view(self.corpus)
            views = {name: learner.view(corpus) for name, corpus in self.given.items()}
        self._data, self._given = listen(learner, self.config, self.task, self._ledger, self._progress, data, views)
        facts = (self.config, self.task, self._ledger.state, self.corpus, self._data, self._given)
        self.training = TrainingSet(*facts, learner, self._progress)

    def train_whole(self, round: int) -> None:
        """Train all weights from here on, in a folder apart, after the last round."""
        folder, layer = self.folder / "finish", self.learner.place(round)
        soft = self.training.draw_soft(round, self._pool)
        self._calibrated = fitted_settings(vars(self.learner.after(round).config))
        config = soft.recipe(self.config, self.training.size())
        self._use(last_learner(config, self.task, self._source, folder, self._progress, layer))
        self.training.soft = soft

    def strategy(self, round: int) -> tuple[str, Strategy]:
        """Return the name and the strategy of a round."""
        if round == 0:
            return self.config.initial_strategy, self._initial
        return self.config.strategy, self._strategy

    def pseudo_labels(self, round: int) -> Policy | None:
        """Return what chooses the pseudo-labels of a round; None in round 0, whose model has an untrained head."""
        return self._policy if round else None

    def wanted(self, round: int) -> int:
        """Return how many labels a round may ask for beside those that were given ahead of it."""
        state = self._ledger.state
        size = (self.config.query_size if round else self.config.initial) or 0
        left = (self.config.budget or 0) - state.spent - len(state.pending(state.audit or []))
        return max(0, min(size - len(state.prefetched), left))

    def further(self) -> int:
        """Return how many examples people may go on with after the round that is asked about."""
        config, state = self.config, self._ledger.state
        limit = state.prefetch_limit(config.budget or 0, config.rounds or 0, config.query_size)
        return min(self.oracle.prefetch_limit, limit)

    def candidates(self, round: int) -> Positions:
        """Return the rows of the pool that were not asked about before a round."""
        return self.training.candidates(round)

    def drawn(self, round: int, k: int) -> Positions:
        """Return those of the candidates that the strategy sees: all, or ``query.candidates`` of them."""
        rng = rng_for(self.config.seed, round, "candidates")
        return draw_candidates(self.candidates(round), k, self.config.query, rng)

    def ids(self, positions: Positions) -> list[str]:
        """Return the ids of rows of the pool."""
        return [str(row["id"]) for row in fetch(self.corpus.dataset.select_columns("id"), positions)]

    def texts(self, ids: Sequence[str]) -> list[str]:
        """Return what an annotator reads of some examples."""
        return [self.task.show(row) for row in fetch(self.corpus.dataset, self.corpus.positions(ids))]

    def questions(self, ids: Sequence[str], round: int | None) -> list[Query]:
        """Return what is put to the oracle about some examples of a round, None for the audit sample."""
        state, texts = self._ledger.state, self.texts(ids)
        if round is None:
            return [Query(id, text, why="drawn at random, to measure on") for id, text in zip(ids, texts, strict=True)]
        query = state.queries[round]
        ranks = {id: rank for rank, id in enumerate(query.ids)}
        return [
            Query(
                id,
                text,
                round,
                f"{query.strategy}, rank {ranks[id] + 1} of {len(ranks)}",
                query.scores[ranks[id]],
                state.suggestion(id),
            )
            for id, text in zip(ids, texts, strict=True)
        ]

    def check(self, id: str, target: Target) -> None:
        """Raise ``UserError`` for a target that an example of the pool cannot have."""
        try:
            self.task.check(target, self.corpus.example(id))
        except ValueError as error:
            raise UserError(f"The oracle's answer to {id!r} cannot be used: {str(error).rstrip('.')}.") from None

    def can_predict(self, round: int) -> bool:
        """Tell whether the model that chooses in a round has learnt its task."""
        return bool(round or self.task.ready or self.learner.ready)

    def predictions(self, pool: Pool, positions: Positions, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the model of a pool answers at some of its positions, with their ids; see ``QueryEvent``."""
        rows = fetch(self.corpus.dataset, self.corpus.positions(ids))
        return [
            {
                "target": answer.target,
                "confidence": answer.confidence,
                "marks": [list(mark) for mark in self.task.mark(row, answer.target)],
            }
            for row, answer in zip(rows, pool.take(positions).predict(), strict=True)
        ]

    def predictions_of(self, ids: Sequence[str], round: int) -> list[dict[str, Any]]:
        """Return ``predictions`` at some examples by the model that chooses in a round."""
        return self.predictions(self.pool(self.corpus.positions(ids), round), np.arange(len(ids)), ids)

    def pool(self, positions: Positions, round: int) -> Pool:
        """Return the candidates of a round, without their targets, under the model that chooses."""
        of = self.learner.choosing
        known = self._pool(self.training.examples(), round - 1, of=of) if self.training.size() else None
        return self._pool(self._data.remove_columns("target"), round - 1, known, positions, of)

    def _pool(
        self,
        examples: Dataset,
        round: int,
        labeled: Pool | None = None,
        rows: Positions | None = None,
        of: Callable[[int], nn.Module] | None = None,
    ) -> Pool:
        self.learner.require(examples, rows)
        model, draws = (of or self.learner.after)(round), make_draws(self.config.draws, self.config.seed, round + 1)
        beside, cache, sizes = self.learner.companions(round), self.folder / "cache", self.learner.scoring
        return Pool(examples, model, self.task, draws, sizes, labeled, self._progress, beside, rows, cache)

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Train the model of a round, then what the task wants beside it on what neither trains nor tests."""
        before = self.learner.stages.encode_seconds
        done = self.learner.fit(round, examples, weights, attempt)
        done = replace(done, seconds=done.seconds - (self.learner.stages.encode_seconds - before))
        audited = None if self.config.training.mode == "head" else self.training.audited()
        validation, of = (self._given.get("validation"), audited), partial(self._pool, round=round)
        measured, targets = calibration_of(self.task, self.learner, (examples, weights), done, validation, of)
        model: Any = self.learner.after(round)
        self.task.calibrate(model, measured, targets)
        if measured is None:
            model.config.update(self._calibrated)
        return done

    def collapsed(self, round: int) -> bool:
        """Tell whether the model of a round gives one answer to training examples whose labels differ."""
        if not (self.task.may_collapse and self.learner.seeded):
            return False
        examples = self.training.examples(round)
        sample = rng_for(self.config.seed, round, "collapse").permutation(len(examples))[:COLLAPSE_SAMPLE]
        pool = self._pool(examples.select(sample), round, of=self.learner.text_model)
        return self.task.collapsed([prediction.target for prediction in pool.predict()], pool.targets)

    @property
    def evaluation(self) -> Evaluation:
        """What measures the models of rounds."""
        training, facts = self.training, (self.config, self.task, self._ledger.state, self.corpus, self._data)
        sets = {**self._given, "audit": training.audited()}
        return Evaluation(*facts, sets, self._pool, self.learner, training.examples, self._extra)
