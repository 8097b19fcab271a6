"""A run's fitted layer over texts that no run has seen: what the cache holds of them is not computed again."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import Dataset, concatenate_datasets
from torch import nn

from dal_nlp.core.config import Settings
from dal_nlp.core.distributed import process_state
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Task
from dal_nlp.data.text_windows import longest_input
from dal_nlp.learners.feature_cache import Features, open_cache
from dal_nlp.learners.head_checkpoint import HEAD, read_layer
from dal_nlp.learners.head_learner import BATCH, HeadNet
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool


class StoredLayer(nn.Module):
    """A fitted layer and what it takes to read texts with its encoder, which is loaded for texts in no cache alone.

    Args:
        config: Of the run.
        task: With its tokenizer and labels.
        source: Folder or Hub id of the encoder.
        place: The folder of the layer's file.
        progress: Where the encoding is shown.
    """

    def __init__(self, config: Settings, task: Task, source: str, place: Path, progress: Progress) -> None:
        super().__init__()
        self._config, self._task, self._source, self._progress = config, task, source, progress
        self._layer = read_layer(place)
        self._cache = open_cache(config, source, task)

    def pool(self, encoded: Dataset, columns: Sequence[str], scratch: Path) -> Pool:
        """Return encoded texts under the layer.

        Args:
            encoded: As ``Task.encode`` made them, with the examples' fields.
            columns: What ``Task.encode`` added.
            scratch: Folder for a nameless file.
        """
        of = self._task, self._source, self._cache, scratch, self._config.scoring, self._progress
        features = Features(*of, longest_input(self._config, self._task.tokenizer))
        read = sorted(set(columns) - {"length", "rows"})
        features.add(encoded, read)
        n = len(encoded)
        places = np.arange(n)
        features.require(places)
        ends = pa.array(np.arange(n + 1, dtype=np.int32))
        ids = pa.ListArray.from_arrays(ends, pa.array(places))
        ones = pa.array(np.ones(n, dtype=np.int64))
        numbers = Dataset(pa.table({"input_ids": ids, "length": ones, "rows": ones}))
        fields = encoded.remove_columns([name for name in encoded.column_names if name in columns])
        net = HeadNet(features.rows, self._layer.linear(len(self._task.labels)), self._layer.depths)
        scoring = self._config.scoring.model_copy(update={"batch_size": BATCH, "batch_tokens": BATCH})
        draws = make_draws(self._config.draws, self._config.seed, 0)
        model = net.to(process_state().device).eval()
        return Pool(concatenate_datasets([fields, numbers], axis=1), model, self._task, draws, scoring)


def has_layer(config: Settings, place: Path) -> bool:
    """Tell whether a folder holds the layer alone that a run with a frozen encoder answers with."""
    return config.training.mode == "head" and (place / HEAD).is_file()
