"""What the model of a run says about new texts."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from scipy.special import log_softmax
from torch import nn

from dal_nlp.core.caches import Cache, InMemory, OnDisk
from dal_nlp.core.config import Settings
from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.task import Capability, Prediction, Task
from dal_nlp.data.examples import CONTEXT, GROUP, ExampleReader, ReadRow, context_of
from dal_nlp.learners.distillation import Floats
from dal_nlp.learners.head_checkpoint import StoredLayer, has_layer, load_whole, read_layer
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State, stored_settings
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.loading import load_tokenizer, resolve
from dal_nlp.pretrained.sentence_format import load_reader
from dal_nlp.signals import make_signals
from dal_nlp.signals.asking import hear, hear_one
from dal_nlp.signals.base import Signal
from dal_nlp.signals.witness import WITNESSES, KeptLayer, read_kept
from dal_nlp.span_witnesses.listening import heard_examples, hears_in_columns, kinds_of, with_weights
from dal_nlp.strategies import probes
from dal_nlp.tasks import make_task
from dal_nlp.workflows.sources import read_aloud, reader_of

#: Rows that are in memory at a time.
CHUNK = 10_000


class PredictedRow(NamedTuple):
    """What the model says about one example.

    Attributes:
        id: Of the example.
        text: What an annotator would read; "" where there is nothing to read.
        answer: None where there is nothing to read.
        details: See ``Task.details``; the same keys in every row.
        context: The context columns of the run, empty where the source does not have them.
        columns: What the source calls its ids and its texts; "id" and "text" where it has no such column, or two of
            texts.
    """

    id: str
    text: str
    answer: Prediction | None
    details: dict[str, str]
    context: Mapping[str, str] = MappingProxyType({})
    columns: tuple[str, str] = ("id", "text")


def predict(
    folder: Path,
    source: str,
    progress: Progress | None = None,
    text_column: Sequence[str] | None = None,
    id_column: str | None = None,
    encoding: str | None = None,
    quoting: str | None = None,
    keep_witness: bool | None = None,
) -> Iterator[PredictedRow]:
    """Answer every row of a source with the model of a run, in the order of the source.

    Args:
        folder: A run folder, finished or not; the model of its last round answers.
        source: See ``data.read_rows``; with the text columns of the run, and the id column if that has a name of its
            own. Labels are neither needed nor read.
        progress: Where the passes are shown; nowhere if left out.
        text_column: The source's text columns where they have other names than in the run.
        id_column: Its column of ids, likewise; ``none`` where it has no ids.
        encoding: Of a text file that is not UTF-8.
        quoting: ``none`` where double quotes in a table are letters, ``trusted`` where they are right as they stand.
        keep_witness: See ``open_run``.

    Returns:
        One row for each of the source; a row without a text has no prediction.

    Raises:
        UserError: No run folder, no model in it yet, or a source that cannot be read (at once; a damaged row later).
    """
    run = open_run(folder, Silent() if progress is None else progress, keep_witness)
    reader = reader_of(run.config, source, text_column, id_column, encoding, quoting)
    examples = read_aloud(reader, run.progress)
    first = next(examples)  # a wrong file or column comes to light before the model is loaded
    model = run.load()
    return _answers(chain([first], examples), model, run, reader)


def _own_columns(reader: ExampleReader) -> tuple[str, str]:
    """Return ``PredictedRow.columns``; names that the answers have already are not taken."""
    there = [name for name in reader.opened.columns if name not in ("prediction", "confidence")]
    texts, id = reader.task.columns(), reader.config.id_column
    return id if id in there else "id", texts[0] if len(texts) == 1 and texts[0] in there else "text"


@dataclass
class TrainedRun:
    """A run folder whose model answers.

    Attributes:
        folder: The run folder.
        config: As far as it concerns reading and answering.
        task: With the labels of the run; its tokenizer is there once the model is loaded.
        state: Of the ledger.
        keeps: Whether its witnesses are asked about each text too.
    """

    folder: Path
    config: Settings
    task: Task
    state: State
    progress: Progress
    keeps: bool = False

    @cached_property
    def signals(self) -> dict[str, Signal]:
        """The machines of the run by what its settings call them: one model, and one budget, for all texts."""
        return make_signals(self.config, self.task.labels, self.progress, kinds_of(self.task))

    @cached_property
    def by_id(self) -> bool:
        """Whether repeats of a text may have answers of their own: a file may have one for each id."""
        return self.keeps and not all(signal.kept for signal in self.signals.values())

    @cached_property
    def _kept(self) -> KeptLayer:
        """What answers together with witnesses; raises ``UserError`` where the run has heard none."""
        path = model_folder(self.folder)
        kept = read_kept(path) if (path / WITNESSES).is_file() else None
        if kept is None or not kept.witnesses:
            raise UserError(
                f"The model of {self.folder} hears no signal, so --keep-witness has none to ask: leave it out."
            )
        return kept

    def load(self) -> nn.Module:
        """Load the model of the last round."""
        path = model_folder(self.folder)
        if self.keeps and not hears_in_columns(self.task):
            encoder = resolve(self.config.model, self.progress, self.config.revision)
            self.task.tokenizer = load_reader(encoder, "head", self.task.capabilities)
            return StoredLayer(self.config, self.task, encoder, self._kept.layer, self.progress)
        tuned = self.state.finished is not None and self.state.finished.kept
        if has_layer(self.config, path) and not tuned:  # what the cache holds of its texts is not computed again
            source = self._encoder(path)
            if source is not None:
                self.task.tokenizer = load_reader(source, "head", self.task.capabilities)
                if Capability.WORD_OUTPUT in self.task.capabilities:
                    of_words = load_whole(source, path, self.task, self.config).to(process_state().device)
                    return with_weights(of_words, path) if self.keeps else of_words
                return StoredLayer(self.config, self.task, source, read_layer(path), self.progress)
        self.task.tokenizer = load_tokenizer(str(path))  # which loading the model reads
        model: nn.Module = self.task.load(str(path)).to(process_state().device)
        return with_weights(model, path) if self.keeps else model

    def _encoder(self, path: Path) -> str | None:
        """Return the encoder that the run has trained on; None where it has gone and ``path`` holds a copy."""
        try:
            return resolve(self.config.model, self.progress, self.config.revision)
        except UserError:
            if (path / "config.json").is_file():
                return None
            raise

    def answers(
        self, model: nn.Module, examples: Sequence[Mapping[str, Any]], known: Cache | None = None
    ) -> list[Prediction]:
        """Return a model's answer to each example; one that stands there several times is read once.

        Args:
            model: Of ``load``.
            examples: With their ids and fields.
            known: What this model has answered so far, which is not read again; the new answers are added to it.
        """
        cache = InMemory() if known is None else known
        rows, numbers = distinct(examples, self.by_id)
        keys = [content_key(row, self.by_id) for row in rows]
        predictions = {key: Prediction(*json.loads(value)) for key, value in cache.get(keys).items()}
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in predictions}
        if new:
            new_predictions = dict(zip(new, self._read(model, list(new.values())), strict=True))
            cache.put({key: json.dumps([one.target, one.confidence]).encode() for key, one in new_predictions.items()})
            predictions |= new_predictions
        return [predictions[keys[number]] for number in numbers]

    def _read(self, model: nn.Module, examples: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Return a model's answer to each of some examples, of which there is one at least."""
        if self.keeps and not hears_in_columns(self.task):
            shares = np.exp(self.log_probs(model, examples))
            return [Prediction(self.task.labels[int(row.argmax())], float(row.max())) for row in shares]
        return self.pool(model, examples).predict()

    def log_probs(self, model: nn.Module, examples: Sequence[Mapping[str, Any]]) -> Floats:
        """Return the log-probabilities of the classes, (N, C); a repeat is read once."""
        rows, numbers = distinct(examples, self.by_id)
        (log_probs,) = self.pool(model, rows).collect(probes.class_log_probs)
        scores = np.asarray(log_probs, dtype=np.float64)
        if self.keeps:
            texts = ["\n".join(self.task.texts(row)) for row in rows]
            ids = [str(row["id"]) for row in rows]
            scores = scores + hear(self.config, self.signals, self.task.labels, self._kept, texts, ids, self.progress)
        return np.asarray(log_softmax(scores, axis=1))[numbers]

    def heard(self, name: str, examples: Sequence[Mapping[str, Any]]) -> Floats:
        """Return what one witness says of each example, log-probabilities (N, C), NaN where it does not answer."""
        texts, ids = ["\n".join(self.task.texts(row)) for row in examples], [str(row["id"]) for row in examples]
        return hear_one(self.config, self.signals, self.task.labels, self._kept, name, texts, ids, self.progress)

    def pool(self, model: nn.Module, examples: Sequence[Mapping[str, Any]]) -> Pool:
        """Return examples, each with its id and fields, under a model; what should be known of them is said."""
        columns = {name: [row[name] for row in examples] for name in examples[0] if name != "target"}
        features = self.task.encode(columns)
        data = Dataset.from_dict({**columns, **features})
        if self.keeps and hears_in_columns(self.task):
            data = heard_examples(self.config, self.task, self.signals, data, self.progress)
        for remark in self.task.remarks({"rows": data}):
            self.progress.say(remark)
        if isinstance(model, StoredLayer):
            return model.pool(data, list(features), Path(tempfile.gettempdir()))
        draws = make_draws(self.config.draws, self.config.seed, 0)
        return Pool(data, model, self.task, draws, self.config.scoring, progress=self.progress)


