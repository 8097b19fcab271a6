"""Loading: folders, heads, labels that came later, and errors that name the mend."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import torch_seeded
from dal_nlp.pretrained.loading import (
    ALIASES,
    digest,
    load_classifier,
    load_config,
    load_model,
    load_tokenizer,
    output_layer,
    resolve,
    weights_key,
)
from dal_nlp.pretrained.masked_lm import has_masked_lm, load_masked_lm
from tests import tiny


def test_a_classifier_has_an_output_for_every_label(model_folder: str) -> None:
    with torch_seeded(0):
        model = load_classifier(model_folder, ["a", "b", "c"])
    assert output_layer(model, 3).out_features == 3
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}  # type: ignore[union-attr]


def test_new_weights_follow_the_seed(model_folder: str) -> None:
    heads = []
    for seed in (0, 0, 1):
        with torch_seeded(seed):
            heads.append(output_layer(load_classifier(model_folder, ["a", "b"]), 2).weight)
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])


def test_a_checkpoint_keeps_its_outputs_when_a_label_is_added(model_folder: str, tmp_path: Path) -> None:
    with torch_seeded(0):
        old = load_classifier(model_folder, ["a", "b"])
    old.save_pretrained(tmp_path)  # type: ignore[operator]
    tiny.tokenizer().save_pretrained(tmp_path)
    with torch_seeded(1):
        new = load_classifier(str(tmp_path), ["a", "b", "c"])
    assert torch.equal(output_layer(new, 3).weight[:2], output_layer(old, 2).weight)
    assert new.config.id2label == {0: "a", 1: "b", 2: "c"}  # type: ignore[union-attr]
    new.save_pretrained(tmp_path / "saved")  # type: ignore[operator]
    again = load_classifier(str(tmp_path / "saved"), ["a", "b", "c"])
    assert torch.equal(output_layer(again, 3).weight, output_layer(new, 3).weight)


def test_outputs_follow_the_order_of_the_labels(model_folder: str, tmp_path: Path) -> None:
    with torch_seeded(0):
        old = load_classifier(model_folder, ["positive", "negative"])
    old.save_pretrained(tmp_path)  # type: ignore[operator]
    turned = load_classifier(str(tmp_path), ["negative", "positive"])
    assert torch.equal(output_layer(turned, 2).weight, output_layer(old, 2).weight[[1, 0]])
    with torch_seeded(1):
        other = load_classifier(str(tmp_path), ["spam", "ham"])
    assert not torch.isclose(output_layer(other, 2).weight, output_layer(old, 2).weight).any()


def test_names_resolve(model_folder: str) -> None:
    assert resolve(model_folder, Silent()) == model_folder
    assert resolve("bert", Silent()) == ALIASES["bert"]
    assert {resolve(name, Silent()).count("/") for name in ("e5", "bge", "gte", "modernbert-embed")} == {1}
    assert resolve("someone/some-model", Silent()) == "someone/some-model"


def test_a_folder_without_weights_is_refused(model_folder: str) -> None:
    (Path(model_folder) / "model.safetensors").unlink()
    with pytest.raises(UserError, match="has no weights"):
        resolve(model_folder, Silent())


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        resolve(str(tmp_path), Silent())


def test_a_hub_name_without_network_is_one_sentence() -> None:
    for load in (load_tokenizer, lambda name: load_model("AutoModelForSequenceClassification", name)):
        with pytest.raises(UserError, match="cannot be loaded") as caught:
            load("someone/there-is-no-such-model")
        assert "\n" not in str(caught.value)


def test_a_model_without_the_outputs_is_refused() -> None:
    with pytest.raises(UserError, match="no linear output layer of 7 outputs"):
        output_layer(tiny.classifier(), 7)


def test_every_weight_counts_for_the_digest() -> None:
    model = tiny.classifier()
    model.register_buffer("scale", torch.tensor(5.0))  # a number, not an array
    first = digest(model)
    assert digest(tiny.classifier(seed=1)) != first
    for _, values in model.state_dict().items():
        before = values.clone()
        values.view(-1)[0] += 1
        assert digest(model) != first
        values.copy_(before)
    assert digest(model) == first


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_no_hub_id(name: str) -> None:
    with pytest.raises(UserError, match=f"There is no model folder {name}"):
        resolve(name, Silent())


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The Hub's cache with two revisions of one model, "main" and "v1"; the folders by revision."""
    place, folders = tmp_path / "models--acme--tiny", {}
    (place / "refs").mkdir(parents=True)
    for seed, revision in enumerate(("main", "v1")):
        commit = str(seed) * 40
        (place / "refs" / revision).write_text(commit)
        tiny.masked_lm(seed).save_pretrained(place / "snapshots" / commit)
        tokenizer = tiny.tokenizer()
        tokenizer.model_max_length = 50 + seed
        tokenizer.save_pretrained(place / "snapshots" / commit)
        folders[revision] = str(place / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return folders


@pytest.mark.parametrize("revision", ["main", "v1"])
def test_a_model_of_the_hub_can_be_pinned(hub: dict[str, str], revision: str) -> None:
    source = resolve("acme/tiny", Silent(), None if revision == "main" else revision)
    assert load_tokenizer(source).model_max_length == load_tokenizer(hub[revision]).model_max_length
    assert digest(load_model("AutoModelForMaskedLM", source)) == digest(load_masked_lm(hub[revision]))
    assert digest(load_masked_lm(source)) == digest(load_masked_lm(hub[revision]))
    assert Path(hub[revision]).name in weights_key(source)
    assert has_masked_lm(source)


def test_an_alias_can_be_pinned_and_what_is_not_on_the_hub_cannot(model_folder: str) -> None:
    assert resolve("bert", Silent(), "v1") == f"{ALIASES['bert']}@v1"
    for name in (model_folder, "minilm"):
        with pytest.raises(UserError, match="leave --revision out"):
            resolve(name, Silent(), "v1")


def test_a_folder_may_have_an_at_in_its_name(tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "model@home")
    assert load_config(resolve(folder, Silent())).hidden_size == 16


def _edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_leftovers_of_how_a_model_answers_do_not_survive(tmp_path: Path) -> None:
    """With attention among its results the model could not even be saved, after all labels were given."""
    folder = Path(tiny.save_model(tmp_path / "model"))
    _edit(folder / "config.json", return_dict=False, output_attentions=True, output_hidden_states=True)
    model: Any = load_classifier(str(folder), ["a", "b"])
    found = model.eval()(torch.tensor([[1, 2]]))
    assert found.hidden_states is None and found.attentions is None and found.logits.shape == (1, 2)
    model.save_pretrained(tmp_path / "saved")


def test_a_longest_text_that_is_no_number_is_refused(tmp_path: Path) -> None:
    folder = Path(tiny.save_model(tmp_path / "model"))
    _edit(folder / "tokenizer_config.json", model_max_length="512")
    with pytest.raises(UserError, match=r"model_max_length in .* is no number"):
        load_tokenizer(str(folder))
