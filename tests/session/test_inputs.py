"""The files of a run, compared with each other by id and text."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, UserError
from dal_nlp.annotation.simulated import LabeledFile
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.session.inputs import RunInputs
from dal_nlp.tasks.classification import Classification
from tests.tiny import write

Rows = list[dict[str, Any]]
TEXTS = ["the soup was bland", "a lovely day", "nothing but rain", "warm and friendly"]
POOL: Rows = [
    {"id": n, "text": text, "label": label} for n, (text, label) in enumerate(zip(TEXTS, "nppn", strict=True))
]
TEST: Rows = [{"text": "one more soup", "label": "n"}, {"text": "sun at last", "label": "p"}]


def files(folder: Path, **rows: Rows) -> RunInputs:
    sources = {
        name: write(folder / f"{name}.jsonl", some) for name, some in {"data": POOL, "test": TEST, **rows}.items()
    }
    config = RunConfig(task="classification", **sources)
    (folder / "run").mkdir()
    with Ledger(folder / "run") as ledger:
        return RunInputs(config, folder / "run", ledger, Classification(), LabeledFile(), Silent())


def test_files_that_number_their_own_rows_are_named_and_taken(tmp_path: Path) -> None:
    found = files(
        tmp_path, labeled=[{"id": n, **row} for n, row in enumerate(TEST)], test=[{**TEST[0], "text": "else"}]
    )
    (remark,) = [text for text in found._remarks if "for another text" in text]
    assert "has 2 ids of " in remark and "'0': 'one more soup', and in the pool 'the soup was bland'" in remark
    assert len(found.given["labeled"]) == 2


def test_a_label_of_a_text_that_the_pool_has_under_another_id_is_not_taken(tmp_path: Path) -> None:
    swapped = [
        {**POOL[0], "id": 1},
        {**POOL[1], "id": 0},
        POOL[2],
        {"id": 3, "text": "Warm and FRIENDLY people", "label": "p"},
    ]
    found = files(tmp_path, labeled=swapped)
    (remark,) = [text for text in found._remarks if "for another text" in text]
    assert "has 3 ids" in remark and "such rows are not taken" in remark
    assert found.given["labeled"].dataset["id"] == ["2"]
    assert {row.reason for row in found.given["labeled"].rejected} == {"another text under this id than in the pool"}
    assert sorted(found.corpus.dataset["id"]) == ["0", "1", "3"]  # their texts are in the pool again


def test_labels_of_which_none_could_be_taken_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has 2 ids .*'a lovely day', and in the pool 'the soup.* --id-column none"):
        files(tmp_path, labeled=[{**POOL[0], "id": 1}, {**POOL[1], "id": 0}])


def test_a_text_that_was_corrected_in_the_test_file_is_named(tmp_path: Path) -> None:
    found = files(tmp_path, test=[{"id": 0, "text": "the soup was very bland", "label": "n"}, *TEST[1:]])
    (remark,) = [text for text in found._remarks if "for another text" in text]
    assert "'0': 'the soup was very bland', and in the pool 'the soup was bland'" in remark


def test_what_is_known_of_files_is_said_where_they_end_a_run(tmp_path: Path) -> None:
    judged = [{**row, "answer": "accept" if row["label"] == "n" else "reject"} for row in POOL]
    with pytest.raises(UserError, match=r"only one label, 'n'.* is an export of Prodigy: rows that were rejected"):
        files(tmp_path, data=judged, test=TEST[:1])
