"""Tokenisation once per run: the features of a dataset, on disk beside its texts."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from dal_nlp.core.errors import writing
from dal_nlp.core.files import new_file
from dal_nlp.core.task import Task
from dal_nlp.data.hashing import Hashes
from dal_nlp.data.staging import BATCH
from dal_nlp.readers.reading import quiet

logger = logging.getLogger(__name__)

#: Goes up where tasks add other columns, so that the file of an earlier version is made again.
COLUMNS = 2


def tokenized(dataset: Dataset, task: Task, path: Path, settings: str, *hashes: Hashes) -> Dataset:
    """Return the dataset with the features of ``Task.encode``, from the file of an earlier start where that still fits.

    Args:
        dataset: Memory-mapped; with a column ``target``.
        task: What encodes; its tokenizer is set.
        path: The dataset's own file; the features go to ``NAME-encoded-KEY.arrow`` beside it.
        settings: What else the features depend on.
        hashes: Stand for the texts of the dataset, in its order.
    """
    key = hashlib.sha256(f"{settings}\n{describe(task.tokenizer)}\n{COLUMNS}".encode())
    for part in hashes:
        key.update(part.tobytes())
    for chunk in dataset.data.column("target").chunks:
        key.update(json.dumps(chunk.to_pylist()).encode())
    fingerprint = key.hexdigest()[:16]
    file = path.with_name(f"{path.stem}-encoded-{fingerprint}.arrow")
    if not _is_readable(file):
        for stale in path.parent.glob(f"{path.stem}-encoded-*.arrow"):
            stale.unlink(missing_ok=True)
        with quiet(), writing(file), new_file(file) as draft:  # the file gets its name when it is whole
            dataset.map(
                task.encode,
                batched=True,
                writer_batch_size=BATCH,
                cache_file_name=str(draft),
                new_fingerprint=fingerprint,
            )
    return Dataset.from_file(str(file))


def _is_readable(file: Path) -> bool:
    """Tell whether there is a file of an earlier start; one that was cut off or damaged is said, and made again."""
    if not file.exists():
        return False
    try:
        Dataset.from_file(str(file))
    except (pa.ArrowException, OSError) as error:
        logger.warning("%s cannot be read (%s): the texts are tokenized again.", file, error)
        return False
    return True


def describe(tokenizer: Any) -> str:
    """Return what a tokenizer does, as text; its passing state (how it last cut and padded) is left out."""
    from transformers import PreTrainedTokenizerFast

    kind = type(tokenizer).__name__
    if isinstance(tokenizer, PreTrainedTokenizerFast):
        parts = json.loads(tokenizer.backend_tokenizer.to_str())
        return json.dumps([kind, {**parts, "truncation": None, "padding": None}, tokenizer.truncation_side])
    return json.dumps([kind, sorted(tokenizer.get_vocab().items())])
