"""One call inside any training script."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from datasets import IterableDataset
from transformers import Trainer, TrainingArguments

import dal_nlp
from dal_nlp import UserError
from dal_nlp.workflows.select import _hold
from tests import tiny

TEXTS = [row["text"] for row in tiny.sentences(30)]


def test_picks_are_the_most_uncertain_by_hand() -> None:
    model, tokenizer = tiny.classifier(3), tiny.tokenizer()
    picked = dal_nlp.select(model, tokenizer, TEXTS, k=4, strategy="entropy")
    encoded = tokenizer(TEXTS, padding=True, return_tensors="pt")
    entropy = torch.distributions.Categorical(logits=model(**encoded).logits).entropy().detach().numpy()
    assert picked.positions.tolist() == np.argsort(-entropy)[:4].tolist()
    np.testing.assert_allclose(picked.scores, np.sort(entropy)[::-1][:4], rtol=1e-4)


def test_the_model_is_left_as_it_was() -> None:
    model = tiny.classifier().train()
    dal_nlp.select(model, tiny.tokenizer(), TEXTS, k=2)
    assert model.training


def test_it_works_after_a_trainer(tmp_path: object) -> None:
    data = tiny.encoded(tiny.sentences(8), tiny.task())
    data = data.map(lambda row: {"labels": int("positive" in row["target"])}, load_from_cache_file=False)
    arguments = TrainingArguments(str(tmp_path), max_steps=1, report_to=[], use_cpu=True, disable_tqdm=True)
    trainer = Trainer(tiny.classifier(), arguments, train_dataset=data, processing_class=tiny.tokenizer())
    trainer.train()
    picked = dal_nlp.select(trainer.model, tiny.tokenizer(), TEXTS, k=3, strategy="margin", seed=1)
    assert len(set(picked.positions.tolist())) == 3


def test_pairs_strategy_objects_and_labelled_examples() -> None:
    pairs = [(text, "the film was good") for text in TEXTS]

    class FarFromLabelled(dal_nlp.Strategy):
        def select(self, pool: dal_nlp.Pool, k: int, rng: np.random.Generator) -> dal_nlp.Selection:
            (known,) = pool.labelled.collect(lambda forward: forward.embedding)
            (here,) = pool.collect(lambda forward: forward.embedding)
            distance = np.linalg.norm(here[:, None] - known[None], axis=-1).min(1)
            return dal_nlp.Selection(np.argsort(-distance)[:k], np.sort(distance)[::-1][:k])

    model = tiny.classifier()
    labels = list(model.config.id2label.values())
    labelled = [(pairs[0], labels[0]), (pairs[1], labels[1])]
    picked = dal_nlp.select(model, tiny.tokenizer(), pairs, 5, strategy=FarFromLabelled(), labelled=labelled)
    assert not {0, 1} & set(picked.positions.tolist())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k": 0}, "k must be between 1 and the 30 examples"),
        ({"k": 31}, "k must be between 1 and the 30 examples"),
        ({"strategy": "entrpy"}, "did you mean 'entropy'"),
        ({"labelled": [("good", "happy")]}, "none of the model's"),
        ({"examples": [("a film", "good"), "the plot"]}, "Some texts are pairs"),
    ],
)
def test_mistakes_are_sentences(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), **{"examples": TEXTS, "k": 2, **change})  # type: ignore[arg-type]


def streamed(texts: list[str]) -> Iterator[str]:
    yield from texts


def test_a_short_stream_is_chosen_from_as_a_list_is() -> None:
    model, tokenizer = tiny.classifier(), tiny.tokenizer()
    of_list = dal_nlp.select(model, tokenizer, TEXTS, k=4, strategy="entropy")
    of_stream = dal_nlp.select(model, tokenizer, streamed(TEXTS), k=4, strategy="entropy")
    assert of_stream.positions.tolist() == of_list.positions.tolist()
    assert of_stream.examples == of_list.examples == tuple(TEXTS[i] for i in of_list.positions)


def test_of_a_long_stream_so_many_are_held_and_positions_are_the_streams() -> None:
    model, tokenizer = tiny.classifier(), tiny.tokenizer()
    picked = dal_nlp.select(model, tokenizer, streamed(TEXTS), k=5, strategy="random", candidates=8, seed=2)
    assert len(set(picked.positions.tolist())) == 5
    assert picked.examples == tuple(TEXTS[i] for i in picked.positions)
    more = dal_nlp.select(model, tokenizer, streamed(TEXTS), k=9, candidates=2)  # as many as are wanted, at least
    assert len(more.positions) == 9


def test_every_example_of_a_stream_is_as_likely_as_any_other() -> None:
    held = [_hold(iter(range(12)), 4, np.random.default_rng(seed))[1] for seed in range(3000)]
    assert all(len(set(some)) == 4 and list(some) == sorted(some) for some in held)
    np.testing.assert_allclose(np.bincount(np.concatenate(held), minlength=12) / 3000, 4 / 12, atol=0.04)


def test_an_iterable_dataset_gives_rows_with_the_columns_of_a_file() -> None:
    rows = IterableDataset.from_generator(lambda: ({"text": text} for text in TEXTS))
    picked = dal_nlp.select(tiny.classifier(), tiny.tokenizer(), rows, k=3, strategy="margin")
    assert (
        picked.positions.tolist() == dal_nlp.select(tiny.classifier(), tiny.tokenizer(), TEXTS, k=3).positions.tolist()
    )
    with pytest.raises(UserError, match="no 'text'"):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), [{"sentence": "a film"}], k=1)
