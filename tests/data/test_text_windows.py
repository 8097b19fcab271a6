"""Long texts in windows: how they are cut, and that all who read them agree on their logits."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import processors

from dal_nlp.core.batch import Feeding
from dal_nlp.core.caches import InMemory
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.data import text_windows
from dal_nlp.data.text_windows import encode_windows, rows_of, window_of
from dal_nlp.learners.feature_cache import Features, mean_of_windows
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.pretrained.head_model import HeadModel
from dal_nlp.session.config import RunConfig
from dal_nlp.strategies import probes
from dal_nlp.tasks.classification import Classification
from tests import tiny
from tests.models import families


def test_tokenizers_that_leave_out_the_last_window_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert text_windows.words_in_windows("abcdefg")[-2:] == ["g", "[SEP]"]
    text_windows.check_windows.cache_clear()
    text_windows.check_windows()  # those that are installed do not
    text_windows.check_windows.cache_clear()
    whole = text_windows.words_in_windows
    monkeypatch.setattr(text_windows, "words_in_windows", lambda letters: whole(letters)[:4])
    with pytest.raises(UserError, match=r"tokenizers .* leaves out the end of texts"):
        encode_windows(tiny.tokenizer(), [LONG])


LONG = "the film was good and the plot was dull and it was a story of a dark scene"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of eight tokens."""
    monkeypatch.setattr(text_windows, "WINDOW", 8)


def task() -> Classification:
    return Classification(labels=["negative", "positive"], max_length="auto", tokenizer=tiny.tokenizer())


@pytest.mark.usefixtures("small")
def test_windows_hold_all_tokens_each_with_its_own_marks() -> None:
    of = tiny.tokenizer()
    encoded = encode_windows(of, [LONG, "good"])
    assert encoded["windows"] == [[8, 8, 8], [3]] and encoded["rows"] == [3, 1] and encoded["length"] == [8, 3]
    rows = rows_of({name: values[0] for name, values in encoded.items()})
    inner = [token for row in rows for token in row["input_ids"][1:-1]]
    assert inner == of(LONG, add_special_tokens=False)["input_ids"]
    assert all((row["input_ids"][0], row["input_ids"][-1]) == (2, 3) for row in rows)


@pytest.mark.usefixtures("small")
def test_a_tokenizer_written_in_python_gives_the_same_windows() -> None:
    """It does not cut texts into windows itself."""
    slow, fast = families.tokenizer("python"), families.tokenizer("bert")
    texts = [LONG, "good", "", "film " * 6, "film " * 7]
    ours, theirs = encode_windows(slow, texts), encode_windows(fast, texts)
    for name in ("input_ids", "windows", "length", "rows"):
        assert ours[name] == theirs[name]
    assert ours["windows"] == [[8, 8, 8], [3], [2], [8], [8, 3]]


def test_a_text_of_no_token_has_one_all_the_same() -> None:
    of = tiny.tokenizer()
    of.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    encoded = encode_windows(of, ["", "good"])
    assert encoded["input_ids"] == [[of.unk_token_id], of("good", add_special_tokens=False)["input_ids"]]
    assert encoded["windows"] == [[1], [1]]
    (row,) = rows_of({name: values[0] for name, values in encoded.items()})
    assert all(len(values) == 1 for values in row.values())


def test_the_mean_weighs_windows_by_their_tokens() -> None:
    rows = np.array([[1.0, 0.0], [4.0, 1.0], [7.0, 2.0]], dtype=np.float32)
    ours = mean_of_windows(rows, np.array([3, 1, 5]), np.array([0, 0, 1]))
    assert np.allclose(ours, [[(3 * 1 + 4) / 4, 1 / 4], [7, 2]])


@pytest.mark.usefixtures("small")
def test_cached_features_the_pool_and_the_saved_model_agree_on_a_long_text(model_folder: str, tmp_path: Path) -> None:
    of, rows = task(), [{"id": str(i), "text": text, "label": "positive"} for i, text in enumerate([LONG, "good film"])]
    data = tiny.encoded(rows, of)
    cache = InMemory()
    features = Features(of, model_folder, cache, tmp_path, ScoringConfig(), Silent(), 24)
    features.add(data, sorted(set(data.column_names) - {"id", "target", "text", "pair", "length", "rows"}))
    features.require(np.arange(2))
    assert len(cache._values) == 4  # three windows and one
    base = tiny.classifier().bert
    base.load_state_dict(of.load(model_folder).bert.state_dict())
    config = RunConfig(task="sentiment", data="x", training={"mode": "head"}, max_length="auto")
    window = window_of(config, of.tokenizer)
    assert window is not None
    head = torch.nn.Linear(16, 2)
    model = HeadModel.of(base, head, of.labels, window=asdict(window))
    with torch.inference_mode():
        from_features = head(torch.from_numpy(features.rows(np.arange(2))[:, -1])).log_softmax(-1).numpy()
        plain = model(**of.tokenizer([LONG], return_tensors="pt")).logits.log_softmax(-1).numpy()
    pool = Pool(data.remove_columns("target"), model, of, make_draws(DrawsConfig(kind="head"), 0, 0), ScoringConfig())
    (in_pool,) = pool.collect(probes.class_log_probs)
    assert np.allclose(from_features, in_pool, atol=2e-3)  # the cache is in half precision
    assert np.allclose(plain[0], in_pool[0], atol=1e-5)
    model.save_pretrained(tmp_path / "model")
    assert HeadModel.from_pretrained(tmp_path / "model").config.window == {"size": 8, "prefix": [2], "suffix": [3]}


