"""What a frozen encoder makes of texts: computed once, kept in a cache on the disk that all runs share.

Letters: N texts of a run, H numbers of a hidden state.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor, nn

from dal_nlp.core.caches import Cache, OnDisk
from dal_nlp.core.config import DrawsConfig, ScoringConfig, Settings
from dal_nlp.core.distributed import broadcast, is_main, process_state
from dal_nlp.core.errors import NoStates, Unsupported
from dal_nlp.core.progress import Progress
from dal_nlp.core.task import Capability, Task
from dal_nlp.data.text_windows import WINDOWS, rows_of
from dal_nlp.data.tokenized import describe
from dal_nlp.ledger.stages import Stages
from dal_nlp.models.forward import Forward
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.memory_maps import StoredRows
from dal_nlp.models.pool import Pool, fetch
from dal_nlp.models.pooled_states import LAYERS
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.pretrained.loading import load_model, weights_key
from dal_nlp.pretrained.reading import FAILURES, Wanted, settle, unreadable
from dal_nlp.pretrained.sentence_format import read_format

#: Texts that are looked up, computed and written at a time: a kill costs one such part.
PART = 256


def hidden(forward: Forward) -> Tensor:
    """Mean-pooled states of four layers, (B, 4, H)."""
    return forward.hidden


def open_cache(config: Settings, source: str, task: Task) -> OnDisk:
    """Return the cache of one encoder under ``config.cache``, or beside what the demonstration fetches.

    The file's name stands for the weights, the tokenizer and the task that feeds them; the keys in it stand for tokens,
    so that texts that are cut elsewhere are others.
    """
    from dal_nlp.downloads.demo import cache_folder

    folder = Path(config.cache) if config.cache else cache_folder() / "features"
    kind = f"{type(task).__module__}.{type(task).__qualname__}"
    form = read_format(source)
    pooled = "" if form.is_mean else f"\n{form.pooling} {form.skipped(task.tokenizer)}"
    description = f"{weights_key(source)}\n{kind}\n{describe(task.tokenizer)}\npacked{pooled}"
    key = hashlib.blake2b(description.encode(), digest_size=8)
    return OnDisk(folder / f"{key.hexdigest()}.sqlite")


class Features:
    """Mean-pooled states of four layers of a frozen encoder, (4, H) for each of N texts, as in ``Forward.hidden``.

    A text has a *place*, 0..N-1, over all sets of a run. Nothing is looked up before it is required, and the encoder is
    loaded where something is in no cache. What was looked up lies in a file that the system may page out.

    Args:
        task: Loads and feeds the encoder.
        source: Folder or Hub id of the encoder.
        cache: See ``open_cache``.
        scratch: Folder for a nameless file.
        scoring: Sizes of the encoder's batches.
        progress: Where the encoding is shown.
        most: Tokens of the longest input that the encoder will be given, now or when it is used later.
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
        stages: Stages | None = None,
    ) -> None:
        self._task, self._source, self._cache, self._scratch = task, source, cache, scratch
        self._scoring, self._progress, self._most = scoring, progress, most
        self._stages = stages or Stages()
        self._sets: list[tuple[int, Dataset, list[str]]] = []  # first place, tokens, columns that the encoder reads
        self._there = np.zeros(0, dtype=bool)
        self._width = 0  # H, once something was required
        self._table: StoredRows | None = None

    def remarks(self) -> list[str]:
        """Return what a user should know of how the encoder reads texts, in sentences."""
        return read_format(self._source).remarks()

    def __len__(self) -> int:
        """Return N."""
        return len(self._there)

    def add(self, tokens: Dataset, columns: Sequence[str]) -> int:
        """Take up encoded texts, before any of them is required; return the place of the first.

        Args:
            tokens: As ``Task.encode`` made them.
            columns: What ``Task.encode`` added, on which the features depend.
        """
        start = len(self)
        self._sets.append((start, tokens, sorted(columns)))
        self._there = np.zeros(start + len(tokens), dtype=bool)
        self._table = None
        return start

    @property
    def width(self) -> int:
        """H."""
        if self._table is None:
            self.require(np.zeros(1, dtype=np.int64))
        return self._width

    @property
    def bytes(self) -> int:
        """Bytes of one text's features."""
        return LAYERS * self.width * np.dtype(np.float32).itemsize

    def rows(self, places: Positions) -> Array:
        """Return the features of places that were required, (B, 4, H)."""
        assert self._table is not None and self._there[places].all()
        return self._table.get(places)

    def examples(self, places: Positions) -> list[dict[str, Any]]:
        """Return the encoded texts themselves, in the order of the places."""
        by_position: dict[int, dict[str, Any]] = {}
        for start, tokens, _ in self._sets:
            inside = places[(places >= start) & (places < start + len(tokens))]
            by_position |= zip(inside.tolist(), fetch(tokens, inside - start), strict=True)
        return [by_position[position] for position in places.tolist()]

    def require(self, places: Positions) -> None:
        """See that the features of places are there; all processes of a run call it together."""
        missing = np.unique(places[~self._there[places]])
        if not len(missing):
            return
        started = time.perf_counter()
        encoder: list[nn.Module] = []  # loaded for the first text that is in no cache
        parts = [(start, part) for start, tokens, _ in self._sets for part in _parts(missing, start, tokens)]
        for start, part in self._progress.track(parts, "encoding"):
            self._fill(start, part, encoder)
        self._stages.encode_seconds += time.perf_counter() - started

    def _fill(self, start: int, places: Positions, encoder: list[nn.Module]) -> None:
        """Look up one part of one set, and compute what is not in the cache."""
        tokens, columns = next((tokens, columns) for first, tokens, columns in self._sets if first == start)
        texts = fetch(tokens.select_columns(columns), places - start)
        owners = np.arange(len(texts))
        if WINDOWS in columns:
            windows = [rows_of(text) for text in texts]
            owners = np.repeat(owners, [len(of_text) for of_text in windows])
            texts = [window for of_text in windows for window in of_text]
        keys = [_key(text) for text in texts]
        known = broadcast(self._cache.get(keys) if is_main() else {})
        new = {key: row for row, key in enumerate(keys) if key not in known}
        if new:
            encoder[:] = encoder or [self._load()]
            few = np.array(list(new.values()))
            if WINDOWS in columns:
                values = self._encode(encoder[0], _dataset([texts[row] for row in few]), np.arange(len(few)))
            else:
                values = self._encode(encoder[0], tokens, places[few] - start)
            computed = {key: packed(value) for key, value in zip(new, values, strict=True)}
            if is_main():
                self._cache.put(computed)
            known |= computed
            self._stages.encoded += len(np.unique(owners[few]))
        rows = np.stack([unpacked(known[key]) for key in keys])
        if WINDOWS in columns:
            rows = mean_of_windows(rows, np.array([len(text["input_ids"]) for text in texts]), owners)
        if self._table is None:
            self._width = rows.shape[1] // LAYERS
            self._table = StoredRows(self._scratch, len(self), (LAYERS, self._width), np.float32)
            self._there[:] = False
        self._table.put(places, rows.reshape(len(rows), LAYERS, -1))
        self._there[places] = True

    def _load(self) -> nn.Module:
        """Load the encoder with an output layer that is not read, and see that it can be fed with all texts."""
        longest = max(int(max(tokens["length"])) for _, tokens, _ in self._sets if len(tokens))
        model = load_encoder(self._source, self._task, self._most)
        self._task.feeding.check(longest)
        return model.to(process_state().device).eval()

    def _encode(self, encoder: nn.Module, tokens: Dataset, rows: Positions) -> Array:
        """Return the features of some rows, (n, 4, H), by the same pass that scores a model that is trained."""
        draws = make_draws(DrawsConfig(kind="head"), 0, 0)
        try:
            (values,) = Pool(tokens, encoder, self._task, draws, self._scoring, rows=rows).collect(hidden)
        except NoStates:
            raise Unsupported(
                f"--train head reads a hidden state of each token, and {self._source} does not give one: leave --train "
                "out, or use another --model."
            ) from None
        return np.asarray(values, dtype=np.float32)


