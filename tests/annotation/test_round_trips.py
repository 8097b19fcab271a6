"""What is exported is read back as it was, by every door: --labeled and --data, --answers, ingest."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dal_nlp import RunConfig
from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.exporting import NAMES, WRITERS, export
from dal_nlp.annotation.ingesting import READERS, Ingested
from dal_nlp.annotation.sheet_files import check_entries
from dal_nlp.data.corpus import read_corpus, read_pool
from dal_nlp.joins.joined_answers import read_answers
from dal_nlp.joins.row_matching import RowMatcher
from dal_nlp.joins.tool_rows import Columns
from dal_nlp.readers.sources import read_rows
from dal_nlp.readers.values import canonical_label, is_missing, spells_nothing
from dal_nlp.tasks.classification import Classification
from tests.tiny import write

#: Raise it for a longer search: DAL_NLP_EXAMPLES=2000.
EXAMPLES = int(os.environ.get("DAL_NLP_EXAMPLES", "12"))
#: What spreadsheets run, what csv and JSON quote, what ends a line somewhere, and every plane of Unicode.
AWKWARD = st.sampled_from(
    [*"=+-@'\"\t\n\r,;|\\ \0\x0b\x1c\x85\u2028\u00a0\ufeff\uff1d1aé", "\r\n", "'=", '""', "\U0001d518", "\U0010fffd"]
)
ANY = st.characters(codec="utf-8")


def spelled(least: int) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(AWKWARD, ANY), min_size=least, max_size=8).map("".join)


TEXTS = spelled(1).filter(lambda text: not is_missing(text))
LABELS = TEXTS.map(canonical_label).filter(
    lambda label: (
        label and not spells_nothing(label) and canonical_label(label) == label and not label.startswith(("[", "("))
    )
)
IDS = TEXTS.map(str.strip).filter(lambda id: id and not is_missing(id))
ROWS = st.lists(st.tuples(IDS, TEXTS, LABELS), min_size=2, max_size=4, unique_by=(lambda r: r[0], lambda r: r[1]))


def store_of(rows: list[tuple[str, str, str]], config: RunConfig, folder: Path) -> AnswerStore:
    """What ``export`` reads of a run in which every text was answered."""
    examples = {id: {"id": id, "text": text, "pair": None} for id, text, _ in rows}
    events = {id: SimpleNamespace(answered=True, target=label, by="anna", at="", note="") for id, _, label in rows}
    state = SimpleNamespace(
        given=dict.fromkeys(examples),
        ever_asked=examples,
        answers={id: label for id, _, label in rows},
        waiting=[],
        decision=events.get,
        suggestion=lambda id: None,
    )
    task = Classification(labels=sorted({label for *_, label in rows}))
    reads = {"example": examples.__getitem__, "read_ahead": lambda ids: None}
    return cast(AnswerStore, SimpleNamespace(folder=folder, state=state, task=task, config=config, **reads))


def as_rows(found: Mapping[str, Any], task: Classification) -> list[tuple[str, str, str]]:
    return [(row["id"], row["text"], row["label"]) for row in found]  # type: ignore[index]


@pytest.mark.long
@pytest.mark.parametrize("format", sorted(WRITERS))
def test_every_door_gives_back_what_was_exported(format: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ROWS)
    def there_and_back(rows: list[tuple[str, str, str]]) -> None:
        with TemporaryDirectory() as name:
            folder = Path(name)
            pool = write(
                folder / "pool.jsonl", [{"id": id, "text": text, "note of theirs": text} for id, text, _ in rows]
            )
            config = RunConfig(task="classification", data=pool)
            store = store_of(rows, config, folder)
            path = folder / NAMES[format]
            export(store, format, "labels", path)
            labels = {id: label for id, _, label in rows}
            texts = {id: text for id, text, _ in rows}

            corpus = read_corpus(
                str(path), Classification(), config, None, "labeled", need_targets=True
            )  # --labeled, --data
            assert dict(zip(corpus.dataset["id"], corpus.targets(), strict=True)) == labels
            assert dict(zip(corpus.dataset["id"], corpus.dataset["text"], strict=True)) == texts
            if format != "label-studio":  # whose tasks are what its project shows
                assert {row["id"]: row["note of theirs"] for _, row in read_rows(str(path))} == texts

            answers = read_answers(str(path), Classification(), config)
            joined = read_pool(pool, Classification(), config, folder / "cache", need_targets=True, answers=answers)
            assert dict(zip(joined.dataset["id"], joined.targets(), strict=True)) == labels
            assert not joined.remarks

            ingested = Ingested()
            found = READERS[format](store, path, Columns(), ingested)
            problems: list[str] = []
            checked = check_entries(found, RowMatcher(store.task, texts, texts, store.example), problems.append)
            assert not ingested.problems and not problems and not checked.by_text
            assert {entry.id: entry.answer for entry in checked.entries} == labels

    there_and_back()