def content_key(example: Mapping[str, Any], by_id: bool = False) -> bytes:
    """Return what stands for all that is read of an example, its id too or not: those of one key get one answer."""
    own = ("target", GROUP, CONTEXT, *(() if by_id else ("id",)))
    content = {name: value for name, value in example.items() if name not in own}
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).digest()


def distinct(examples: Sequence[Mapping[str, Any]], by_id: bool = False) -> tuple[list[Mapping[str, Any]], list[int]]:
    """Return examples without repeats, see ``content_key``, and the number of every example among them."""
    number_of: dict[bytes, int] = {}
    rows, numbers = list[Mapping[str, Any]](), list[int]()
    for example in examples:
        number = number_of.setdefault(content_key(example, by_id), len(rows))
        if number == len(rows):
            rows.append(example)
        numbers.append(number)
    return rows, numbers


def open_run(folder: Path, progress: Progress, keep_witness: bool | None = None) -> TrainedRun:
    """Open a run folder; raises ``UserError`` where there is none, or no model in it yet.

    Args:
        folder: The run folder.
        progress: Where it is shown.
        keep_witness: Whether its witnesses are asked about each text too; None: as the run has it.
    """
    state = read_state(folder)
    config = stored_settings(folder, state)
    model_folder(folder)
    task = make_task(config)
    task.labels = list(state.labels)
    return TrainedRun(
        folder, config, task, state, progress, config.keep_witness if keep_witness is None else keep_witness
    )