@pytest.mark.usefixtures("small")
def test_the_gradient_of_a_long_text_is_that_of_the_mean_of_its_rows(model_folder: str) -> None:
    of, rows = task(), [{"id": str(i), "text": text, "label": "positive"} for i, text in enumerate([LONG, "good film"])]
    data = tiny.encoded(rows, of).remove_columns("target")
    base = of.load(model_folder).bert
    model = HeadModel.of(base, torch.nn.Linear(16, 2), of.labels)
    pool = Pool(data, model, of, make_draws(DrawsConfig(kind="head"), 0, 0), ScoringConfig())
    gradients, embeddings, log_probs = pool.collect(probes.gradient, probes.embedding, probes.class_log_probs)
    p = np.exp(log_probs)
    deltas = p - np.eye(2)[p.argmax(1)]
    want = [np.outer(delta, embedding) for delta, embedding in zip(deltas, embeddings, strict=True)]
    assert np.allclose(gradients.sq_norms(), [(w**2).sum() for w in want], rtol=1e-4)
    assert np.isclose(gradients.sq_dists(0)[1], ((want[0] - want[1]) ** 2).sum(), rtol=1e-3)


@pytest.mark.usefixtures("small")
def test_it_is_said_how_many_texts_are_read_in_windows_or_cut() -> None:
    rows = [{"id": str(i), "text": text, "label": "positive"} for i, text in enumerate([LONG, "good film"])]
    assert task().remarks({"pool": tiny.encoded(rows, task())}) == [
        "1 of 2 texts (pool) are read in windows of 8 tokens."
    ]
    cut = Classification(labels=["negative", "positive"], max_length=6, tokenizer=tiny.tokenizer())
    cut.tokenizer.model_max_length = 10**30  # nothing is said
    told = "1 of 2 texts (pool) are longer than 6 tokens, the longest 20, and are cut: "
    assert cut.remarks({"pool": tiny.encoded(rows, cut)}) == [
        told + "--max-length 20 reads them whole, if the model reads as many."
    ]
    cut.tokenizer.model_max_length = 64
    assert cut.remarks({"pool": tiny.encoded(rows, cut)}) == [told + "--max-length 20 reads them whole."]
    cut.tokenizer.model_max_length = 12
    assert cut.remarks({"pool": tiny.encoded(rows, cut)}) == [
        told + "--max-length 12 is the most that the model reads."
    ]
    cut.tokenizer.model_max_length, cut.feeding = 512, Feeding(limit=16)  # the model has fewer than its tokenizer says
    assert cut.remarks({"pool": tiny.encoded(rows, cut)}) == [
        told + "--max-length 16 is the most that the model reads."
    ]


def test_a_text_that_just_fits_is_not_cut_and_a_pair_that_does_not_is_told() -> None:
    of = Classification(labels=["negative", "positive"], max_length=4, tokenizer=tiny.tokenizer())
    rows = [{"text": "good film", "pair": None}, {"text": "a good film", "pair": None}]
    encoded = of.encode({name: [row[name] for row in rows] for name in rows[0]})
    assert encoded["length"] == [4, 4] and encoded["whole"] == [4, 5]
    pairs = of.encode({"text": ["good"], "pair": ["a film"]})
    assert pairs["length"] == [4] and pairs["whole"] == [6]


@pytest.mark.parametrize("values", [{"task": "qa"}, {"task": "sentiment", "training": {"mode": "full"}}])
def test_only_a_frozen_encoder_reads_windows(values: dict[str, object]) -> None:
    from dal_nlp.tasks import make_task

    with pytest.raises(UserError, match="max-length auto"):
        make_task(RunConfig(**{"data": "x", **values, "max_length": "auto"}))
