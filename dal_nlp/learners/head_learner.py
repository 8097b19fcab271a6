"""Rounds of a second: the encoder is frozen, and a fit is one linear layer on what it makes of the texts."""

import shutil
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute
import torch
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray
from torch import Tensor, nn

from dal_nlp.core.config import ScoringConfig, Settings
from dal_nlp.core.distributed import barrier, is_main, process_state
from dal_nlp.core.errors import BrokenModelError
from dal_nlp.core.files import whole_folder
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for, seed_for, torch_seeded
from dal_nlp.core.task import Batch, Capability, Task
from dal_nlp.data.corpus import Corpus
from dal_nlp.data.text_windows import SIZES, WINDOWS, longest_input, rows_of
from dal_nlp.learners.checkpoints import fitted_settings
from dal_nlp.learners.cross_validation import (
    CLASSES,
    SEVERAL,
    FitSetting,
    Outputs,
    choose_setting,
    deal,
    fit_with,
    held_out,
    settings,
)
from dal_nlp.learners.distillation import TeacherLayer, distil
from dal_nlp.learners.feature_cache import Features, open_cache, places_of
from dal_nlp.learners.head_checkpoint import BATCH, HEAD, FittedLayer, HeadNet, read_layer, write_whole
from dal_nlp.learners.layers import Standard, side_by_side, standard_of
from dal_nlp.learners.learner import NOTE, Learner
from dal_nlp.learners.linear import Offset, strength
from dal_nlp.learners.prior import DescriptionSource
from dal_nlp.models.auxiliary import TokenLosses, joined, token_losses
from dal_nlp.models.loss_prediction import FILE as LOSS_HEAD
from dal_nlp.models.loss_prediction import LossHead, LossPrediction
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import Fit, StepInfo, number_of_steps, schedule, step_batches
from dal_nlp.models.vectors import Array, Positions

#: The layer that no label has trained, beside the signals.
_NOTHING = np.zeros(1, dtype=np.float32)
#: Texts of the pool whose mean and spread stand for those of all, and on which signals are distilled.
SAMPLE = 2000


class LayerLearner(Learner):
    """Trains an output layer on states of a frozen encoder; the layer alone is a round's checkpoint.

    A set of texts is seen as a dataset whose tokens are places of features. So everything that scores, measures and
    chooses works as with a whole model, and takes as long as the lookup.
    """

    weights: ClassVar[tuple[str, ...]] = (HEAD,)
    beside: ClassVar[tuple[str, ...]] = (LOSS_HEAD, NOTE)  # files of a checkpoint that may not be there
    seeded: ClassVar[bool] = False
    instant: ClassVar[bool] = True

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        super().__init__(config, task, source, folder, progress, predicts_loss)
        self._layers: dict[int, FittedLayer] = {}  # by round
        self._depths = tuple(config.head.layers)

    def after(self, round: int) -> nn.Module:
        """Return the layer that was fitted in a round; a random one for round -1."""
        if self._current is None or self._current[0] != round:
            model = self._new() if round < 0 else self._load(round)
            self._current = (round, model.to(process_state().device).eval())
        return self._current[1]

    @abstractmethod
    def _new(self) -> nn.Module:
        """Return the layer before any fit."""

    @abstractmethod
    def _net(self, layer: FittedLayer) -> nn.Module:
        """Return a fitted layer on features that are looked up."""

    def _load(self, round: int) -> nn.Module:
        """Read the layer of a checkpoint; labels that have come up since are classes without an example."""
        self._layers[round] = read_layer(self.place(round))
        return self._net(self._layers[round])

    @property
    def _leaves_whole(self) -> bool:
        return self._config.whole or self._config.finish != "none"

    def _write(self, round: int, draft: Path) -> None:
        """Write the layer alone."""
        self.after(round)
        self._layers[round].save(draft)

    def finish(self, round: int) -> None:
        """Leave encoder and layer, or what ``finish`` trained, in ``model/``, with what the next start goes on from."""
        barrier()
        if is_main():
            checkpoint, tuned = self.place(round), tuned_folder(self._folder, round)
            with whole_folder(self._folder / "model") as draft:
                if self._tuned:
                    shutil.copytree(tuned, draft, dirs_exist_ok=True)
                elif self._config.whole:
                    write_whole(self._source, checkpoint, self._task, self._config, draft)
                for name in (HEAD, *self.beside):
                    if (checkpoint / name).is_file():
                        shutil.copy(checkpoint / name, draft)
            for old in (self._folder / "checkpoints", self._folder / "finish"):
                shutil.rmtree(old, ignore_errors=True)
        barrier()


