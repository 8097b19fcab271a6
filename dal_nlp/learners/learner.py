"""The model of a run: fresh or warm at the start of a fit, saved after it, loaded again after a crash."""

import json
import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.caches import Cache, Deferred, OnDisk
from dal_nlp.core.config import ScoringConfig, Settings, TrainingConfig
from dal_nlp.core.distributed import barrier, is_main, phase, process_state
from dal_nlp.core.files import sync, whole_folder
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for, seed_for, torch_seeded
from dal_nlp.core.task import Batch, Task
from dal_nlp.data.corpus import Corpus
from dal_nlp.learners.checkpoints import damage, read_json, write_model
from dal_nlp.ledger.stages import Stages
from dal_nlp.models.auxiliary import AuxiliaryModels, TokenLosses, token_losses
from dal_nlp.models.loss_prediction import FILE, LossHead, LossPrediction, hidden_width, load_head, save_head
from dal_nlp.models.pool import fetch
from dal_nlp.models.sentence_encoder import SentenceEncoder, check_encoder
from dal_nlp.models.trainer import Fit, fit, make_accelerator
from dal_nlp.models.vectors import Positions
from dal_nlp.pretrained.loading import digest, resolve
from dal_nlp.pretrained.masked_lm import load_masked_lm

#: What the fit of a checkpoint was.
NOTE = "fit.json"
#: Patterns of the files of a whole model.
WHOLE = ("config.json", "model*.safetensors")


