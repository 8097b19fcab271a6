"""What a frozen encoder makes of words: computed once a text, kept in a cache on the disk that all runs share.

Letters: N texts of a run, W words of all of them, H numbers of a hidden state.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import nn

from dal_nlp.core.caches import Cache
from dal_nlp.core.config import ScoringConfig
from dal_nlp.core.distributed import broadcast, is_main, process_state
from dal_nlp.core.errors import NoStates, Unsupported
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Task
from dal_nlp.learners.feature_cache import load_encoder, packed, unpacked
from dal_nlp.ledger.stages import Stages
from dal_nlp.models.memory_maps import StoredRows
from dal_nlp.models.pool import fetch
from dal_nlp.models.pooled_states import LAYERS
from dal_nlp.models.vectors import Array, Positions

#: Texts that are looked up, computed and written at a time: a kill costs one such part.
PART = 256


class WordFeatures:
    """States of four layers of a frozen encoder, spread evenly over it, (4, H) for each of W words.

    A word's are those of the token that tells its tag. Texts have numbers 0..N-1 over all sets of a run, and their
    words have places 0..W-1. Nothing is looked up before it is required, and the encoder is loaded where something is
    in no cache. What was looked up lies in a file that the system may page out, in half precision.

    Args:
        task: Loads and feeds the encoder.
        source: Folder or Hub id of the encoder.
        cache: See ``feature_cache.open_cache``.
        scratch: Folder for a nameless file.
        scoring: Sizes of the encoder's batches.
        progress: Where the encoding is shown.
        most: Tokens of the longest window.
        stages: Told how long this takes, and how many texts it computes.
    """

    def __init__(
        self,
        task: Task,
        source: str,
        cache: Cache,
        scratch: Path,
        scoring: ScoringConfig,
        progress: Progress,
        most: int,
        stages: Stages,
    ) -> None:
        self._task, self._source, self._cache, self._scratch = task, source, cache, scratch
        self._scoring, self._progress, self._most = scoring, progress, most
        self._stages = stages
        self._sets: list[tuple[int, Dataset]] = []  # number of the first text, and the encoded texts
        self._first = np.zeros(1, dtype=np.int64)  # the place of each text's first word, and W
        self._there = np.zeros(0, dtype=bool)
        self._width = 0  # H, once something was required
        self._table: StoredRows | None = None

    def add(self, tokens: Dataset, columns: list[str]) -> tuple[int, NDArray[np.int64]]:
        """Take up encoded texts, before any of them is required.

        Args:
            tokens: As ``Task.encode`` made them.
            columns: What ``Task.encode`` added, on which the features depend.

        Returns:
            The number of the first text, and the places of the first words of all of them with the end, (n + 1,).
        """
        start = len(self._there)
        counts = np.array([len(words) for words in tokens["word_rows"]], dtype=np.int64)
        own = self._first[-1] + np.concatenate([[0], counts.cumsum()])
        self._sets.append((start, tokens.select_columns([*columns, "length", "rows"])))
        self._first = np.concatenate([self._first[:-1], own])
        self._there = np.zeros(start + len(tokens), dtype=bool)
        self._table = None
        return start, own

    def rows(self, places: Positions) -> Array:
        """Return the features of the words at places whose texts were required, (n, 4, H)."""
        assert self._table is not None
        return np.asarray(self._table.get(places), dtype=np.float32)

    def words(self, texts: Positions) -> Array:
        """Return the features of all words of some texts, (n, 4, H)."""
        self.require(texts)
        return self.rows(np.concatenate([np.arange(self._first[text], self._first[text + 1]) for text in texts]))

    @property
    def width(self) -> int:
        """H."""
        if self._table is None:
            self.require(np.zeros(1, dtype=np.int64))
        return self._width

    def require(self, texts: Positions) -> None:
        """See that the features of the words of some texts are there; all processes of a run call it together."""
        missing = np.unique(texts[~self._there[texts]])
        if not len(missing):
            return
        started = time.perf_counter()
        encoder: list[nn.Module] = []  # loaded for the first text that is in no cache
        parts = []
        for start, tokens in self._sets:
            inside = missing[(missing >= start) & (missing < start + len(tokens))]
            lengths = np.asarray(tokens["length"])[inside - start] if len(inside) else inside
            inside = inside[np.argsort(lengths, kind="stable")]
            parts += [(start, tokens, inside[first : first + PART]) for first in range(0, len(inside), PART)]
        for start, tokens, part in self._progress.track(parts, "encoding"):
            self._fill(part, fetch(tokens, part - start), encoder)
        self._stages.encode_seconds += time.perf_counter() - started

    def _fill(self, texts: Positions, examples: list[dict[str, Any]], encoder: list[nn.Module]) -> None:
        """Look up some texts of similar length, and compute what is not in the cache."""
        keys = [_key(example) for example in examples]
        known = broadcast(self._cache.get(keys) if is_main() else {})
        new = list({key: i for i, key in enumerate(keys) if key not in known}.values())
        if new:
            encoder[:] = encoder or [self._load()]
            size = self._scoring.batch_size
            computed: dict[bytes, bytes] = {}
            for first in range(0, len(new), size):
                some = new[first : first + size]
                states = self._encode(encoder[0], [examples[i] for i in some])
                computed |= {keys[i]: packed(values) for i, values in zip(some, states, strict=True)}
            if is_main():
                self._cache.put(computed)
            known |= computed
            self._stages.encoded += len(new)
        for text, key, example in zip(texts.tolist(), keys, examples, strict=True):
            values = unpacked(known[key]).reshape(len(example["word_rows"]), LAYERS, -1)
            if self._table is None:
                self._width = values.shape[-1]
                self._table = StoredRows(self._scratch, int(self._first[-1]), (LAYERS, self._width), np.float16)
                self._there[:] = False
            self._table.put(np.arange(self._first[text], self._first[text + 1]), values)
            self._there[text] = True

    def _load(self) -> nn.Module:
        """Load the encoder with an output layer that is not read."""
        return load_encoder(self._source, self._task, self._most).to(process_state().device).eval()

    def _encode(self, encoder: nn.Module, examples: list[dict[str, Any]]) -> list[Array]:
        """Return the states of the words of each text, (n, 4, H); 0 for words that are not read."""
        batch = self._task.collate(examples).to(process_state().device)
        with torch.inference_mode():
            layers = encoder(**batch.inputs, output_hidden_states=True).hidden_states
        if not layers:
            raise NoStates(f"{self._source} does not give a hidden state for each token.")
        last = len(layers) - 1
        spread = torch.stack([layers[round(last * (i + 1) / LAYERS)] for i in range(LAYERS)], 2)
        states = spread[batch.extra["rows"], batch.extra["places"]] * batch.extra["read"][..., None, None]
        array = states.float().cpu().numpy()
        if np.abs(array).max(initial=0) > np.finfo(np.float16).max:
            raise Unsupported(
                f"{self._source} gives states too large for half precision, which --train head keeps of words: use "
                "--train full."
            )
        return [array[i, : len(example["word_rows"])] for i, example in enumerate(examples)]


def _key(row: dict[str, Any]) -> bytes:
    """Return what stands for a text: all that the encoder is given of it, and where its words are."""
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=16).digest()