class HeadLearner(LayerLearner):
    """Trains an output layer on the means of the frozen encoder's states in a few layers; a text is one token.

    It starts from what is known of the labels (see ``distillation``), whose weight is fitted with the layer.
    """

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        super().__init__(config, task, source, folder, progress, predicts_loss)
        cache = open_cache(config, source, task)
        most = longest_input(config, task.tokenizer)
        self._features = Features(task, source, cache, folder / "cache", config.scoring, progress, most, self.stages)
        self._pool_size = 0
        self.described: DescriptionSource | None = None

    @cached_property
    def _outputs(self) -> Outputs:
        """What the outputs of the layer are."""
        return SEVERAL if Capability.SEVERAL_LABELS in self._task.capabilities else CLASSES

    @property
    def kept(self) -> int:
        """Bytes that are kept of each text of the pool: its features, in the cache and in the table of this run."""
        return 2 * self._features.bytes

    @property
    def scoring(self) -> ScoringConfig:
        """The sizes of batches that suit the model."""
        return self._config.scoring.model_copy(update={"batch_size": BATCH, "batch_tokens": BATCH})

    def view(self, corpus: Corpus) -> Dataset:
        """Return the fields of a set of texts, with a place in the features for each; the pool comes first."""
        tokens, n = corpus.encoded(self._task), len(corpus)
        columns = set(tokens.column_names) - set(corpus.dataset.column_names) - SIZES
        first = self._features.add(tokens, sorted(columns))
        if not self._pool_size:
            self._pool_size = n
            self._describe()
        ends = pa.array(np.arange(n + 1, dtype=np.int32))
        places = pa.ListArray.from_arrays(ends, pa.array(np.arange(first, first + n, dtype=np.int64)))
        ones = pa.array(np.ones(n, dtype=np.int64))
        numbers = Dataset(pa.table({"input_ids": places, "length": ones, "rows": ones}))
        return concatenate_datasets([corpus.dataset, numbers], axis=1)

    def _describe(self) -> None:
        """Have the descriptions of the labels be read beside the texts."""
        if self._config.head.prior != "none":
            self.described = DescriptionSource(self._task, self._config.descriptions)
            if self.described.name:
                self.described.add_to(self._features)

    def require(self, examples: Dataset, rows: Positions | None = None) -> None:
        """See that the features of some rows (all if left out) are there."""
        places = places_of(examples)
        self._features.require(places if rows is None else places[rows])

    def _new(self) -> HeadNet:
        """Return the layer that signals alone give; without one, a random layer."""
        outputs = len(self._task.labels)
        if self._signals:
            start, means = self._outputs.start(outputs) + _NOTHING, [signal.mean for signal in self._signals]
            return self._net(self._merged(_NOTHING, start, means, 0.0))
        with torch_seeded(seed_for(self._config.seed, 0, "weights")):
            layer = nn.Linear(self._features.width * len(self._depths), outputs)
        return HeadNet(self._features.rows, layer, self._depths)

    def _net(self, layer: FittedLayer) -> HeadNet:
        return HeadNet.of(layer, self._features.rows, len(self._task.labels))

    def _merged(self, weight: Array, bias: Array, betas: Sequence[float], unseen: float) -> FittedLayer:
        """Return a layer (C, L H) and the signals, each with its weight, as one layer."""
        parts = list(zip(betas, self._signals, strict=True))
        whole = weight + sum(beta * signal.weight for beta, signal in parts)
        shift = bias + sum(beta * signal.bias for beta, signal in parts)
        tensors = [torch.from_numpy(np.asarray(values, dtype=np.float32)) for values in (whole, shift)]
        return FittedLayer(tensors[0], tensors[1], unseen, self._depths)

    def _write(self, round: int, draft: Path) -> None:
        """Write the layer alone, with what the task keeps beside it."""
        model: Any = self.after(round)
        replace(self._layers[round], settings=fitted_settings(model.config.to_dict())).save(draft)

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Fit the layer of a round to all labels; every attempt gives the same."""
        started = time.perf_counter()
        self.require(examples)
        batch = self._task.collate(fetch(examples, range(len(examples))))
        assert batch.labels is not None
        where, y = places_of(examples), batch.labels.numpy()
        x = side_by_side(read := self._features.rows(where), self._depths)
        layer, iterations, notes = self._fit_layer(round, x, y, weights, where)
        model = self._net(layer)
        with torch.inference_mode():
            losses = self._task.loss(model.output(torch.from_numpy(x)), batch)
        if not bool(torch.isfinite(losses).all()):
            raise BrokenModelError("The layer's loss is not a finite number: lower head.c.")
        self._current, self._masked_lm = (round, model.to(process_state().device).eval()), None
        self._layers[round] = layer
        self._head = (round, self._fit_loss_head(round, read, losses.clone())) if self._predicts_loss else None
        loss = float(np.average(losses.numpy(), weights=weights))
        return Fit(iterations, loss, time.perf_counter() - started, notes=notes)

    def _fit_layer(
        self, round: int, x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], where: Positions
    ) -> tuple[FittedLayer, int, dict[str, Any]]:
        """Fit the layer of a round to labeled texts at some places; return it, the iterations and what to note."""
        setting = self._setting(x, y, weights, offsets := self._offsets(x, where))
        layer = fit_with(setting, x, y, weights, len(self._task.labels), offsets, self._outputs)
        signals = zip([signal.name for signal in self._signals], layer.offset_weights.tolist(), strict=True)
        notes = {"signals": dict(signals), "layers": list(self._depths[-setting.layers :]), "c": setting.c}
        return self._merged(layer.weight, layer.bias, list(layer.offset_weights), layer.unseen), layer.iterations, notes

    def _offsets(self, x: Array, where: Positions) -> list[Offset]:
        """Return what is known of texts with the features x at some places."""
        return [Offset(signal.logits(x), signal.mean) for signal in self._signals]

    def held_out(
        self, examples: Dataset, done: Fit | None = None, weights: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return probabilities of examples (n, C) by layers fitted to the others, in folds, and their classes (n,).

        Of several labels a text these are (n, C), 1 or 0. Layers and strength are those of the fit that is ``done``,
        without one those of the rule for few labels; ``weights`` (n,) are 1 if left out.
        """
        self.require(examples)
        labels = self._task.collate(fetch(examples, range(len(examples)))).labels
        assert labels is not None
        x, y = side_by_side(self._features.rows(places_of(examples)), self._depths), labels.numpy()
        classes, weights = len(self._task.labels), np.ones(len(y)) if weights is None else weights
        offsets, noted = self._offsets(x, places_of(examples)), done.notes if done else {}
        fitted, ways = (noted.get("c"), len(noted.get("layers", ()))), self._candidates()
        setting = next((one for one in ways if (one.c, one.layers) == fitted), ways[0])
        folds = deal(self._outputs.strata(y), rng_for(0, len(y), "folds"))
        return held_out(setting, x, y, weights, classes, offsets, folds, self._outputs), y

    def _setting(
        self, x: Array, y: NDArray[np.int64], weights: NDArray[np.float64], offsets: Sequence[Offset]
    ) -> FitSetting:
        """Return how the layer is fitted: by the rule for few labels, else as cross-validation has it."""
        candidates, classes, least = self._candidates(), len(self._task.labels), self._config.head.validate_from
        if not least or len(y) < least or len(candidates) == 1:
            return candidates[0]
        rng = rng_for(0, len(y), "folds")
        return choose_setting(candidates, x, y, weights, classes, offsets, rng, self._outputs)

    def _candidates(self) -> list[FitSetting]:
        """Return the ways to fit the layer, that of the rule for few labels first."""
        c = self._config.head.c
        candidates = settings(self._standard, len(self._depths), c or self._outputs.strength(len(self._task.labels)))
        return [one for one in candidates if c is None or one.c == c]

    @property
    def ready(self) -> bool:
        """Whether it can answer before it has learnt anything: whether something is known of the labels."""
        return self.described is not None and bool(self.described.name)

    def remarks(self) -> list[str]:
        """Return what a user should know of what it starts from, in sentences."""
        return self._features.remarks() + (self.described.remarks() if self.described else [])

    @cached_property
    def _sample_rows(self) -> Positions:
        """Places of the pool, or of a sample of it, (n,)."""
        return np.sort(rng_for(0, 0, "standardise").permutation(self._pool_size)[:SAMPLE])

    @cached_property
    def _sample(self) -> Array:
        """Their features, (n, 4, H)."""
        self._features.require(self._sample_rows)
        return self._features.rows(self._sample_rows)

    @cached_property
    def _standard(self) -> Standard:
        """Mean and scale of the features of the pool."""
        return standard_of(side_by_side(self._sample, self._depths), len(self._depths))

    @cached_property
    def _signals(self) -> list[TeacherLayer]:
        """What is known of the labels, each source as a linear layer; made without any label."""
        if self.described is None or not self.described.name:
            return []
        x, standard, c = side_by_side(self._sample, self._depths), self._standard, strength(len(self._task.labels))
        source, rng = self.described.source(self._sample[:, -1]), rng_for(0, 0, "distillation")
        return [distil(source, x, c, standard.mean, standard.scale, rng)]

    def _fit_loss_head(self, round: int, read: Array, losses: Tensor) -> LossHead:
        """Train what predicts losses on those of the fitted layer; the encoder is not touched."""
        training, seed = self._config.training, self._config.seed
        steps = number_of_steps(len(read), training)
        with torch_seeded(seed_for(seed, 0, "loss head")):
            head = LossHead(read.shape[-1])
        optimizer = torch.optim.AdamW(head.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(steps, training.warmup))
        beside, hidden = LossPrediction(head), torch.from_numpy(read)
        lengths = np.ones(len(read), dtype=np.int64)
        size = training.batch_size * training.accumulation
        for number, rows in enumerate(step_batches(lengths, size, steps, rng_for(seed, round, "loss head"))):
            optimizer.zero_grad()
            torch.autograd.backward(beside.loss(hidden[rows], losses[rows], StepInfo(number / steps, len(rows))))
            nn.utils.clip_grad_norm_(head.parameters(), training.clip)
            optimizer.step()
            rate.step()
        return head.to(process_state().device).eval()

    def token_losses(self, batch: Batch) -> TokenLosses:
        """Return the pretrained masked language model's losses, on the tokens that stand behind the places."""
        texts = self._features.examples(batch.inputs["input_ids"][:, 0].cpu().numpy())
        examples = [{**text, **rows_of(text)[0], WINDOWS: None} for text in texts]  # of a long text its first window
        for example in examples:
            example["length"] = len(example["input_ids"])
        lengths = np.array([example["length"] for example in examples])
        order = np.argsort(lengths, kind="stable")
        losses = []
        for first in range(0, len(order), self._config.scoring.batch_size):
            part = order[first : first + self._config.scoring.batch_size]
            tokens = self._task.collate([examples[row] for row in part]).to(process_state().device)
            losses.append(token_losses(self.masked_lm(), tokens, self._task.tokenizer))
        return joined(losses, torch.from_numpy(np.argsort(order)))


def tuned_folder(folder: Path, round: int) -> Path:
    """Return where the model that was trained as a whole lies until it stands in ``model/``."""
    return folder / "finish" / "checkpoints" / f"round-{round}"