class Learner(ABC):
    """Gives the model of every round.

    The model after round r lies in ``checkpoints/round-r`` until the next one is written whole, so that a crash costs
    one fit at most, and a resumed run goes on with the very same weights.

    Attributes:
        weights: Patterns of the names of its files in a checkpoint.
        seeded: Whether another attempt at a fit gives another model.
        instant: Whether a round takes less time than its report.
        has_dropout: Whether what is trained has dropout of its own, which is not to be seen before the first fit.

    Args:
        config: The run's configuration.
        task: What loads models.
        source: Folder or Hub id of the pretrained model.
        folder: The run folder.
        progress: Where the fits are shown.
        predicts_loss: Whether a head that predicts losses is trained beside every model.
    """

    weights: ClassVar[tuple[str, ...]] = ()
    seeded: ClassVar[bool] = True
    instant: ClassVar[bool] = False
    has_dropout: ClassVar[bool] = False

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        self._config, self._task, self._source = config, task, source
        self._folder, self._progress, self._predicts_loss = folder, progress, predicts_loss
        self._current: tuple[int, nn.Module] | None = None
        self.stages = Stages()
        self._damaged: set[Path] = set()  # checkpoints of which it was said
        self._head: tuple[int, LossHead] | None = None
        self._masked_lm: nn.Module | None = None
        self._tuned = False  # whether what was trained as a whole at the end is left in place of the last round's model
        self._written: tuple[nn.Module, OnDisk] | None = None
        self._sentence_encoder = self._make_encoder(config.query.embedding_model)

    def _make_encoder(self, name: str | None) -> SentenceEncoder | None:
        """Make what embeds texts in the model's place; its embeddings stay in the run folder."""
        if name is None:
            return None
        source = resolve(name, self._progress)
        return SentenceEncoder(source, OnDisk(self._folder / "cache" / f"embeddings-{check_encoder(source)}.sqlite"))

    def sentence_encoder(self) -> SentenceEncoder | None:
        """Return what embeds texts in the place of the model, None where the model does."""
        return self._sentence_encoder

    def written(self, round: int) -> Cache:
        """Return what the model of a round has written so far, in this start of the run or in an earlier one."""
        model = self.after(round)
        if self._written is None or self._written[0] is not model:
            self._forget()
            name = f"written-{round if round >= 0 else 'pretrained'}-{digest(model)}.sqlite"
            self._written = (model, OnDisk(self._folder / "cache" / name))
        return self._written[1]

    def _forget(self) -> None:
        """Drop what the model has written, before it is trained on or another one takes its place."""
        if self._written is not None:
            self._written[1].close()
        self._written = None

    @property
    def kept(self) -> int:
        """Bytes that are kept of each text of the pool, on the disk."""
        return 0

    @property
    def scoring(self) -> ScoringConfig:
        """The sizes of batches that suit the model."""
        return self._config.scoring

    @property
    def ready(self) -> bool:
        """Whether it can answer before it has learnt anything."""
        return False

    def remarks(self) -> list[str]:
        """Return what a user should know of what it starts from, in sentences."""
        return []

    def view(self, corpus: Corpus) -> Dataset:
        """Return what the model reads of a set of texts, and the task's fields with it; before the first fit."""
        return corpus.encoded(self._task)

    def require(self, examples: Dataset, rows: Positions | None = None) -> None:
        """See that some rows (all if left out) of what ``view`` returned can be scored; all processes call it."""
        return None  # what texts become is in the dataset

    @abstractmethod
    def after(self, round: int) -> nn.Module:
        """Return the model that was fitted in a round; for round -1 the one that nothing was fitted to."""

    def choosing(self, round: int) -> nn.Module:
        """Return the model that chooses after a round, which may know more than the one that the run leaves."""
        return self.after(round)

    def text_model(self, round: int) -> nn.Module:
        """Return the model of a round that reads texts and nothing that machines say of them."""
        return self.after(round)

    @abstractmethod
    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Train the model of a round; ``attempt`` gives another seed."""

    def held_out(
        self, examples: Dataset, done: Fit | None = None, weights: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
        """Return probabilities of examples (n, C) by models fitted to others, and classes (n,); None: too slow."""
        return None

    def keep_tuned(self, kept: bool) -> None:
        """Say whether ``finish`` leaves what was trained as a whole after the last round, where that was done."""
        self._tuned = kept

    @abstractmethod
    def finish(self, round: int) -> None:
        """Leave the model of the last round in ``model/``, which is also what the next start goes on from."""

    @abstractmethod
    def _write(self, round: int, draft: Path) -> None:
        """Write the model of a round into an empty folder."""

    def loss_head(self, round: int) -> nn.Module:
        """Return the head that was trained beside the model of a round; raises ``Unsupported`` where none was."""
        if self._head is None or self._head[0] != round:
            self._head = (round, load_head(self.place(round)).to(process_state().device))
        return self._head[1]

    def masked_lm(self) -> nn.Module:
        """Return the pretrained model with its masked-LM head; kept until the next fit needs the memory."""
        if self._masked_lm is None:
            self._masked_lm = load_masked_lm(self._source).to(process_state().device)
        return self._masked_lm

    def companions(self, round: int) -> AuxiliaryModels:
        """Return what stands beside the model of a round, loaded when it is read."""
        return _Companions(self, round)

    def token_losses(self, batch: Batch) -> TokenLosses:
        """Return the pretrained masked language model's losses on the tokens of a batch."""
        return token_losses(self.masked_lm(), batch, self._task.tokenizer)

    def fitted(self, round: int) -> Fit | None:
        """Return what the fit of a round was, if its checkpoint is there with all that this run trains.

        A checkpoint that cannot be read is as good as none, and is said.
        """
        checkpoint = self.place(round)
        note = checkpoint / NOTE
        if not note.is_file() or (self._predicts_loss and not (checkpoint / FILE).is_file()):
            return None
        content = read_json(note)
        wrong = damage(checkpoint, self.weights) if isinstance(content, dict) else f"{NOTE} cannot be read"
        if not wrong and isinstance(content, dict):
            return Fit(**content["fit"]) if content["round"] == round else None
        if checkpoint not in self._damaged:
            self._damaged.add(checkpoint)
            self._progress.say(f"{checkpoint} cannot be used ({wrong}): its model is fitted again.")
        return None

    def has(self, round: int) -> bool:
        """Tell whether the model of a round is there, in memory or in a checkpoint that can be read."""
        return (self._current is not None and self._current[0] == round) or self.fitted(round) is not None

    def is_finished(self, round: int) -> bool:
        """Tell whether ``model/`` holds the model of the last round, whole."""
        final = self._folder / "model"
        content = read_json(final / NOTE)
        other = isinstance(content, dict) and content.get("round") != round
        return not other and not damage(final, self.weights + (WHOLE if self._leaves_whole else ()))

    @property
    def _leaves_whole(self) -> bool:
        """Whether ``finish`` leaves a model that ``from_pretrained`` loads."""
        return True

    @phase("writing the checkpoint")
    def save(self, round: int, done: Fit) -> None:
        """Write the checkpoint of a round, then remove older ones."""
        barrier()
        if is_main():
            target = self._folder / "checkpoints" / f"round-{round}"
            with whole_folder(target) as draft:
                self._write(round, draft)
                if self._predicts_loss:
                    save_head(self.loss_head(round), draft)
                (draft / NOTE).write_text(json.dumps({"round": round, "fit": asdict(done)}))
            for old in (self._folder / "cache").glob("written-[0-9]*"):
                if not old.name.startswith(f"written-{round}-"):
                    old.unlink()  # by a model that the run is done with
            for old in target.parent.glob("round-*"):
                if old != target and old.is_dir():  # other programs leave files there, such as .DS_Store
                    shutil.rmtree(old)
        barrier()

    def place(self, round: int) -> Path:
        """Return where the model of a round lies: among the checkpoints, or, of a run that had ended, in ``model/``."""
        checkpoint = self._folder / "checkpoints" / f"round-{round}"
        return checkpoint if checkpoint.is_dir() else self._folder / "model"


