"""Rounds of seconds for tags of words: the encoder is frozen, and a fit is one linear layer on its words."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedConfig

from dal_nlp.core.config import ScoringConfig, Settings
from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import BrokenModelError, Unsupported, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.rng import rng_for, seed_for, torch_seeded
from dal_nlp.core.task import Batch, Task
from dal_nlp.data.corpus import Corpus
from dal_nlp.data.text_windows import longest_input
from dal_nlp.learners.cross_validation import fit_with, settings
from dal_nlp.learners.feature_cache import open_cache
from dal_nlp.learners.head_checkpoint import FittedLayer
from dal_nlp.learners.head_learner import LayerLearner
from dal_nlp.learners.layers import Standard, places, side_by_side, standard_of
from dal_nlp.learners.linear import strength
from dal_nlp.models.pool import fetch
from dal_nlp.models.trainer import Fit
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.word_heads.word_features import WordFeatures
from dal_nlp.word_heads.word_fit import TAGS

#: Texts, and words, in a batch of features.
TEXTS, WORDS = 256, 8192
#: Texts of the pool whose words' mean and spread stand for those of all.
SAMPLE = 500
#: How much stronger the labels of words are than the rule for texts has it: a few words tell of an entity, and most of
#: the others say nothing. (F1 on WNUT-17 of MiniLM, one seed, 100, 400 and 700 texts: .05, .18, .21 by that rule, .09,
#: .25 with 18 times that strength, .12, .26, .26 with 360 times.)
STRONGER = 50.0
#: The number of an example's text among those of a run, as a column.
TEXT = "text_number"


class WordHeadNet(nn.Module):
    """An output layer on features that are looked up: the model of a round, for all who score.

    A text has a token for each of its words, whose number is the word's place in the features. The configuration is
    empty but for what the task keeps there.

    Args:
        read: Gives the features (n, 4, H) of places (n,).
        output: The layer, on L of the four states side by side.
        depths: Of those states, as in ``layers``.
    """

    def __init__(self, read: Callable[[Positions], Array], output: nn.Linear, depths: Sequence[int]) -> None:
        super().__init__()
        self._read, self._places = read, places(depths)
        self.output = output
        self.config: Any = PreTrainedConfig()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False
    ) -> dict[str, Tensor | tuple[Tensor, ...]]:
        """Return logits (B, F, C) and "hidden states": no embeddings, then four layers (B, F, H)."""
        there = attention_mask.bool().cpu()
        read = torch.from_numpy(self._read(input_ids.cpu()[there].numpy()))
        features = read.new_zeros((*there.shape, *read.shape[1:]))
        features[there] = read
        features = features.to(self.output.weight.device)
        layers = features.unbind(2)
        return {"logits": self.output(features[:, :, self._places].flatten(2)), "hidden_states": (layers[0], *layers)}


class WordHeadLearner(LayerLearner):
    """Trains an output layer on the frozen encoder's states of words, in a few layers side by side."""

    def __init__(
        self, config: Settings, task: Task, source: str, folder: Path, progress: Progress, predicts_loss: bool
    ) -> None:
        super().__init__(config, task, source, folder, progress, predicts_loss)
        if predicts_loss:
            raise Unsupported("With --train head nothing predicts losses on words: use --train full.")
        if config.head.prior != "none":
            raise UserError("head.prior is for labels of texts: leave it at none.")
        cache, most = open_cache(config, source, task), longest_input(config, task.tokenizer)
        scratch = folder / "cache"
        self._features = WordFeatures(task, source, cache, scratch, config.scoring, progress, most, self.stages)
        self._pool_size = 0

    @property
    def scoring(self) -> ScoringConfig:
        """The sizes of batches that suit the model."""
        return self._config.scoring.model_copy(update={"batch_size": TEXTS, "batch_tokens": WORDS})

    def view(self, corpus: Corpus) -> Dataset:
        """Return the fields of a set of texts, with a place for each word; the pool comes first."""
        tokens, n = corpus.encoded(self._task), len(corpus)
        added = sorted(set(tokens.column_names) - set(corpus.dataset.column_names) - {"length", "rows"})
        number, first = self._features.add(tokens, added)
        self._pool_size = self._pool_size or n
        places = pa.ListArray.from_arrays(
            pa.array((first - first[0]).astype(np.int32)), pa.array(np.arange(first[0], first[-1]))
        )
        counts = np.diff(first)
        rows = tokens["word_rows"]
        columns = {
            "input_ids": pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), places),  # one window
            "word_rows": pa.array([[min(row, 0) for row in of_text] for of_text in rows], pa.list_(pa.int64())),
            "word_places": pa.array([list(range(count)) for count in counts.tolist()], pa.list_(pa.int64())),
            "length": pa.array(counts),
            "rows": pa.array(np.ones(n, dtype=np.int64)),
            TEXT: pa.array(np.arange(number, number + n)),
        }
        return concatenate_datasets([corpus.dataset, Dataset(pa.table(columns))], axis=1)

    def require(self, examples: Dataset, rows: Positions | None = None) -> None:
        """See that the features of some rows (all if left out) are there."""
        numbers = np.asarray(examples.with_format("numpy", columns=[TEXT])[:][TEXT], dtype=np.int64)
        self._features.require(numbers if rows is None else numbers[rows])

    def _new(self) -> WordHeadNet:
        """Return a random layer."""
        with torch_seeded(seed_for(self._config.seed, 0, "weights")):
            layer = nn.Linear(self._features.width * len(self._depths), len(self._task.outputs))
        return WordHeadNet(self._features.rows, layer, self._depths)

    def _net(self, layer: FittedLayer) -> WordHeadNet:
        """Return a fitted layer on features that are looked up."""
        return WordHeadNet(self._features.rows, layer.linear(len(self._task.outputs)), layer.depths)

    def fit(self, round: int, examples: Dataset, weights: NDArray[np.float64], attempt: int = 0) -> Fit:
        """Fit the layer of a round to the words of all labeled texts; every attempt gives the same."""
        started = time.perf_counter()
        self.require(examples)
        batch = self._task.collate(fetch(examples, range(len(examples))))
        assert batch.labels is not None
        there = batch.labels >= 0
        x = side_by_side(self._features.rows(batch.inputs["input_ids"][there].numpy()), self._depths)
        y, classes = batch.labels[there].numpy(), len(self._task.outputs)
        of_words = np.repeat(weights, there.sum(1).numpy())
        setting = settings(self._standard, len(self._depths), self._config.head.c or STRONGER * strength(classes))[0]
        fitted = fit_with(setting, x, y, of_words, classes, [], TAGS)
        if not np.isfinite(fitted.weight).all() or not np.isfinite(fitted.bias).all():
            raise BrokenModelError("The layer's weights are not finite numbers: lower head.c.")
        layer = FittedLayer(torch.from_numpy(fitted.weight), torch.from_numpy(fitted.bias), fitted.unseen, self._depths)
        model = self._net(layer)
        self._current, self._masked_lm = (round, model.to(process_state().device).eval()), None
        self._layers[round] = layer
        scores = x @ fitted.weight.T + fitted.bias
        log_p = scores - np.logaddexp.reduce(scores, 1, keepdims=True)
        loss = float(np.average(-log_p[np.arange(len(y)), y], weights=of_words))
        notes = {"layers": list(self._depths), "c": setting.c, "words": len(y)}
        return Fit(fitted.iterations, loss, time.perf_counter() - started, notes=notes)

    @cached_property
    def _standard(self) -> Standard:
        """Mean and scale of the features of the pool's words, or of those of a sample of its texts."""
        sample = np.sort(rng_for(0, 0, "standardise").permutation(self._pool_size)[:SAMPLE])
        return standard_of(side_by_side(self._features.words(sample), self._depths), len(self._depths))

    def token_losses(self, batch: Batch) -> NoReturn:
        """Raise ``Unsupported``: the tokens of texts are not at hand."""
        raise Unsupported("With --train head on words no language model reads the texts: choose another strategy.")
