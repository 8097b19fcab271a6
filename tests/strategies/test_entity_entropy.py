"""The most uncertain entity: against a twin in plain Python, and where there is none."""

import math

import numpy as np
import pytest
import torch

from dal_nlp.models.forward import Forward
from dal_nlp.readers.entities.tags import decode_tags
from dal_nlp.strategies.entity_entropy import EntityEntropy, largest_part
from dal_nlp.tasks.entities.tensors import entities_of
from tests import tiny_entities

TAGS = tiny_entities.ner_task().outputs


def twin(table: np.ndarray, read: np.ndarray) -> float:
    """The largest mean entropy of an entity of one text, of its words' probabilities (F, C)."""
    tags = [TAGS[row.argmax()] if there else "O" for row, there in zip(table, read, strict=True)]
    entropies = [-sum(p * math.log(p) for p in row if p > 0) for row in table]
    runs = decode_tags(tags).runs
    return max((sum(entropies[run.first : run.last]) / (run.last - run.first) for run in runs), default=0.0)


def test_the_scores_are_those_of_the_twin() -> None:
    pool = tiny_entities.ner_pool(n=12)

    def both(forward: Forward) -> torch.Tensor:
        expected = map(twin, forward.log_probs.exp().numpy(), forward.mask.numpy())
        return torch.stack([largest_part(forward.categoricals), torch.tensor(list(expected))], 1)

    (found,) = pool.collect(both)
    scores, wanted = np.asarray(found).T.tolist()
    assert scores == pytest.approx(wanted, abs=1e-5) and len(set(wanted)) > 6
    again = EntityEntropy().scores(tiny_entities.ner_pool(n=12), np.random.default_rng(0))
    assert np.asarray(again).tolist() == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("tags", [["O", "B-bad", "I-bad", "I-good", "B-good"], ["I-bad", "O", "I-bad", "B-bad", "O"]])
def test_words_are_in_the_entities_that_their_tags_say(tags: list[str]) -> None:
    numbers = torch.tensor([[TAGS.index(tag) for tag in tags]])
    found = entities_of(numbers, torch.ones_like(numbers).bool(), TAGS)[0].tolist()
    runs = decode_tags(tags).runs
    assert found == [next((n for n, run in enumerate(runs) if run.first <= i < run.last), -1) for i in range(len(tags))]


def test_a_text_without_an_entity_scores_nothing() -> None:
    none = torch.tensor([[0, 0]])
    assert entities_of(none, torch.ones_like(none).bool(), TAGS).tolist() == [[-1, -1]]
