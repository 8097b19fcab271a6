"""Questions about a file, put to people in a folder of their own: the model's answers, the sample, the oracle.

The folder is like a run's, so that sheets, `dal-nlp label` and the page work on it; the ledger is its state, and the
same command goes on with it. Nothing is trained there.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dal_nlp.annotation import Answer, Channel, Label, Opinion, Oracle, Query, Setting, make_oracle
from dal_nlp.core.batch import Prediction
from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError
from dal_nlp.core.files import sweep
from dal_nlp.core.targets import Target, readable
from dal_nlp.core.text import counted
from dal_nlp.data.corpus import Corpus, read_pool
from dal_nlp.inquiries.machines import MODEL, STACK, Machine
from dal_nlp.ledger.events import AuditEvent, ConfigEvent, InquiryEvent, PoolEvent, QueryEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.ledger.state import State
from dal_nlp.models.pool import fetch
from dal_nlp.report.summary import texts_asked
from dal_nlp.session.inputs import CorpusAnswers
from dal_nlp.tasks import make_task
from dal_nlp.workflows.predict import TrainedRun

Floats = NDArray[np.float64]
RowNumbers = NDArray[np.int64]


@dataclass(frozen=True)
class FileColumns:
    """How a file is read where it differs from the run's own; what is left out is as in the run.

    Attributes:
        text_column: The columns that hold the texts.
        id_column: The column of ids; ``none`` where there are no ids.
        encoding: Of a text file that is not UTF-8; the run's own says nothing of another file.
        quoting: ``none`` where double quotes in a table are letters, ``trusted`` where they are right as they stand.
        label_column: Of the answers, for oracles that read them from the file.
    """

    text_column: Sequence[str] = ()
    id_column: str | None = None
    encoding: str | None = None
    quoting: str | None = None
    label_column: str | None = None

    def settings(self) -> dict[str, object]:
        """Return the settings that differ from the run's."""
        values = {**vars(self), "text_column": list(self.text_column)}
        return {name: value for name, value in values.items() if value}


#: A file that is read as the run's own is.
AS_THE_RUN = FileColumns()


@dataclass
class Inquiry:
    """A file, what the model says of it, and who is asked.

    Attributes:
        run: Whose model answers.
        config: Of the folder.
        corpus: The distinct texts of the file.
        ledger: Of the folder, open for writing.
        oracle: Who answers.
        answers: The model's, (N,) in the order of the corpus.
        known: What people have said of texts of the file in the run, by id; nobody is asked about these.
        by: Who gives the answers: MODEL, STACK or the name of a witness.
    """

    run: TrainedRun
    config: Settings
    corpus: Corpus
    ledger: Ledger
    oracle: Oracle
    answers: list[Prediction]
    known: dict[str, Target]
    by: str

    @property
    def state(self) -> State:
        """What has been asked and answered."""
        return self.ledger.state

    @property
    def ids(self) -> list[str]:
        """The ids of the corpus."""
        return [str(id) for id in self.corpus.dataset["id"]]

    @property
    def confidence(self) -> Floats:
        """How sure the model is of each text, (N,)."""
        return np.array([answer.confidence for answer in self.answers], dtype=np.float64)

    @property
    def open(self) -> RowNumbers:
        """The rows whose answer nobody knew before, in the order of the file."""
        return np.flatnonzero([id not in self.known for id in self.ids])

    def texts(self, ids: Sequence[str]) -> list[str]:
        """Return what an annotator reads of some texts."""
        return [self.run.task.show(row) for row in fetch(self.corpus.dataset, self.corpus.positions(ids))]

    def begin(self, purpose: str, size: int, error: float = 0.0, beside: str = "") -> None:
        """Write down what the folder is for; raises ``UserError`` where it is for something else.

        Args:
            purpose: See ``InquiryEvent``.
            size: See ``purpose``.
            error: See ``purpose``.
            beside: What else the outcome depends on: a second machine and prices.
        """
        lines = "\n".join(f"{readable(answer.target)}\t{answer.confidence:.4f}" for answer in self.answers)
        digest = hashlib.sha256(f"{self.corpus.digest}\n{lines}{beside}".encode()).hexdigest()[:16]
        new, old = InquiryEvent(purpose=purpose, answers=digest, size=size, error=error), self.state.inquiry
        if old is None:
            self.ledger.append(new)
        elif old != new:
            option = "another --budget" if purpose == "test" else "another --error or --draws"
            changed = option if old.answers == digest else "another model or file, or other prices"
            raise UserError(f"{self.ledger.folder} was begun with {changed}: choose another --out.")

    def draw(self, ids: Sequence[str], probabilities: Sequence[float] = ()) -> None:
        """Write down the texts that measure; done once."""
        if self.state.audit is None:
            event = AuditEvent(ids=list(ids), texts=self.texts(ids), probabilities=list(probabilities))
            self.ledger.append(event)

    def ask_further(self, ids: Sequence[str], scores: Sequence[float]) -> None:
        """Put further texts to people, in this order; those that were asked already are left out."""
        new = [(id, score) for id, score in zip(ids, scores, strict=True) if id not in self.state.ever_asked]
        if not new:
            return
        names = [id for id, _ in new]
        self.ledger.append(
            QueryEvent(
                round=len(self.state.queries),
                ids=names,
                scores=[score for _, score in new],
                texts=self.texts(names),
                strategy="uncertainty",
            )
        )

    def ask(self) -> list[str]:
        """Put what is unanswered to the oracle; return what is pending. Each answer is on the disk before the next."""
        self._ask(self.state.audit or [], None)
        for query in list(self.state.queries):
            self._ask(query.ids, query.round)
        return self.state.pending([*(self.state.audit or []), *(id for q in self.state.queries for id in q.ids)])

    def _ask(self, ids: Sequence[str], round: int | None) -> None:
        missing = self.state.pending(ids)
        why = "drawn at random, to measure on" if round is None else "the model is not sure enough"
        queries = [Query(id, text, round, why) for id, text in zip(missing, self.texts(missing), strict=True)]
        if self.oracle.from_file:  # nobody waits for each of them to be on the disk
            self.ledger.extend([self._checked(answer).event(round) for answer in self.oracle.label(queries)])
            return
        for answer in self.oracle.label(queries):
            self.ledger.append(self._checked(answer).event(round))

    def _checked(self, answer: Answer | Channel) -> Answer | Channel:
        """Return an answer; raises ``UserError`` for one that cannot be used, before it is written down."""
        content = answer.answer if isinstance(answer, Opinion) else answer
        if isinstance(content, Label):
            self._check(content)
        return answer

    def _check(self, answer: Label) -> None:
        if answer.id not in self.state.ever_asked:
            raise UserError(f"The oracle answered {answer.id!r}, which was not asked: yield ids of the queries.")
        try:
            self.run.task.check(answer.target, self.corpus.example(answer.id))
        except ValueError as error:
            raise UserError(f"The oracle's answer to {answer.id!r} cannot be used: {error}") from None

    def right(self, ids: Sequence[str], predictions: Sequence[Prediction]) -> NDArray[np.bool_]:
        """Return whether a machine's answers to texts that people have answered are theirs: of several, all of them."""
        task, answers, metric = self.run.task, self.state.answers, self.run.task.metrics[0]
        pairs = zip(predictions, ids, strict=True)
        return np.array([task.evaluate([one.target], [answers[id]])[metric] == 1 for one, id in pairs], dtype=bool)


