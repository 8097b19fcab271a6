"""Encoders ranked on the labels that are there."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from dal_nlp import RunConfig, UserError
from dal_nlp.workflows.rank_encoders import rank_encoders
from tests import tiny


def settings(folder: Path, **changes: object) -> RunConfig:
    pool = tiny.write(folder / "pool.jsonl", tiny.sentences(40))
    test = tiny.write(folder / "test.jsonl", tiny.sentences(10, seed=1))
    return RunConfig.load(flags={"task": "sentiment", "data": pool, "test": test, **changes})


def test_the_better_encoder_comes_first(tmp_path: Path) -> None:
    good, blind = tiny.save_model(tmp_path / "a"), tiny.save_model(tmp_path / "b")
    model = AutoModel.from_pretrained(blind)
    torch.nn.init.zeros_(model.embeddings.word_embeddings.weight)  # all words are one to it
    model.save_pretrained(blind)
    config, words = settings(tmp_path), ["film", "plot", "scene", "actor", "story"]
    rows = [
        {"id": str(i), "text": f"the {words[i % 5]} {words[i // 5 % 5]} {sign} it", "label": label}
        for i in range(20)
        for sign, label in (("good", "positive"), ("bad", "negative"))
    ]
    tiny.write(tmp_path / "pool.jsonl", [{**row, "id": f"{row['id']}-{row['label']}"} for row in rows])
    ranked = rank_encoders(config, [blind, good])
    assert [one.name for one in ranked] == [good, blind]
    assert ranked[0].accuracy is not None and ranked[1].accuracy is not None
    assert ranked[0].accuracy > ranked[1].accuracy + 0.1
    assert all(one.seconds > 0 and one.labels == 40 for one in ranked) and "on 40 labels" in str(ranked[0])


def test_without_labels_it_says_so(tmp_path: Path) -> None:
    rows = [{"id": row["id"], "text": row["text"]} for row in tiny.sentences(40)]
    config = settings(tmp_path, labels="negative,positive", oracle="file")
    tiny.write(tmp_path / "pool.jsonl", rows)
    (one,) = rank_encoders(config, [str(tiny.save_model(tmp_path / "a"))])
    assert one.accuracy is None and "no label is there" in str(one)


def test_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no encoder"):
        rank_encoders(settings(tmp_path), [])