def load_encoder(source: str, task: Task, most: int) -> nn.Module:
    """Load the encoder of a folder or Hub id, with an output layer of zeros, for texts of so many tokens at most.

    Raises:
        UserError: The encoder cannot be fed with texts of different lengths.
    """
    from dal_nlp.pretrained.head_model import HeadModel, WordHeadModel

    encoder: Any = load_model("AutoModel", source)
    head = nn.Linear(_width(encoder, source), len(task.outputs))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    if Capability.WORD_OUTPUT in task.capabilities:
        return fed_words(WordHeadModel.of(encoder, head, task.outputs), task, source, most)
    form = read_format(source)
    pooling, skip = form.pooling, form.skipped(task.tokenizer)
    return fed(HeadModel.of(encoder, head, task.outputs, pooling=pooling, skip=skip), task, source, most)


def fed(model: Any, task: Task, source: str, most: int) -> nn.Module:
    """Return a ``HeadModel``, having let a task find out how it is to be fed; see ``models.reading``."""
    wanted = Wanted(most, ("right", "left", "equal"), source)
    task.feeding = settle(model, task.tokenizer, lambda inputs: model.pooled(**inputs)[0], wanted, task.feeding)
    headed: nn.Module = model
    return headed


def fed_words(model: Any, task: Task, source: str, longest: int) -> nn.Module:
    """Return a ``WordHeadModel`` likewise; the places of words count from the left of a text."""

    def read(inputs: Mapping[str, Tensor]) -> list[Tensor]:
        states = model.pooled(**inputs)[1][-1]
        return [row[there.bool()] for row, there in zip(states, inputs["attention_mask"], strict=True)]

    wanted = Wanted(longest, ("right",), source, all_lengths=True)
    task.feeding = settle(model, task.tokenizer, read, wanted, task.feeding)
    headed: nn.Module = model
    return headed


