"""A local language model: scores against whole passes, one label at a time; calibration, cutting and the prompt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from dal_nlp.core.config import LanguageModelSection
from dal_nlp.core.errors import UserError
from dal_nlp.core.rng import torch_seeded
from dal_nlp.signals import language_model
from dal_nlp.signals.base import LabelSet, Making
from dal_nlp.signals.language_model import LocalModel
from dal_nlp.signals.prompt import Prompt, choose_demonstrations, medoids
from tests import tiny, tiny_summaries

LABELS = LabelSet(["neg", "pos"], {}, {"neg": "very bad film", "pos": "great"})
TEXTS = ["the film was great", "a dull plot", "it is", "a very very sad story of a cold dark film and a lovely scene"]
CHAT = "{% for m in messages %}{{ m['content'] }} is {% endfor %}"


def save(folder: Path, kind: str) -> str:
    if kind == "seq2seq":
        return tiny_summaries.save_writer(folder)
    with torch_seeded(0):
        tokenizer = tiny.tokenizer()
        config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=2, n_head=2)
        GPT2LMHeadModel(config).save_pretrained(folder)
    if kind == "chat":
        tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return str(folder)


def one_by_one(signal: LocalModel, prompt: str) -> list[float]:
    """Return the log-probability of each label after a prompt, from a pass of its own without padding."""
    scorer: Any = signal._scorer
    ids = scorer.tokenizer(scorer.prompted(prompt), return_tensors="pt")["input_ids"]
    found = []
    for word in LABELS.spoken:
        label = scorer.tokenizer(scorer.before + word, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            if scorer.model.config.is_encoder_decoder:
                start = torch.full((1, 1), scorer.model.config.decoder_start_token_id)
                logits = scorer.model(input_ids=ids, decoder_input_ids=torch.cat([start, label[:, :-1]], 1)).logits
            else:
                whole = scorer.model(input_ids=torch.cat([ids, label], 1)).logits
                logits = whole[:, ids.shape[1] - 1 : -1]
        found.append(float(logits.log_softmax(-1).gather(-1, label[..., None]).sum()))
    return found


@pytest.mark.parametrize("kind", ["seq2seq", "causal", "chat"])
def test_scores_are_those_of_whole_passes_less_those_of_an_empty_text(tmp_path: Path, kind: str) -> None:
    signal = LocalModel(Making(save(tmp_path / "model", kind), {}, LABELS, LanguageModelSection(prompt="{text} is")))
    empty = np.array(one_by_one(signal, " is"))
    for text, answer in zip(TEXTS, signal.answers(TEXTS, TEXTS), strict=True):
        scores = np.array(one_by_one(signal, f"{text} is")) - empty
        assert answer.log_probs is not None
        assert np.allclose(answer.log_probs, scores - np.log(np.exp(scores).sum()), atol=1e-4)
        assert answer.raw == LABELS.spoken[int(scores.argmax())]


def test_of_a_long_text_the_question_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "LONGEST", 12)
    signal = LocalModel(
        Making(save(tmp_path / "model", "seq2seq"), {}, LABELS, LanguageModelSection(prompt="{text} is"))
    )
    tokenizer = signal._scorer.tokenizer
    prompt, length, cut = language_model.fitting(tokenizer, "great " * 30, "{} is".format)
    assert prompt.endswith(" is") and prompt.startswith("great great") and length == 12 and cut
    assert len(tokenizer(prompt)["input_ids"]) <= 12
    assert len(list(signal.answers(["great " * 30, "great"], ["1", "2"]))) == 2
    assert "1 text was cut" in signal.remarks()[0]


def test_the_prompt_holds_what_people_are_told() -> None:
    labels = LabelSet(["a", "b", "c"], {"a": ["The first.", "Not the last."]}, {"c": "sea"})
    said = Prompt(None, "Read well.", labels).of("A {text} with {labels}")
    assert (
        said == "Read well.\n\na: The first. Not the last.\n\nText: A {text} with {labels}\nIs this text a, b or sea?"
    )
    for template in ("no text", "{text} {label}"):
        with pytest.raises(UserError, match="prompt"):
            Prompt(template, "", labels)


def test_labeled_texts_stand_in_the_prompt_with_their_answers_label_after_label() -> None:
    labels = LabelSet(["a", "b"], {"a": ["The first."]}, {"b": "sea"})
    said = Prompt(None, "", labels, {"b": ["blue"], "a": ["one {text}", "two"]}).of("new")
    asked = [f"Text: {text}\nIs this text a or sea?" for text in ("one {text}", "blue", "two", "new")]
    assert said == f"a: The first.\n\n{asked[0]}\na\n\n{asked[1]}\nsea\n\n{asked[2]}\na\n\n{asked[3]}"
    own = Prompt("{about}{examples}{text}?", "Read.", labels, {"a": ["one"]}).of("new")
    assert own == "Read.\n\na: The first.\n\none?\na\n\nnew?"
    with pytest.raises(UserError, match="no place for labeled texts"):
        Prompt("{text}", "", labels, {"a": ["one"]})
    with pytest.raises(UserError, match="'z', which is none of the labels"):
        Prompt(None, "", labels, {"z": ["one"]})


def test_a_prompt_without_room_for_a_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "LONGEST", 12)
    llm = LanguageModelSection(prompt="{examples}{text} is", demonstrations={"neg": ["bad " * 12]})
    signal = LocalModel(Making(save(tmp_path / "model", "seq2seq"), {}, LABELS, llm))
    with pytest.raises(UserError, match="and 12 are read: shorten it, or lower --llm-examples"):
        list(signal.answers(["good"], ["1"]))


def test_medoids_are_the_best_additions_by_hand() -> None:
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(size=(9, 3)))
    likeness = vectors @ vectors.T
    chosen: list[int] = []
    for _ in range(4):
        worth = {
            j: sum(max(likeness[i, c] for c in [*chosen, j]) for i in range(9)) for j in range(9) if j not in chosen
        }
        chosen.append(max(worth, key=lambda j: worth[j]))
    assert medoids(likeness, 4) == chosen
    assert sorted(medoids(likeness, 20)) == list(range(9)) and medoids(likeness[:0, :0], 2) == []


def test_demonstrations_are_typical_of_their_label_and_cover_it() -> None:
    texts = ["red apple", "red apples apple", "red apple pie", "blue sea", "cold blue sea", "grey stone", "odd"]
    labels = ["fruit", "fruit", "fruit", "place", "place", "place", "place"]
    found = choose_demonstrations(texts, labels, 2)
    assert found["fruit"][0] == "red apple" and found["place"][0] in ("blue sea", "cold blue sea")
    assert found["place"][1] in ("grey stone", "odd") and len(found["fruit"]) == 2
    assert len(choose_demonstrations(texts, labels, 9)["fruit"]) == 3


def test_the_key_stands_for_all_that_an_answer_depends_on(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", "seq2seq")

    def key(prompt: str, labels: LabelSet = LABELS) -> str:
        return LocalModel(Making(folder, {}, labels, LanguageModelSection(prompt=prompt))).key

    keys = {key("{text}"), key("{text} is"), key("{text}", LabelSet(["neg", "pos"]))}
    assert len(keys) == 3 and key("{text}") in keys
