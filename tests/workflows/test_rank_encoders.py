"""Encoders ranked on the labels that are there."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from dal_nlp import RunConfig, UserError
from dal_nlp.core.rng import torch_seeded
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


DESCRIBED = {"positive": "good good", "negative": "bad bad"}


def test_without_labels_it_says_so(tmp_path: Path) -> None:
    rows = [{"id": row["id"], "text": row["text"]} for row in tiny.sentences(40)]
    config = settings(tmp_path, labels="negative,positive", oracle="file", descriptions=DESCRIBED)
    tiny.write(tmp_path / "pool.jsonl", rows)
    (one,) = rank_encoders(config, [str(tiny.save_model(tmp_path / "a"))])
    assert one.accuracy is None is not one.agreement and one.labels == 40 and "no label is there" in str(one)
    config = settings(tmp_path, labels="x1,x2", oracle="file")
    tiny.write(tmp_path / "pool.jsonl", rows)
    tiny.write(tmp_path / "test.jsonl", [{**row, "label": f"x{1 + i % 2}"} for i, row in enumerate(rows[:10])])
    (one,) = rank_encoders(config, [str(tmp_path / "a")])
    assert one.accuracy is one.agreement is None and "nothing is known of the labels" in str(one)


def test_descriptions_rank_encoders_without_a_label(tmp_path: Path) -> None:
    good, blind = tiny.save_model(tmp_path / "a"), tiny.save_model(tmp_path / "b")
    model = AutoModel.from_pretrained(blind)
    with torch_seeded(1):
        torch.nn.init.normal_(
            model.embeddings.position_embeddings.weight, std=9.0
        )  # the length of a text drowns its words
    model.save_pretrained(blind)
    config = settings(tmp_path, labels="negative,positive", oracle="file", descriptions=DESCRIBED)
    words = ["film", "plot", "scene", "actor", "story"]
    texts = [f"{sign} {sign} {sign} {words[i % 5]} {'the ' * (i % 4)}" for i in range(30) for sign in ("good", "bad")]
    rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    tiny.write(tmp_path / "pool.jsonl", rows)
    tiny.write(
        tmp_path / "test.jsonl", [{**row, "label": ("positive", "negative")[i % 2]} for i, row in enumerate(rows[:10])]
    )
    first, second = rank_encoders(config, [blind, good])
    assert (first.name, second.name) == (good, blind) and first.agreement is not None and second.agreement is not None
    assert first.agreement > second.agreement + 0.1
    assert min(first.seconds, second.seconds) > 0.01  # though all texts were read before the ranking began


def test_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no encoder"):
        rank_encoders(settings(tmp_path), [])
