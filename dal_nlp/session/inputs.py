"""The files of a run: read, checked against each other and against what the run folder holds, and recorded."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from dal_nlp.annotation import Oracle
from dal_nlp.core.distributed import broadcast, check_same, is_main, main_first, phase
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability, Task
from dal_nlp.core.text import counted
from dal_nlp.data.corpus import Corpus, read_corpus, read_pool, write_rejected
from dal_nlp.data.examples import class_names, text_of_fields
from dal_nlp.data.ingest import with_remarks
from dal_nlp.data.label_checks import check_labels, check_spelling, listed, words_for_nothing
from dal_nlp.joins.joined_answers import read_answers
from dal_nlp.ledger.events import ConfigEvent, NoteEvent, PoolEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.models.pool import fetch
from dal_nlp.pretrained.auto_model import TIMED, choose_encoder
from dal_nlp.pretrained.text_length import SAMPLE, length_for, number_of_tokens, reads_at_most
from dal_nlp.readers.text_files import place
from dal_nlp.readers.values import beginning, near_text
from dal_nlp.session.config import AUTO_MODEL, RunConfig
from dal_nlp.session.folder import refuse_differences, write_config
from dal_nlp.session.label_descriptions import check_described
from dal_nlp.session.stopping import left_to_read, reason
from dal_nlp.signals.prompt import choose_demonstrations
from dal_nlp.span_witnesses.drafts import check_drafts
from dal_nlp.tasks import made_again


class RunInputs:
    """What a run reads.

    Args:
        config: What to run.
        folder: The run folder.
        ledger: Open for writing; takes the ``config``, ``pool`` and ``note`` events.
        task: Reads the rows, and learns its labels here.
        oracle: Decides whether rows of the pool must have an answer.
        progress: Where sentences go.

    Attributes:
        config: What is run; its budget may be capped.
        corpus: The pool.
        given: The other sets, by what they are for: "test", "validation", "labeled".

    Raises:
        UserError: Anything wrong with the data, or with the run folder that it is used with.
    """

    def __init__(
        self, config: RunConfig, folder: Path, ledger: Ledger, task: Task, oracle: Oracle, progress: Progress
    ) -> None:
        self.config, self._given_config = config, config
        self._folder, self._ledger, self._task, self._oracle, self._progress = folder, ledger, task, oracle, progress
        self._remarks: list[str] = []
        check_drafts(config, task, oracle.from_file)
        with phase("reading the data"), main_first(), with_remarks(self._remarks):  # the others find what it has cached
            self._read()
        self._digests = {name: corpus.digest for name, corpus in self.given.items()}
        check_same("data set", {**self._digests, "pool": self.corpus.digest})
        self._choose_model()
        self._choose_demonstrations()
        self._refuse()

    def _read(self) -> None:
        """Read every file; the pool last, without the rows that measure or train already."""
        config, task, cache = self.config, self._task, self._folder / "cache"
        # Labels known before the first fit: a class that has not been seen yet still has its output.
        old = self._ledger.state.labels
        if not config.labels:
            task.labels = list(old)
        if config.data is None:
            raise UserError(f"The task {config.task} has no demonstration: give it texts with --data FILE.")
        sources = {"test": config.test, "validation": config.validation, "labeled": config.labeled}
        classes = class_names([source for source in (config.data, *sources.values()) if source], task, config)
        self.given: dict[str, Corpus] = {}

        def read_set(name: str, source: str, unwanted: Collection[str] = ()) -> None:
            self._progress.say(f"Reading {source}")
            self.given[name] = read_corpus(
                *(source, task, config, cache, name),
                need_targets=True,
                exclude={other: corpus.contents for other, corpus in self.given.items() if other != name},
                strict=config.strict,
                classes=classes,
                unwanted=unwanted,
            )

        def read_all_others() -> Corpus:
            self._progress.say(f"Reading {config.data}")
            return read_pool(
                *(config.data or "", task, config, cache),
                need_targets=self._oracle.from_file,
                answers=read_answers(config.answers, task, config, self._remarks) if config.answers else None,
                exclude={name: corpus.contents for name, corpus in self.given.items()},
                strict=config.strict,
                classes=classes,
                beside={name: corpus.known for name, corpus in self.given.items()},
                previous=self._ledger.state.pool.digest if self._ledger.state.pool else None,
            )

        for name, source in sources.items():
            if source:
                read_set(name, source)
        self.corpus = read_all_others()
        unwanted = self._compare_ids()
        if unwanted and config.labeled:  # only what the pool says of their ids tells which they are
            read_set("labeled", config.labeled, unwanted)
            self.corpus = read_all_others()
        for corpus in (self.corpus, *self.given.values()):
            self._remarks += [*corpus.remarks, *words_for_nothing(corpus.source, corpus.dataset.data.table)]
        corpora = (self.corpus, *self.given.values())
        self._task.learn_labels([target for corpus in corpora for target in corpus.distinct_targets()])
        if self._task.labels[: len(old)] != old:
            raise UserError(
                f"The labels of {self._folder} are {', '.join(old)}: new ones come after these, in --labels too."
            )
        check_described(config, self._task.labels)
        self._compare_labels()

    def _compare_ids(self) -> list[str]:
        """Name ids that a file has for other texts than the pool; return those whose labels are not to be taken.

        Raises:
            UserError: None of the labels that the team has would be left.
        """
        unwanted: list[str] = []
        for name, clash in self.corpus.clashes.items():
            other, ids = self.given[name], clash["ids"]
            theirs = [text_of_fields(other.example(id)) for id in ids[: len(clash["texts"])]]
            same_ids = clash["joined"] or any(map(near_text, theirs, clash["texts"]))
            text = (
                f"{other.source} has {counted(len(ids), 'id')} of {self.config.data} for another text, such as "
                f"{ids[0]!r}: {beginning(theirs[0])}, and in the pool {beginning(clash['texts'][0])}"
            )
            if name != "labeled" or not same_ids:
                self._remarks.append(f"{text}. Each text keeps the answer beside it.")
            elif len(ids) == len(other):
                raise UserError(
                    f"{text}, and none of its labels can be taken: put each id beside its text again, or say that "
                    "there are no ids with --id-column none."
                )
            else:
                self._remarks.append(f"{text}. The labels of such rows are not taken.")
                unwanted += ids
        return unwanted

    def _compare_labels(self) -> None:
        """Refuse a simulation that can show one label only, and find the labels that only measure."""
        corpora = {self.config.data or "": self.corpus, **{c.source: c for c in self.given.values()}}
        if Capability.SHARED_OUTCOMES not in self._task.capabilities:
            held = (self._task.answer_format.labels_of(t) for c in corpora.values() for t in c.targets() if t)
            self._remarks += check_spelling(held if self._task.labels else (), strict=self.config.strict)
            return
        counts = {source: corpus.target_counts() for source, corpus in corpora.items()}
        learnt = [target for c in (self.corpus, self.given.get("labeled")) if c for target in c.distinct_targets()]
        measuring = [corpus.source for name, corpus in self.given.items() if name != "labeled"]
        named = self.config.labels
        known = learnt if self._oracle.from_file else [*(named or ()), *learnt] if named else []
        self._remarks += check_labels(counts, known, measuring, named=named is not None, strict=self.config.strict)
        if not self._oracle.from_file:
            return
        if all(target == learnt[0] for target in learnt):
            raise UserError(
                f"Every row of {self.config.data} has the label {learnt[0]!r}, so there is nothing to learn: check "
                "--label-column, or add rows with other labels."
            )
        alone = [label for label in self._task.labels if label not in learnt]
        if alone:
            self._remarks.append(
                f"No row of the pool has the label {listed(alone)}: it can be measured and not learnt; "
                "check the spelling."
            )

    def _choose_model(self) -> None:
        """Settle the encoder where the configuration leaves it open; the run keeps it."""
        if self.config.model != AUTO_MODEL:
            return
        chosen = "", ""
        if is_main():
            rows = np.unique(np.linspace(0, len(self.corpus) - 1, TIMED).astype(np.int64))
            texts = [text for row in fetch(self.corpus.dataset, rows) for text in self._task.texts(row)]
            count = sum(map(len, (self.corpus, *self.given.values()))) * len(texts) // max(1, len(rows))  # pairs: two
            chosen = choose_encoder(texts, count, self._progress)
        model, remark = broadcast(chosen)
        self.config = self._given_config = self.config.model_copy(update={"model": model})
        self._remarks.append(remark)

    def settled(self, source: str, task: Task) -> Task:
        """Settle where texts are cut, where the configuration leaves that to the pool; return the task that does so.

        Args:
            source: The model.
            task: With its tokenizer.
        """
        if self.config.max_length != "pool":
            return task
        chosen = 0, ""
        if is_main():
            rows = np.unique(np.linspace(0, len(self.corpus) - 1, SAMPLE).astype(np.int64))
            tokens = number_of_tokens(task.tokenizer, [task.texts(row) for row in fetch(self.corpus.dataset, rows)])
            chosen = length_for(tokens, task.usual_length, reads_at_most(source, task.tokenizer))
        length, remark = broadcast(chosen)
        self.config = self.config.model_copy(update={"max_length": length})
        self._given_config = self._given_config.model_copy(update={"max_length": length})
        self._remarks.append(remark)
        self.corpus = self.corpus.under(self.config)
        self.given = {name: corpus.under(self.config) for name, corpus in self.given.items()}
        return made_again(task, self.config)

    def _choose_demonstrations(self) -> None:
        """Choose the labeled texts that language models are shown, which the run keeps."""
        llm = self.config.llm
        if not llm.examples or llm.demonstrations:
            return
        if "labeled" not in self.given:
            raise UserError("--llm-examples shows language models labeled texts: give some with --labeled FILE.")
        known = self.given["labeled"].dataset
        rows = fetch(known, range(len(known)))
        texts = ["\n".join(self._task.texts(row)) for row in rows]
        shown = choose_demonstrations(texts, [str(row["target"]) for row in rows], llm.examples)
        changed = llm.model_copy(update={"demonstrations": shown})
        self.config = self._given_config = self.config.model_copy(update={"llm": changed})

    def _refuse(self) -> None:
        """Raise ``UserError`` where the folder belongs to another run, or the run cannot be."""
        state = self._ledger.state
        if state.audit is not None or state.queries:  # before that, nothing depends on what was typed
            refuse_differences(self._folder, state, self.config, self._digests)
        self._keep_labeled()
        self._keep_audit()
        self._cap_budget()

    def _keep_labeled(self) -> None:
        """Refuse a pool file from which labeled rows have gone: a label is never lost."""
        state = self._ledger.state
        ids = list(dict.fromkeys([*state.answers, *(id for query in state.queries for id in query.ids)]))
        missing = [id for id, row in zip(ids, self.corpus.find(ids), strict=True) if row < 0]
        if missing:
            raise UserError(
                f"{self.config.data} has lost {counted(len(missing), 'row')} that the run has asked about (the first "
                f"is {missing[0]!r}): put back what is missing, or start with another --out."
            )

    def _keep_audit(self) -> None:
        """Refuse an audit sample that is to lose texts, or, where they were drawn by a model, to gain some."""
        drawn, wanted = len(self._ledger.state.audit or []), self.config.audit or 0
        before = (self._ledger.state.config or {}).get("audit")
        if drawn and self.config.audit_design == "active" and wanted != before:
            raise UserError(f"An active audit sample stays as it was drawn: set --audit back to {before}.")
        if drawn > wanted and self.config.audit_design != "active":
            raise UserError(
                f"The audit sample has {counted(drawn, 'text')}, and can only grow: --audit {drawn} or more."
            )
        needed = self._ledger.state.spent + wanted - drawn
        if 0 < drawn < wanted and needed > (self.config.budget or 0):
            raise UserError(
                f"{counted(wanted - drawn, 'further answer')} for the audit sample are more than the budget of "
                f"{self.config.budget:,} leaves: --budget {needed} or more."
            )

    def _cap_budget(self) -> None:
        """A budget above the pool cannot be spent."""
        budget, there = self.config.budget or 0, len(self.corpus)
        if budget <= there:
            return
        text = f"The budget of {counted(budget, 'label')} is above the {counted(there, 'row')} of the pool"
        reading = left_to_read(self.config, self._ledger.state) is not None  # that ends the run
        if self.config.strict and not reading:
            raise UserError(f"{text}: lower --budget or leave --strict out.")
        if there <= (self.config.audit or 0) and not self.config.labeled:
            raise UserError(
                f"The audit sample of {self.config.audit} takes all {there} rows of the pool: lower --audit, give "
                "--test, or bring more rows."
            )
        self.config = self.config.model_copy(update={"budget": there})
        if not reading:
            self._remarks.append(f"{text} and was capped.")

    def _is_over(self) -> bool:
        """Tell whether no further text is chosen: a rule that ends the run holds."""
        state = self._ledger.state
        left = len(self.corpus) - len(state.ever_asked)
        return state.query(state.round) is None and bool(reason(self.config, state, left, self._task.consistency))

    def record(self) -> None:
        """Write down what is new."""
        state = self._ledger.state
        dump = self._given_config.model_dump(mode="json", exclude={"out"})
        before, now = (state.config or dump).get("strategy"), dump["strategy"]
        if before != now and state.queries and not self._is_over():
            self._remarks.append(
                f"From round {len(state.queries)} on texts are chosen by {now}, until then by {before}: "
                f"--strategy {before} keeps that."
            )
        if (state.config, state.digests, state.labels) != (dump, self._digests, self._task.labels):
            labels = list(self._task.labels)
            self._ledger.append(ConfigEvent(config=dump, digests=self._digests, labels=labels))
        write_config(self._folder, self._given_config)
        rejected = [row for corpus in (self.corpus, *self.given.values()) for row in corpus.rejected]
        if state.pool is None or state.pool.digest != self.corpus.digest:
            self._ledger.append(
                PoolEvent(
                    file=self.config.data,
                    rows=len(self.corpus),
                    digest=self.corpus.digest,
                    added=self.corpus.added,
                    gone=self.corpus.gone,
                    rejected=dict(Counter(f"{row.file}: {row.reason}" for row in rejected)),
                )
            )
        if is_main():
            write_rejected(self._folder / "rejected.csv", rejected)
        if rejected:
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in Counter(row.reason for row in rejected).items())
            first = place(rejected[0].file, rejected[0].row)
            self._progress.say(
                f"Rows left out: {len(rejected):,} ({reasons}), the first {first}; a run's rejected.csv names each"
            )
        for text in self._remarks:
            self.note(text)

    def note(self, text: str) -> None:
        """Say something once, on screen and in the report."""
        if text not in self._ledger.state.notes:
            self._ledger.append(NoteEvent(text=text))
        self._progress.say(text)


class CorpusAnswers(Mapping[str, Target]):
    """The targets that a corpus holds, by id; read from the disk when asked for."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __getitem__(self, id: str) -> Target:
        return fetch(self._corpus.dataset.select_columns("target"), self._corpus.positions([id]))[0]["target"]

    def __iter__(self) -> Iterator[str]:
        return (str(id) for id in self._corpus.dataset["id"])

    def __len__(self) -> int:
        return len(self._corpus)