@contextmanager
def open_inquiry(
    run: TrainedRun, source: str, out: Path, oracle: str, size: int, columns: FileColumns, by: str | None = None
) -> Iterator[Inquiry]:
    """Open the folder of questions about a file, and have the model answer the file's texts.

    Args:
        run: Whose model answers.
        source: The file.
        out: The folder.
        oracle: The name of who answers.
        size: How many answers measure.
        columns: How the file is read.
        by: Who gives the answers, see ``answered_by``; as the run is opened if left out.

    Raises:
        UserError: The file cannot be read, or the folder is another's.
    """
    config = run.config.model_copy(
        update={
            "data": source, "test": None, "validation": None, "labeled": None, "answers": None, "oracle": oracle,
            "annotators": None, "overlap": 0.0, "suggest": False, "audit": size, "audit_design": "uniform",
            "initial": 1, "rounds": 0, "budget": None, "target": None, "stop": None, "encoding": None, "track": None,
            "finish": "none", **columns.settings(),
        }
    )  # fmt: skip
    answerer = make_oracle(oracle)
    out.mkdir(parents=True, exist_ok=True)
    with Ledger(out) as ledger:
        if ledger.state.config is not None and ledger.state.inquiry is None and ledger.state.audit is not None:
            raise UserError(f"{out} holds a run: choose another --out.")
        sweep(out / "cache", ("tmp*", "*.part"))
        task, state = make_task(config), ledger.state
        task.labels = list(run.task.labels)
        before = state.pool.digest if state.pool else None
        corpus = read_pool(source, task, config, out / "cache", need_targets=answerer.from_file, previous=before)
        for remark in corpus.remarks:
            run.progress.say(remark)
        dump = config.model_dump(mode="json", exclude={"out"})
        if (state.config, state.labels) != (dump, task.labels):
            ledger.append(ConfigEvent(config=dump, labels=task.labels))
        if state.pool is None or state.pool.digest != corpus.digest:
            ledger.append(PoolEvent(file=source, rows=len(corpus), digest=corpus.digest))
        answerer.open(Setting(out, config, task, ledger.state, CorpusAnswers(corpus), corpus.example, run.progress))
        who = (STACK if run.keeps else MODEL) if by is None else by
        answers = Machine(who, run).read(corpus, out / "cache")
        yield Inquiry(run, config, corpus, ledger, answerer, answers, _known(run, corpus), who)


def _known(run: TrainedRun, corpus: Corpus) -> dict[str, Target]:
    """Return what people have said in the run of texts that the file has under the same ids."""
    done = {id: text for id, text in texts_asked(run.state) if id in run.state.answers}
    ids = [id for id, row in zip(done, corpus.find(list(done)), strict=True) if row >= 0]
    rows = fetch(corpus.dataset, corpus.positions(ids)) if ids else []
    same = [id for id, row in zip(ids, rows, strict=True) if run.task.show(row) == done[id]]
    if same:
        run.progress.say(f"Answered in the run already: {counted(len(same), 'text')} of the file")
    return {id: run.state.answers[id] for id in same}
