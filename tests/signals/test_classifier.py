"""Classifiers as signals: their outputs against plain passes, text by text; entailment; the model of an earlier run."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dal_nlp import UserError
from dal_nlp.signals.base import LabelSet, Making
from dal_nlp.signals.classifier import NEVER, Classifier, EarlierRun
from tests import tiny

LABELS = LabelSet(["bad", "good"], {}, {"bad": "a dull film", "good": "a lovely film"})
#: Of different lengths, so that a batch is padded and is not in the order of the texts.
TEXTS = ["a very very sad story of a cold dark film", "great", "it was good and fine", "the plot"]


def save(folder: Path, outputs: list[str]) -> str:
    """Write a random classifier with outputs of these names."""
    model = tiny.classifier(len(outputs), dropout=0)
    model.config.id2label = dict(enumerate(outputs))
    model.config.label2id = {name: number for number, name in enumerate(outputs)}
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return str(folder)


def making(target: str, **options: str) -> Making:
    return Making(target, options, LABELS)


def answers(signal: Classifier) -> np.ndarray:
    given = list(signal.answers(TEXTS, [""] * len(TEXTS)))
    assert [answer.raw for answer in given] == [LABELS.spoken[int(np.argmax(answer.log_probs))] for answer in given]
    return np.array([answer.log_probs for answer in given])


def probabilities(signal: Classifier, text: str, pair: str | None = None) -> np.ndarray:
    """Return the model's probabilities of one text, from a pass of its own without padding."""
    tokenizer, model = signal._loaded
    with torch.inference_mode():
        logits = model(**tokenizer(text, pair, return_tensors="pt")).logits[0]
    return np.asarray(logits.double().softmax(-1).numpy())


def test_outputs_that_are_labels_are_taken_whatever_their_case_and_the_others_left_out(tmp_path: Path) -> None:
    signal = Classifier(making(save(tmp_path, ["Good", "other", "BAD"])))
    for text, found in zip(TEXTS, answers(signal), strict=True):
        good, _, bad = probabilities(signal, text)
        assert np.exp(found) == pytest.approx(np.array([bad, good]) / (bad + good), abs=1e-5)


def test_several_outputs_of_a_label_add_up(tmp_path: Path) -> None:
    signal = Classifier(making(save(tmp_path, ["1 star", "2 stars", "5 stars"]), **{"1 star": "bad", "2 stars": "bad"}))
    for text, found in zip(TEXTS, answers(signal), strict=True):
        one, two, _ = probabilities(signal, text)
        shares = np.array([one + two, np.exp(NEVER)])  # nothing says that a text is good
        assert found == pytest.approx(np.log(shares / shares.sum()), abs=1e-4)


def test_an_entailment_model_judges_a_sentence_for_each_label(tmp_path: Path) -> None:
    folder = save(tmp_path, ["contradiction", "neutral", "entailment"])
    for options in ({}, {"hypothesis": "The film is {}"}):
        signal = Classifier(making(folder, **options))
        sentence = options.get("hypothesis", "This text is {}.")
        for text, found in zip(TEXTS, answers(signal), strict=True):
            entailed = [probabilities(signal, text, sentence.replace("{}", words))[2] for words in LABELS.spoken]
            assert np.exp(found) == pytest.approx(np.array(entailed) / sum(entailed), abs=1e-5)


def test_what_an_answer_depends_on_is_in_the_key(tmp_path: Path) -> None:
    folder = save(tmp_path / "entails", ["contradiction", "neutral", "entailment"])
    keys = {Classifier(making(folder, **options)).key for options in ({}, {"hypothesis": "It is {}."})}
    stars = save(tmp_path / "stars", ["one", "five"])
    keys |= {Classifier(making(stars, **options)).key for options in ({"one": "bad"}, {"five": "good"})}
    assert len(keys) == 4
    assert Classifier(making(stars, one="bad")).key == Classifier(making(stars, one="bad")).key


def test_a_model_that_knows_no_label_is_refused_with_what_to_add(tmp_path: Path) -> None:
    folder = save(tmp_path, ["LABEL_0", "LABEL_1"])
    with pytest.raises(UserError, match=r"none of which is a label of the run: add OUTPUT=LABEL.*such as \S+=bad"):
        Classifier(making(folder))
    for options in ({"nothing": "bad"}, {"LABEL_0": "bda"}):
        with pytest.raises(UserError, match="maps no output"):
            Classifier(making(folder, **options))


def test_an_earlier_run_answers_with_the_model_that_it_left(tmp_path: Path) -> None:
    folder = save(tmp_path / "run" / "model", ["bad", "good"])
    assert answers(EarlierRun(making(str(tmp_path / "run")))) == pytest.approx(answers(Classifier(making(folder))))
    with pytest.raises(UserError, match="holds no finished model"):
        EarlierRun(making(str(tmp_path)))