def _width(encoder: Any, source: str) -> int:
    """Return H of an encoder's states.

    Raises:
        ModelError: It reads no text: it wants more than tokens, or fails.
    """
    inner = encoder.get_encoder() if encoder.config.is_encoder_decoder else encoder
    ids = torch.ones((1, 8), dtype=torch.long)
    try:
        with torch.inference_mode():
            return int(inner(input_ids=ids).last_hidden_state.shape[-1])
    except FAILURES as error:
        raise unreadable(source, error) from None


def packed(value: Array) -> bytes:
    """Return numbers as bytes, in half precision where they have room in it; the first byte says which."""
    half = value.astype(np.float16)
    return b"h" + half.tobytes() if np.isfinite(half).all() else b"f" + value.astype(np.float32).tobytes()


def unpacked(value: bytes) -> Array:
    """Return the numbers of ``packed``, flat."""
    kind = np.float16 if value[:1] == b"h" else np.float32
    return np.frombuffer(value, dtype=kind, offset=1).astype(np.float32)


def mean_of_windows(rows: Array, tokens: NDArray[np.int64], owners: NDArray[np.int64]) -> Array:
    """Return the mean of each text's windows (W, H), in the texts' order, each window weighed by its tokens (W,)."""
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    sums = np.add.reduceat(rows.astype(np.float64) * tokens[:, None], first)
    return np.asarray(sums / np.add.reduceat(tokens, first)[:, None], dtype=np.float32)


def _dataset(rows: list[dict[str, Any]]) -> Dataset:
    """Return rows of tokens as an encoded dataset."""
    lengths = [len(row["input_ids"]) for row in rows]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return Dataset.from_dict({**columns, "length": lengths, "rows": [1] * len(rows)})


def _parts(missing: Positions, start: int, tokens: Dataset) -> list[Positions]:
    """Cut the missing places of one set into parts of texts of similar length."""
    inside = missing[(missing >= start) & (missing < start + len(tokens))]
    if not len(inside):
        return []
    lengths = tokens.with_format("arrow", columns=["length"])[:]["length"].to_numpy()
    inside = inside[np.argsort(lengths[inside - start], kind="stable")]
    return [inside[first : first + PART] for first in range(0, len(inside), PART)]


def _key(row: dict[str, Any]) -> bytes:
    """Return what stands for a text: all that the encoder is given of it."""
    return hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=16).digest()


def places_of(examples: Dataset) -> Positions:
    """Return the places of examples that ``HeadLearner.view`` made, (N,)."""
    column = examples.with_format("arrow", columns=["input_ids"])[:]["input_ids"]
    return np.asarray(pyarrow.compute.list_flatten(column).to_numpy(), dtype=np.int64)
