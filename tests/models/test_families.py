"""A few families of each kind: what `select` says of texts is what the model itself says of each alone.

The whole table is in ``every_family.py``.
"""

from pathlib import Path

import pytest

from dal_nlp.core.rng import torch_seeded
from dal_nlp.learners.learner import write_model
from dal_nlp.pretrained.loading import load_tokenizer
from dal_nlp.tasks.classification import Classification
from tests import tiny
from tests.models import families, matrix


@pytest.mark.long
@pytest.mark.parametrize(
    "family", ["albert", "bart", "deberta-v2", "distilbert", "fnet", "gpt2", "mpnet", "qwen3", "t5", "xlnet"]
)
def test_picks_and_answers_are_those_of_the_saved_model_on_single_texts(family: str, tmp_path: Path) -> None:
    source = families.save(family, "classification", tmp_path / family)
    task = Classification(labels=["negative", "positive"], max_length=40)
    task.tokenizer = load_tokenizer(source)
    with torch_seeded(0):
        model = task.load(source)
    write_model(model, task, tmp_path / "model")
    matrix.check_saved(tmp_path / "model", [row["text"] for row in tiny.sentences(12, 7)])


@pytest.mark.long
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("family", "task", "mode"),
    [
        ("falcon", "classification", "lora"),  # linear layers of its own kind
        ("phimoe", "classification", "lora"),  # experts, whose router is one that gives more than numbers
        ("funnel", "classification", "head"),  # has fewer states than tokens
        ("perceiver", "classification", "head"),  # wants more than tokens
        ("esm", "classification", "finish"),  # a tokenizer written in Python; trained as a whole at the end
        ("flaubert", "qa", "full"),  # likewise, for a task that needs places in the text
        ("splinter", "qa", "full"),  # has no output layer
        ("prophetnet", "summarization", "full"),  # looks ahead
    ],
)
def test_odd_kinds_are_right_or_refused_before_the_first_query(
    family: str, task: str, mode: str, tmp_path: Path
) -> None:
    found = matrix.outcome(family, task, mode, tmp_path)
    assert (found == "ok") == ((family, task, mode) not in matrix.REFUSED), found


def test_the_table_is_as_large_as_it_says() -> None:
    found = {task: {family for family, of, _ in matrix.cells() if of == task} for task in matrix.MODES}
    assert len(found["classification"]) >= 40 and len(found["qa"]) >= 25 and len(found["summarization"]) >= 15