def model_folder(folder: Path) -> Path:
    """Return where the model of a run's last round lies; raises ``UserError`` where there is none yet."""
    checkpoints = {int(path.name.removeprefix("round-")): path for path in folder.glob("checkpoints/round-*[0-9]")}
    path = checkpoints[max(checkpoints)] if checkpoints else folder / "model"
    if not path.is_dir():
        raise UserError(f"{folder} has no model yet: let `dal-nlp run` finish a round.")
    return path


def _answers(
    examples: Iterator[ReadRow], model: nn.Module, run: TrainedRun, reader: ExampleReader
) -> Iterator[PredictedRow]:
    """Yield the rows, a chunk of them in memory at a time.

    What was answered lies in a file meanwhile, so that a repeat is read once however far it stands from the first.
    """
    names, unread = _own_columns(reader), Counter[str]()
    with (
        tempfile.TemporaryDirectory(prefix="dal-nlp-") as folder,
        closing(OnDisk(Path(folder) / "answers.sqlite")) as known,
    ):
        while chunk := list(islice(examples, CHUNK)):
            full = [{"id": example.id, **example.fields} for example in chunk if example.fields is not None]
            answers = iter(run.answers(model, full, known))
            for example in chunk:
                if example.fields is None:
                    unread[str(example.reason)] += 1
                    yield PredictedRow(example.id, "", None, run.task.details(None), context_of(example.beside), names)
                else:
                    answer = next(answers)
                    text = run.task.show({"id": example.id, **example.fields})
                    details, context = run.task.details(answer.target), context_of(example.fields)
                    yield PredictedRow(example.id, text, answer, details, context, names)
    if unread:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in unread.items())
        run.progress.say(f"Rows without a prediction: {unread.total():,} ({reasons})")
