"""The second model of ``autolabel --error --learn``, whatever shape the answers have."""

from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig
from dal_nlp.core.targets import decode
from dal_nlp.data.examples import ExampleReader
from dal_nlp.inquiries.whole_file import label_file
from dal_nlp.ledger.ledger import read_state
from dal_nlp.tasks import make_task
from tests import tiny, tiny_entities
from tests.head_runs import bought
from tests.tiny import write


def one_hot(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The labels of rows as a column of 0 and 1 for each."""
    names = sorted({label for row in rows for label in row["labels"]})
    return [{"id": row["id"], "text": row["text"], **{n: int(n in row["labels"]) for n in names}} for row in rows]


SHAPES = {
    "multilabel": (tiny.several_labels, {"task": "multilabel"}),
    "one-hot": (
        lambda n, seed=0: one_hot(tiny.several_labels(n, seed)),
        {"task": "multilabel", "task_options": {"label_columns": ["anger", "fear", "joy"]}},
    ),
    "ner": (tiny_entities.tagged, {"task": "ner"}),
}


@pytest.mark.long
@pytest.mark.parametrize("shape", list(SHAPES))
def test_people_s_answers_train_whatever_their_shape(shape: str, tmp_path: Path) -> None:
    many, own = SHAPES[shape]
    folder = bought(tmp_path, many, **own)
    source, out = write(tmp_path / "new.jsonl", many(120, seed=5)), tmp_path / "out"
    found = label_file(folder, source, 0.8, out, "labeled-file", draws=20, told=lambda line: None, learn=True)
    second, state = read_state(out / "learned" / "run"), read_state(out)
    assert second.metrics[-1].size == 20 and "a second model" in found.remarks[-1]
    learned = RunConfig.load(out / "learned" / "run" / "config.yaml")
    reader = ExampleReader(str(learned.labeled), make_task(learned), learned)
    told = {example.id.removeprefix("learned "): decode(example.target) for example in reader.examples()}
    before = read_state(folder).answers
    drawn = set(state.audit or [])
    assert told == before | {id: target for id, target in state.answers.items() if id not in drawn}
    assert len(told) > len(before) == 20
