"""One call inside any training script: what it picks, of which models, and what machines say of the texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    BertForTokenClassification,
    DataCollatorForTokenClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    Trainer,
    TrainingArguments,
)

import dal_nlp
from dal_nlp import UserError
from dal_nlp.core.config import DrawsConfig
from dal_nlp.core.rng import torch_seeded
from tests import tiny, tiny_entities
from tests.models import families

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


def test_pairs_strategy_objects_and_labeled_examples() -> None:
    pairs = [(text, "the film was good") for text in TEXTS]

    class FarFromLabeled(dal_nlp.Strategy):
        def select(self, pool: dal_nlp.Pool, k: int, rng: np.random.Generator) -> dal_nlp.Selection:
            (known,) = pool.labeled.collect(lambda forward: forward.embedding)
            (here,) = pool.collect(lambda forward: forward.embedding)
            distance = np.linalg.norm(here[:, None] - known[None], axis=-1).min(1)
            return dal_nlp.Selection(np.argsort(-distance)[:k], np.sort(distance)[::-1][:k])

    model = tiny.classifier()
    labels = list(model.config.id2label.values())
    labeled = [(pairs[0], labels[0]), (pairs[1], labels[1])]
    picked = dal_nlp.select(model, tiny.tokenizer(), pairs, 5, strategy=FarFromLabeled(), labeled=labeled)
    assert not {0, 1} & set(picked.positions.tolist())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"k": 0}, "k must be between 1 and the 30 examples"),
        ({"k": 31}, "k must be between 1 and the 30 examples"),
        ({"max_length": 0}, "max_length must be 1 or more, and is 0"),
        ({"strategy": "entrpy"}, "did you mean 'entropy'"),
        ({"max_length": "64"}, "max_length must be a whole number, and is '64'"),
        ({"strategy": None}, "The strategy is None: give a name"),
        ({"strategy": tiny.classifier}, "The strategy is <function"),
        ({"draws": 0}, "draws is 0: give a DrawsConfig"),
        ({"labeled": [("good", "happy")]}, "none of the model's"),
        ({"labeled": [("good", 0), "bad"]}, r"labeled\[1\] is 'bad', and no pair"),
        ({"labeled": ("good", 0)}, r"labeled\[0\] is 'good', and no pair"),
        ({"labeled": {"good": 0}}, "labeled is no list of pairs"),
        ({"labeled": 3}, "labeled is no list of pairs"),
        ({"labeled": pandas.DataFrame({"text": ["good"], "label": ["pos"]})}, "labeled is no list of pairs"),
        ({"labeled": False}, "labeled is no list of pairs"),
        ({"examples": [("a film", "good"), "the plot"]}, "Some texts are pairs"),
    ],
)
def test_mistakes_are_sentences(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        dal_nlp.select(tiny.classifier(), tiny.tokenizer(), **{"examples": TEXTS, "k": 2, **change})  # type: ignore[arg-type]


def test_a_strategy_that_reads_hidden_states_is_refused_with_those_that_do_not(tmp_path: Path) -> None:
    """A run may name another encoder in their place, and ``select`` has no such option."""
    source = families.save("funnel", "classification", tmp_path)
    with torch_seeded(0):
        model = AutoModelForSequenceClassification.from_pretrained(source)
    with pytest.raises(UserError, match="does not give one for each token: name one of these strategies: "):
        dal_nlp.select(model, families.tokenizer("bert"), TEXTS, 2, strategy="kmeans")


def test_the_model_is_looked_at_as_a_run_looks_at_it() -> None:
    tokenizer = tiny.tokenizer()
    with pytest.raises(UserError, match="this model has none outside its attention"):
        dal_nlp.select(tiny.classifier(dropout=0.0), tokenizer, TEXTS, 2, strategy="bald")
    several = tiny.classifier(3)
    several.config.problem_type = "multi_label_classification"
    with pytest.raises(UserError, match="multi_label_classification"):
        dal_nlp.select(several, tokenizer, TEXTS, 2)
    with pytest.raises(UserError, match="1 outputs"):
        dal_nlp.select(tiny.classifier(1), tokenizer, TEXTS, 2)
    with pytest.raises(UserError, match="one number for each label"):
        dal_nlp.select(BertForTokenClassification(tiny.config(2)), tokenizer, TEXTS, 2)


@pytest.mark.parametrize("kind", ["fixed", "head", "full"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_takes_all_kinds_of_draws(kind: str, dtype: torch.dtype) -> None:
    model = tiny.classifier().to(dtype)
    draws = DrawsConfig(kind=kind, k=3)  # type: ignore[arg-type]
    picked = dal_nlp.select(model, tiny.tokenizer(), TEXTS, 3, strategy="bald", draws=draws)
    assert np.ptp(picked.scores) > 0


def test_a_decoder_without_a_padding_token_is_left_as_it_was() -> None:
    sizes = {"vocab_size": 40, "n_positions": 64, "n_embd": 16, "n_layer": 2, "n_head": 2}
    config = GPT2Config(**sizes, bos_token_id=2, eos_token_id=3, initializer_range=0.3)
    with torch_seeded(0):
        model = GPT2ForSequenceClassification(config).eval()
    tokenizer = families.tokenizer("plain")
    tokenizer.pad_token, tokenizer.padding_side = None, "left"
    before = model.config.to_dict()
    picked = dal_nlp.select(model, tokenizer, TEXTS, 4, strategy="entropy")
    assert model.config.to_dict() == before
    assert tokenizer.pad_token is None and tokenizer.padding_side == "left"
    with torch.no_grad():
        logits = torch.cat([model(torch.tensor([tokenizer(text)["input_ids"]])).logits for text in TEXTS])
    entropy = torch.distributions.Categorical(logits=logits).entropy().numpy()
    assert picked.positions.tolist() == np.argsort(-entropy)[:4].tolist()


def test_what_was_picked_shows_scores_and_examples() -> None:
    texts = ["a <b>good</b> film", *TEXTS[:9]]
    picked = dal_nlp.select(tiny.classifier(), tiny.tokenizer(), texts, k=7, strategy="random")
    assert repr(picked).startswith(f"<Picked 7 examples, position (score): {picked.positions[0]} (")
    assert repr(picked).endswith("2 more>")
    shown = dal_nlp.select(tiny.classifier(), tiny.tokenizer(), texts, k=10)._repr_html_()
    assert shown.count("<tr>") == 11 and "a &lt;b&gt;good&lt;/b&gt; film" in shown and "<b>" not in shown


def said_of(folder: Path, labels: dict[str, str]) -> str:
    rows = [{"text": text, "label": label, "confidence": 0.9} for text, label in labels.items()]
    return f"file:{tiny.write(folder / 'said.jsonl', rows)}"


def test_what_machines_say_is_added_to_a_classifiers_logits(tmp_path: Path) -> None:
    """By hand: log-odds of .9, less their means, over their deviation, twice; one text is passed over in silence."""
    model, tokenizer = tiny.classifier(2), tiny.tokenizer()
    names = list(model.config.id2label.values())
    rng = np.random.default_rng(0)
    answers = rng.integers(0, 2, 29)
    signal = said_of(tmp_path, {text: names[answer] for text, answer in zip(TEXTS, answers, strict=False)})
    picked = dal_nlp.select(model, tokenizer, TEXTS, k=30, strategy="entropy", signals=[signal])
    odds = np.where(answers[:, None] == [0, 1], np.log(0.9), np.log(0.1))
    relative = odds - odds.mean(1, keepdims=True)
    relative -= relative.mean(0)
    said = np.concatenate([2 * relative / relative.std(), np.zeros((1, 2))])
    with torch.no_grad():
        logits = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits + torch.tensor(said)
    entropy = torch.distributions.Categorical(logits=logits).entropy().numpy()
    np.testing.assert_allclose(picked.scores, np.sort(entropy)[::-1], rtol=1e-4)
    assert "file:said.jsonl has no answer to 1 text." in picked.notes and not model.training
    assert "file:said.jsonl counts 2.00, by 0 labels." in picked.notes


def test_labels_say_what_a_machine_counts_and_disagreement_hears_it(tmp_path: Path) -> None:
    model, tokenizer = tiny.classifier(2), tiny.tokenizer()
    names = list(model.config.id2label.values())
    truth = dict(zip(TEXTS, np.random.default_rng(1).choice(names, 30), strict=True))
    other = dict(zip(names, reversed(names), strict=True))

    def weight(said: dict[str, str]) -> str:
        known = [(text, truth[text]) for text in TEXTS[:19]]
        signal = said_of(tmp_path, said)
        picked = dal_nlp.select(model, tokenizer, TEXTS, 3, "disagreement", labeled=known, signals=[signal])
        assert picked.scores.min() > 0
        (line,) = [note for note in picked.notes if note.endswith("by 19 labels.")]
        return line

    right, wrong = weight(truth), weight({text: other[label] for text, label in truth.items()})
    assert float(right.split()[2].rstrip(",")) > 2 > float(wrong.split()[2].rstrip(","))
    assert float(wrong.split()[2].rstrip(",")) < 0.5


def test_strategies_and_tasks_that_hear_nobody_are_refused(tmp_path: Path) -> None:
    model, tokenizer = tiny.classifier(2), tiny.tokenizer()
    with pytest.raises(UserError, match="needs machine-made answers"):
        dal_nlp.select(model, tokenizer, TEXTS, 1, strategy="disagreement")
    questions = [(row["question"], row["context"]) for row in tiny.questions(5)]
    with pytest.raises(UserError, match="for classifiers of one label"):
        signal = said_of(tmp_path, {TEXTS[0]: "a"})
        dal_nlp.select(tiny.reader(), tokenizer, questions, 1, max_length=32, task="qa", signals=[signal])


def _trained(model: Any, rows: list[dict[str, Any]], folder: Path, collate: Any = None) -> Trainer:
    arguments = TrainingArguments(
        str(folder), max_steps=3, report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no", learning_rate=1e-2
    )
    data = Dataset.from_list(rows)
    trainer = Trainer(model, arguments, train_dataset=data, data_collator=collate, processing_class=tiny.tokenizer())
    trainer.train()
    return trainer


def test_entities_are_chosen_from_after_a_trainer_by_mnlp(tmp_path: Path) -> None:
    names, tokenizer = ["O", "B-bad", "I-bad", "B-good", "I-good"], tiny.tokenizer()
    rows = tiny_entities.tagged(30, words=12)
    encoded: list[dict[str, Any]] = []
    for row in rows[:8]:
        read = tokenizer(row["tokens"], is_split_into_words=True)
        words = read.word_ids()
        first = [word is not None and word not in words[:i] for i, word in enumerate(words)]
        tags = [names.index(row["ner_tags"][word]) if new else -100 for word, new in zip(words, first, strict=True)]
        encoded.append({**read, "labels": tags})
    model = tiny_entities.tagger()
    model.config.id2label = dict(enumerate(names))
    trainer = _trained(model, encoded, tmp_path, DataCollatorForTokenClassification(tokenizer))
    unlabeled = [row["tokens"] for row in rows[8:]]
    picked = dal_nlp.select(trainer.model, tokenizer, unlabeled, 5, "nsp", task="ner", max_length=64)
    sure = []
    for tokens in unlabeled:
        read = tokenizer(tokens, is_split_into_words=True, return_tensors="pt")
        words = read.word_ids()
        first = [i for i, word in enumerate(words) if word is not None and word not in words[:i]]
        logits = trainer.model.eval()(**read).logits[0, first].detach()
        sure.append(float(logits.log_softmax(-1).amax(-1).mean()))  # Shen et al. 2018, equation 4
    assert picked.positions.tolist() == np.argsort(sure)[:5].tolist()


def test_texts_with_several_labels_are_chosen_from_after_a_trainer(tmp_path: Path) -> None:
    names, tokenizer = ["anger", "fear", "joy"], tiny.tokenizer()
    rows = tiny.several_labels(30)
    encoded = [{**tokenizer(row["text"]), "labels": [float(n in row["labels"]) for n in names]} for row in rows[:8]]
    model = tiny.classifier(3)
    model.config.problem_type, model.config.id2label = "multi_label_classification", dict(enumerate(names))
    trainer = _trained(model, encoded, tmp_path)
    texts = [row["text"] for row in rows[8:]]
    picked = dal_nlp.select(trainer.model, tokenizer, texts, 5, "entropy", task="multilabel")
    sure = [trainer.model.eval()(**tokenizer(text, return_tensors="pt")).logits[0].sigmoid() for text in texts]
    entropy = [float(torch.distributions.Bernoulli(p.detach()).entropy().mean()) for p in sure]
    assert picked.positions.tolist() == np.argsort(entropy)[::-1][:5].tolist()
