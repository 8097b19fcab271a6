"""Folders of sentence-transformers: pooling, prompts, what is refused, and that runs and saved models read alike."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.core.caches import OnDisk
from dal_nlp.core.errors import ModelError
from dal_nlp.data.text_windows import window_of
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.sentence_encoder import SentenceEncoder, check_encoder
from dal_nlp.pretrained.pooling import POOLINGS, pool_states
from dal_nlp.pretrained.sentence_format import SentenceFormat, load_prompted, read_format
from dal_nlp.workflows.predict import predict
from tests import tiny

SWITCHES = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "lasttoken": "pooling_mode_lasttoken",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
}
PROMPT = "good bad"  # of words that the tiny tokenizer knows


def by_hand(states: Tensor, kind: str) -> Tensor:
    """Return what the states (T, H) of one text without padding are pooled to."""
    counts = torch.arange(1, len(states) + 1)[:, None]
    return {
        "mean": states.sum(0) / len(states),
        "cls": states[0],
        "max": torch.stack([column.max() for column in states.T]),
        "lasttoken": states[len(states) - 1],
        "weightedmean": (states * counts).sum(0) / counts.sum(),
        "mean_sqrt_len_tokens": states.sum(0) / len(states) ** 0.5,
    }[kind]


def save(
    folder: Path,
    pooling: dict[str, Any] | None,
    prompts: dict[str, Any] | None = None,
    modules: tuple[str, ...] = ("Transformer", "Pooling", "Normalize"),
) -> str:
    """Write an encoder as sentence-transformers does."""
    tiny.save_masked_lm(folder)
    rows = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(rows))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return str(folder)


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("skip", [0, 2])
def test_poolings_are_those_of_each_text_alone(kind: str, left: bool, skip: int) -> None:
    rng = torch.Generator().manual_seed(0)
    texts = [torch.randn(length, 3, generator=rng) for length in (5, 3, 7)]
    states, mask = torch.full((3, 7, 3), 9.0), torch.zeros(3, 7, dtype=torch.long)
    for row, text in enumerate(texts):
        place = slice(7 - len(text), 7) if left else slice(0, len(text))
        states[row, place], mask[row, place] = text, 1
    found = pool_states(states, mask, kind, skip)
    for row, text in enumerate(texts):
        if kind == "weightedmean" and skip:  # the first tokens have had their numbers
            counts = torch.arange(1, len(text) - skip + 1)[:, None]
            want = (text[skip:] * counts).sum(0) / counts.sum()
        else:
            want = by_hand(text if kind == "cls" else text[skip:], kind)
        torch.testing.assert_close(found[row], want)


@pytest.mark.parametrize("kind", SWITCHES)
def test_old_and_new_files_of_a_pooling_are_read(tmp_path: Path, kind: str) -> None:
    old = {switch: name == kind for name, switch in SWITCHES.items()}
    assert read_format(save(tmp_path / "old", old)).pooling == kind
    assert read_format(save(tmp_path / "new", {"pooling_mode": kind})).pooling == kind


def test_a_plain_folder_is_read_by_the_mean(tmp_path: Path) -> None:
    assert read_format(tiny.save_masked_lm(tmp_path / "plain")) == SentenceFormat()


@pytest.mark.parametrize(
    ("pooling", "modules", "message"),
    [
        (None, ("Transformer", "CNN"), "a module CNN"),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
            ("Transformer", "Pooling"),
            "max and mean",
        ),
        ({"pooling_mode": "median"}, ("Transformer", "Pooling"), "median"),
    ],
)
def test_what_is_not_known_is_refused_by_name_before_anything_is_bought(
    tmp_path: Path, pooling: dict[str, Any] | None, modules: tuple[str, ...], message: str
) -> None:
    source = save(tmp_path / "model", pooling, modules=modules)
    with pytest.raises(ModelError) as error:
        run(tmp_path, source)
    assert all(word in str(error.value) for word in message.split())
    assert not (tmp_path / "run" / "ledger.jsonl").exists() or not read_state(tmp_path / "run").answers


@pytest.mark.parametrize(
    ("values", "prompt"),
    [
        ({"prompts": {"query": "Q: ", "passage": "P: "}, "default_prompt_name": "passage"}, "P: "),
        ({"prompts": {"query": "Q: ", "passage": "P: "}, "default_prompt_name": None}, "Q: "),
        ({"prompts": {"query": "Q: ", "document": "D: ", "Classification": "C: "}}, "C: "),
        ({"prompts": {"query": "Q: ", "document": ""}}, ""),  # texts that are sought have none
        ({"prompts": {}, "default_prompt_name": None}, ""),
        ({}, ""),
    ],
)
def test_the_prompt_of_texts_that_are_compared(tmp_path: Path, values: dict[str, Any], prompt: str) -> None:
    assert read_format(save(tmp_path / "model", {"pooling_mode": "mean"}, values)).prompt == prompt


def test_the_tokenizer_puts_the_prompt_before_each_text_and_each_window(tmp_path: Path) -> None:
    source = save(tmp_path / "model", {"pooling_mode": "mean"}, {"prompts": {"classification": f"{PROMPT} "}})
    plain, prompted = AutoTokenizer.from_pretrained(source), load_prompted(source, read_format(source))
    assert prompted("fine")["input_ids"] == plain(f"{PROMPT} fine")["input_ids"]
    inner = plain("fine", add_special_tokens=False)["input_ids"]
    pair, want = (
        of(first, "good", return_token_type_ids=True) for of, first in ((prompted, "fine"), (plain, f"{PROMPT} fine"))
    )
    assert (pair["input_ids"], pair["token_type_ids"]) == (want["input_ids"], want["token_type_ids"])
    assert prompted("fine", add_special_tokens=False)["input_ids"] == inner
    prompted.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("fine") == prompted("fine")
    window = window_of(RunConfig.load(flags={"task": "sentiment", "max_length": "auto"}), prompted)
    ids = plain(PROMPT)["input_ids"]
    assert window is not None and (window.prefix, window.suffix) == (ids[:-1], ids[-1:])
    # A prompt that holds the very word by which the window is found.
    other = save(tmp_path / "other", {"pooling_mode": "mean"}, {"prompts": {"classification": "a a "}})
    twice = load_prompted(other, read_format(other))
    window = window_of(RunConfig.load(flags={"task": "sentiment", "max_length": "auto"}), twice)
    assert window is not None and len(window.prefix) == 3


def run(files: Path, source: str, **changes: Any) -> Path:
    tiny.write(files / "pool.jsonl", tiny.sentences(60))
    tiny.write(files / "test.jsonl", tiny.sentences(20, seed=1))
    values = {
        "task": "sentiment",
        "data": str(files / "pool.jsonl"),
        "test": str(files / "test.jsonl"),
        "model": source,
        "cache": str(files / "cache"),
        "out": str(files / "run"),
        "initial": 20,
        "rounds": 0,
        "training": {"mode": "head"},
        **changes,
    }
    Session(RunConfig.load(flags=values)).run()
    return files / "run"


@pytest.mark.long
@pytest.mark.parametrize(
    ("pooling", "prompts", "max_length"),
    [
        ({"pooling_mode": "cls"}, None, 32),
        ({"pooling_mode": "max"}, {"prompts": {"a": f"{PROMPT} "}, "default_prompt_name": "a"}, 32),
        (
            {"pooling_mode": "mean", "include_prompt": False},
            {"prompts": {"a": f"{PROMPT} "}, "default_prompt_name": "a"},
            32,
        ),
        ({"pooling_mode": "lasttoken"}, {"prompts": {"a": f"{PROMPT} "}, "default_prompt_name": "a"}, "auto"),
    ],
)
def test_a_run_and_the_model_that_it_leaves_read_as_the_folder_says(
    tmp_path: Path, pooling: dict[str, Any], prompts: dict[str, Any] | None, max_length: int | str
) -> None:
    source = save(tmp_path / "model", pooling, prompts)
    folder = run(tmp_path, source, max_length=max_length)
    said = " ".join(read_state(folder).notes)
    assert (PROMPT in said) == bool(prompts)
    assert f"({pooling['pooling_mode']})" in said or pooling["pooling_mode"] == "mean"

    assert (folder / "model" / "pooling.py").is_file()
    texts = [row["text"] for row in tiny.sentences(20, seed=1)]
    saved = AutoModelForSequenceClassification.from_pretrained(folder / "model", trust_remote_code=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    encoder, plain = AutoModel.from_pretrained(source).eval(), AutoTokenizer.from_pretrained(source)
    rows = list(predict(folder, str(tmp_path / "test.jsonl")))
    depths = saved.config.depths
    for row, text in zip(rows, texts, strict=True):
        with torch.inference_mode():
            shares = saved(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0]
            prompt = f"{PROMPT} " if prompts else ""
            layers = encoder(**plain(prompt + text, return_tensors="pt"), output_hidden_states=True).hidden_states
            skip = 0 if pooling.get("include_prompt", True) else 1 + len(PROMPT.split())
            read = [layers[round((len(layers) - 1) * depth / 100)][0, skip:] for depth in depths]
            vector = torch.cat([by_hand(states, pooling["pooling_mode"]) for states in read])
            want = saved.classifier(vector).softmax(-1)
        np.testing.assert_allclose(shares, want, atol=1e-5)
        assert row.answer is not None
        assert row.answer.confidence == pytest.approx(float(shares.max()), abs=2e-3)  # the cache holds half precision


def test_embeddings_are_pooled_and_prompted_likewise(tmp_path: Path) -> None:
    prompts = {"prompts": {"a": f"{PROMPT} "}, "default_prompt_name": "a"}
    source = save(tmp_path / "model", {"pooling_mode": "lasttoken"}, prompts)
    found = SentenceEncoder(source, OnDisk(tmp_path / "cache.sqlite")).embed(["fine", "good fine"])
    encoder, plain = AutoModel.from_pretrained(source).eval(), AutoTokenizer.from_pretrained(source)
    for row, text in zip(found, ["fine", "good fine"], strict=True):
        with torch.inference_mode():
            state = encoder(**plain(f"{PROMPT} {text}", return_tensors="pt")).last_hidden_state[0, -1]
        torch.testing.assert_close(row, state / state.norm(), atol=1e-5, rtol=1e-4)
    plain_key = check_encoder(save(tmp_path / "other", {"pooling_mode": "mean"}))
    (tmp_path / "other" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    assert check_encoder(str(tmp_path / "other")) != plain_key
    dense = save(tmp_path / "dense", {"pooling_mode": "mean"}, modules=("Transformer", "Pooling", "Dense"))
    assert "dense" in " ".join(read_format(dense).remarks())
    with pytest.raises(UserError, match="dense layer"):
        check_encoder(dense)