class FullLearner(Learner):
    """Trains all weights of a pretrained model, with its output layer."""

    weights: ClassVar[tuple[str, ...]] = WHOLE

    def after(self, round: int) -> nn.Module:
        """Return the model that was fitted in a round; the pretrained one for round -1."""
        if self._current is None or self._current[0] != round:
            source = self._source if round < 0 else str(self.place(round))
            with torch_seeded(seed_for(self._config.seed, 0, "weights")):
                model = self._task.load(source)
            self._current = (round, model.to(process_state().device))
        return self._current[1]

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Train the model of a round; ``attempt`` gives another seed."""
        warm = self._config.training.warm_start and round > 0
        purpose = f"fit {attempt}" if attempt else "fit"
        if warm:
            model = self.text_model(round - 1)
        else:
            # The same new weights in every round: less variance between rounds and strategies.
            with torch_seeded(seed_for(self._config.seed, attempt, "weights")):
                model = self._load_new().to(process_state().device)
        self._current = self._head = self._masked_lm = None
        self._forget()
        head = self._new_head(model, examples, attempt) if self._predicts_loss else None
        with torch_seeded(seed_for(self._config.seed, round, purpose)):
            done = fit(
                model,
                self._task,
                examples,
                weights,
                self._recipe(examples),
                # One accelerator a fit: it holds on to the models and optimizers that it has prepared.
                make_accelerator(self._config.training.precision),
                rng_for(self._config.seed, round, purpose),
                self._progress,
                LossPrediction(head) if head else None,
            )
        self._current = (round, model.eval())
        self._head = (round, head.eval()) if head else None
        return done

    def _recipe(self, examples: Dataset) -> TrainingConfig:
        """Return how some examples are trained on."""
        return self._config.training

    def _load_new(self) -> nn.Module:
        """Load the pretrained model with a new output layer, drawn from torch's global state."""
        return self._task.load(self._source)

    def _new_head(self, model: nn.Module, examples: Dataset, attempt: int) -> LossHead:
        """Make the same new head in every round, drawn apart from the model's weights."""
        device = process_state().device
        with torch_seeded(seed_for(self._config.seed, attempt, "loss head")):
            batch = self._task.collate(fetch(examples, [0])).to(device)
            return LossHead(hidden_width(model, batch)).to(device)

    def _write(self, round: int, draft: Path) -> None:
        """Write model and tokenizer."""
        write_model(self.after(round), self._task, draft)

    def finish(self, round: int) -> None:
        """Move the last checkpoint to ``model/``; it stays what the next start goes on from."""
        final = self._folder / "model"
        checkpoint = self.place(round)
        if is_main() and checkpoint != final:
            shutil.rmtree(final, ignore_errors=True)
            os.replace(checkpoint, final)
            sync(self._folder)
            shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)
        barrier()


class _Companions(AuxiliaryModels):
    """What a learner has beside the model of a round."""

    def __init__(self, learner: Learner, round: int) -> None:
        self._learner, self._round = learner, round

    def loss_head(self) -> nn.Module:
        return self._learner.loss_head(self._round)

    def text_model(self) -> nn.Module:
        return self._learner.text_model(self._round)

    def token_losses(self, batch: Batch, tokenizer: Any) -> TokenLosses:
        return self._learner.token_losses(batch)

    @cached_property
    def written(self) -> Cache:
        return Deferred(lambda: self._learner.written(self._round))

    def sentence_encoder(self) -> SentenceEncoder | None:
        return self._learner.sentence_encoder()
