"""Entities in texts: windows, the model, runs and adapters; rows are in ``test_rows``."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import processors

from dal_nlp import RunConfig, Session
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.pool import fetch
from dal_nlp.pretrained.loading import output_layer
from dal_nlp.tasks.entities.ner import NER, NEROptions
from dal_nlp.tasks.entities.windows import word_places
from dal_nlp.testing import check_task
from dal_nlp.workflows.predict import predict
from dal_nlp.workflows.select import select
from tests import tiny, tiny_entities

LORA = {"mode": "lora", "min_steps": 2, "epochs": 1}


def test_the_contract_of_tasks() -> None:
    check_task(tiny_entities.ner_task(labels=()), tiny_entities.tagged(16), tiny_entities.tagger())
    texts = [
        {"id": "0", "tokens": "good films", "ner_tags": []},
        {"id": "1", "tokens": "a [good] (film), bad", "ner_tags": [[3, 7, "good"], [17, 20, "bad"]]},
    ]
    check_task(tiny_entities.ner_task(labels=()), texts, tiny_entities.tagger())


def test_a_word_is_told_in_the_window_where_it_lies_most_central() -> None:
    first = [None, (0, 1), (2, 3), (4, 5), (6, 7), None]
    second = [None, (4, 5), (6, 7), (8, 9), (10, 11), None]
    starts = [0, 2, 4, 6, 8, 10]
    places = word_places([first, second], starts, [s + 1 for s in starts])
    assert places == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4)]


def test_a_word_is_told_by_its_first_token_also_where_a_window_begins_within_it() -> None:
    first = [None, (0, 3), (3, 5), None]
    second = [None, (3, 5), (6, 9), (9, 12), None]
    assert word_places([first, second], [0, 6, 13], [5, 12, 14]) == [(0, 1), (1, 2), (-1, -1)]


@pytest.mark.parametrize("kind", ["wordpiece", "bytes", "trimmed bytes", "metaspace"])
def test_every_tokenizer_finds_the_first_letters_of_words(kind: str) -> None:
    tokenizer = tiny.characters(kind)
    task = NER(labels=["x"], max_length=10, tokenizer=tokenizer)
    rows = [task.read({"tokens": ["plain", "words,", "and", "(some)", "more"]})]
    encoded = task.encode({name: [row[name] for row in rows] for name in rows[0]})
    (word_rows,), (places,), (ids,) = (encoded[name] for name in ("word_rows", "word_places", "input_ids"))
    said = [tokenizer.convert_ids_to_tokens(ids[r][p])[-1] for r, p in zip(word_rows, places, strict=True)]
    if kind == "metaspace":  # its mark before the first word has the place of that word's first letter
        said[0] = said[0].replace("\u2581", "p")
    assert said == ["p", "w", "a", "(", "m"]
    assert encoded["rows"][0] > 1


def test_the_loss_is_the_mean_over_words_and_the_prediction_their_likeliest_tags() -> None:
    task, model = tiny_entities.ner_task(max_length=40), tiny_entities.tagger()
    rows = tiny_entities.tagged(4, words=10)
    fields = [{**task.read(row), "target": task.read_target(row)} for row in rows]
    columns = {name: [f[name] for f in fields] for name in ("text", "starts", "ends")}
    encoded = task.encode(columns)
    examples = [{**f, **{name: encoded[name][i] for name in encoded}} for i, f in enumerate(fields)]
    batch = task.collate(examples)
    with torch.inference_mode():
        raw = model(**batch.inputs).logits
        losses, answers = task.loss(raw, batch), task.predict(task.categoricals(raw, batch), batch, examples)
        for i, row in enumerate(rows):
            ids = torch.tensor([examples[i]["input_ids"][0]])
            log_p = model(input_ids=ids).logits.log_softmax(-1)[0, 1:-1]
            numbers = torch.tensor([task.outputs.index(tag) for tag in row["ner_tags"]])
            assert float(losses[i]) == pytest.approx(-float(log_p[range(len(numbers)), numbers].mean()), abs=1e-5)
            best, p = log_p.argmax(-1).tolist(), float(log_p.max(-1).values.sum().exp())
            assert answers[i].confidence == pytest.approx(p, rel=1e-3)
            assert [tag[-3:] for tag in answers[i].target["tags"]] == [task.outputs[n][-3:] for n in best]


def flags(tmp_path: Path, model: str, **more: Any) -> dict[str, Any]:
    return {
        "task": "ner",
        "data": tiny.write(tmp_path / "pool.jsonl", tiny_entities.tagged(40)),
        "test": tiny.write(tmp_path / "test.jsonl", tiny_entities.tagged(12, seed=1)),
        "model": model,
        "out": str(tmp_path / "run"),
        "max_length": 24,
        "initial": 8,
        "query_size": 8,
        "rounds": 2,
        "strategy": "entropy",
        "training": {"mode": "full", "min_steps": 60, "epochs": 1, "learning_rate": 0.01},
        **more,
    }


@pytest.mark.long
def test_a_run_learns_and_its_model_answers_and_goes_on(tmp_path: Path, model_folder: str) -> None:
    Session(RunConfig.load(flags=flags(tmp_path, model_folder, rounds=0))).run()
    Session(RunConfig.load(flags=flags(tmp_path, model_folder, rounds=1))).run()  # goes on with one more round
    metrics = read_state(tmp_path / "run").metrics
    assert len(metrics) == 2 and list(metrics[-1].values) == list(NER.metrics)
    assert metrics[-1].values["f1"] > 0.5
    rows = list(
        predict(tmp_path / "run", tiny.write(tmp_path / "new.jsonl", tiny_entities.tagged(5, seed=2)), Silent())
    )
    assert all(row.answer is not None and json.loads(row.details["entities"]) is not None for row in rows)
    assert json.loads((tmp_path / "run" / "model" / "config.json").read_text())["architectures"] == [
        "BertForTokenClassification"
    ]


def test_the_gradient_is_that_of_the_three_words_of_which_the_model_is_least_sure() -> None:
    pool = tiny_entities.ner_pool(n=6)
    (found,) = pool.collect(lambda forward: forward.gradient)
    model, of = pool._model.eval(), pool._task
    examples = fetch(pool._examples, range(6))
    for i, example in enumerate(examples):
        batch = of.collate([example])
        c = of.categoricals(of.logits(model(**batch.inputs)), batch)
        best = c.log_probs[0].amax(-1)[c.mask[0]]
        (want,) = torch.autograd.grad(-best.sort().values[:3].sum(), output_layer(model, len(of.outputs)).weight)
        got = np.einsum("pa,ph->ah", found.left[i], found.right[i])
        np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-5)


def test_select_chooses_for_a_token_classifier_of_any_order_of_tags() -> None:
    model = tiny_entities.tagger()
    names = ["B-good", "O", "I-good", "B-bad", "I-bad"]
    model.config.id2label = dict(enumerate(names))
    examples = [row["tokens"] for row in tiny_entities.tagged(12)] + ["the film was good"]
    picked = select(model, tiny.tokenizer(), examples, 3, "entity_entropy", task="ner", max_length=24)
    assert len({*picked.positions.tolist()}) == 3
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1", 2: "a", 3: "b", 4: "c"}
    with pytest.raises(UserError, match=r"has the labels LABEL_0.*entities need O for other words beside tags with"):
        select(model, tiny.tokenizer(), examples, 3, task="ner")


def test_a_text_of_which_a_tokenizer_makes_nothing_is_read() -> None:
    task = NER(labels=["bad", "good"], max_length=10, tokenizer=tiny.characters("bytes"))
    task.tokenizer.backend_tokenizer.post_processor = processors.ByteLevel()
    fields = [task.read({"tokens": ["\u200b ", "a"]}), {**task.read({"tokens": ["", "b"]}), "text": ""}]
    encoded = task.encode({name: [f[name] for f in fields] for name in ("text", "starts", "ends")})
    assert all(ids for windows in encoded["input_ids"] for ids in windows) and encoded["word_rows"][1] == [-1, -1]


def test_adapters_learn_entities_too(tmp_path: Path, model_folder: str) -> None:
    pytest.importorskip("peft")
    Session(RunConfig.load(flags=flags(tmp_path, model_folder, rounds=0, training=LORA))).run()
    file = tiny.write(tmp_path / "new.jsonl", tiny_entities.tagged(3, seed=2))
    assert all(row.answer for row in predict(tmp_path / "run", file, Silent()))


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="overlap wants a share"):
        NEROptions(overlap=0.9)


@pytest.mark.long
def test_a_frozen_encoder_learns_words_is_resumed_and_leaves_a_whole_model(tmp_path: Path, model_folder: str) -> None:
    head: dict[str, Any] = {
        "training": {"mode": "head"},
        "draws": {"kind": "head"},
        "head": {"c": 100, "layers": [25]},
    }  # embeddings
    head["cache"] = str(tmp_path / "cache")
    wanted = flags(tmp_path, model_folder, strategy="bald", **head)
    Session(RunConfig.load(flags={**wanted, "out": str(tmp_path / "whole")})).run()
    Session(RunConfig.load(flags={**wanted, "rounds": 1})).run()
    Session(RunConfig.load(flags=wanted)).run()
    whole, resumed = (read_state(tmp_path / name) for name in ("whole", "run"))
    assert whole.answers == resumed.answers
    assert [event.values for event in whole.metrics] == [event.values for event in resumed.metrics]
    assert resumed.metrics[-1].values["f1"] > 0.3
    file = tiny.write(tmp_path / "test.jsonl", tiny_entities.tagged(12, seed=1))
    rows = list(predict(tmp_path / "run", file, Silent()))  # by the whole model, from the tokens
    task = NER(labels=["bad", "good"])
    targets = [task.read_target(row) for row in tiny_entities.tagged(12, seed=1)]
    found = task.evaluate([row.answer.target for row in rows if row.answer], targets)
    assert found["f1"] == pytest.approx(resumed.metrics[-1].values["f1"], abs=0.05)  # half precision apart


def test_a_frozen_encoder_reads_texts_of_more_words_than_a_window_has_tokens(tmp_path: Path, model_folder: str) -> None:
    assert max(len(row["tokens"]) for row in tiny_entities.tagged(40)) > 12
    more: dict[str, Any] = {"training": {"mode": "head"}, "cache": str(tmp_path / "cache"), "max_length": 12}
    Session(RunConfig.load(flags=flags(tmp_path, model_folder, rounds=0, **more))).run()
    assert read_state(tmp_path / "run").metrics
