"""Nothing is made up: folders whose weights, tokenizers or files are not the model's are refused, by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import torch_seeded
from dal_nlp.pretrained.loading import load_classifier, load_model, load_tokenizer, output_layer, resolve
from dal_nlp.pretrained.tokenizers import check_embeddings, check_vocabulary
from dal_nlp.tasks.classification import Classification
from tests import tiny
from tests.models import families

Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def changed(folder: Path, change: Change) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def configured(folder: Path, **settings: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def folder_of(place: Path, whole: bool = False) -> Path:
    """A folder with BERT's encoder, or with a classifier of two labels."""
    model = tiny.classifier()
    (model if whole else model.bert).save_pretrained(place)
    tiny.tokenizer().save_pretrained(place)
    return place


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda w: {name: v for name, v in w.items() if "layer.1." not in name}, r"missing or of .*layer\.1"),
        (lambda w: dict(list(w.items())[::2]), "missing or of another shape"),
        (lambda w: {f"wrapped.{name}": v for name, v in w.items()}, "are named 'wrapped.'"),
        (lambda w: {**w, "encoder.layer.0.attention.self.query.lora_A.weight": torch.ones(2, 2)}, "left over.*lora_A"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_named(tmp_path: Path, change: Change, sentence: str) -> None:
    folder = folder_of(tmp_path)
    changed(folder, change)
    for load in (
        lambda: load_classifier(str(folder), ["a", "b"]),
        lambda: load_model("AutoModel", str(folder)),
        lambda: load_model("AutoModelForQuestionAnswering", str(folder), id2label={0: "start", 1: "end"}),
    ):
        with pytest.raises(UserError, match=sentence):
            load()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"intermediate_size": 64}, "intermediate"),
        ({"num_hidden_layers": 3}, r"layer\.2"),
        ({"num_hidden_layers": 1}, r"left over.*layer\.1"),
        ({"vocab_size": 90}, "word_embeddings"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantized"),
    ],
)
def test_configurations_that_do_not_fit_are_named(tmp_path: Path, settings: dict[str, object], sentence: str) -> None:
    folder = folder_of(tmp_path)
    configured(folder, **settings)
    with pytest.raises(UserError, match=sentence):
        load_classifier(str(folder), ["a", "b"])


def test_what_stands_on_the_encoder_may_be_new(tmp_path: Path) -> None:
    """A masked language model has no pooler, and other labels another output layer."""
    tiny.masked_lm().save_pretrained(tmp_path / "lm")
    with torch_seeded(0):
        model = load_classifier(str(tmp_path / "lm"), ["a", "b", "c"])
    assert output_layer(model, 3).out_features == 3
    with torch_seeded(0):
        load_classifier(str(folder_of(tmp_path / "two", whole=True)), ["a", "b", "c"])


def test_a_saved_model_must_have_all_its_weights(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, whole=True)
    changed(folder, lambda w: {name: v for name, v in w.items() if not name.startswith("classifier")})
    with pytest.raises(UserError, match=r"classifier\.bias, classifier\.weight"):
        load_classifier(str(folder), ["LABEL_0", "LABEL_1"])


def _pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])


def _list(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def _deep(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def _adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def _huge(folder: Path) -> None:
    configured(folder, hidden_size=2**40)


def _no_tokenizer(folder: Path) -> None:
    for file in folder.glob("token*"):
        file.unlink()


def _whole_numbers(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("query.weight"))
    save_file({**tensors, name: (tensors[name] * 100).to(torch.int8)}, file, {"format": "pt"})


def _other_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"x": 1}')


def _cut_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(file.read_text()[:500])


def _named_labels(folder: Path) -> None:
    configured(folder, id2label={"neg": 0, "pos": 1})


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (_pointer, r"model\.safetensors is a pointer of Git LFS"),
        (_cut, r"model\.safetensors is damaged or cut off"),
        (_list, r"config\.json is damaged"),
        (_deep, r"config\.json is damaged"),
        (_adapter, "merge_and_unload"),
        (_huge, "cannot be loaded"),
        (_no_tokenizer, r"(has no tokenizer|cannot be loaded)"),
        (_whole_numbers, r"model\.safetensors holds whole numbers in place of weights .*query\.weight"),
        (_other_tokenizer, "The tokenizer of .* cannot be loaded"),
        (_cut_tokenizer, r"tokenizer\.json is damaged"),
        (_named_labels, r"id2label in .*config\.json is not a mapping of numbers to labels"),
    ],
)
def test_damaged_folders_are_sentences(tmp_path: Path, break_it: Callable[[Path], None], sentence: str) -> None:
    folder = folder_of(tmp_path)
    break_it(folder)
    with pytest.raises(UserError, match=sentence) as caught:
        source = resolve(str(folder), Silent())
        load_tokenizer(source)
        load_classifier(source, ["a", "b"])
    assert "\n" not in str(caught.value)


def test_a_family_without_a_classifier_is_sent_to_the_head(tmp_path: Path) -> None:
    folder = families.save("pegasus", "classification", tmp_path)
    with pytest.raises(UserError, match=r"no model for sequence classification of the kind 'pegasus'.*--train head"):
        load_classifier(folder, ["a", "b"])


def test_labels_are_read_by_their_numbers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, whole=True)
    configured(folder, id2label={"1": "pos", "0": "neg"}, label2id={"pos": 1, "neg": 0}, problem_type="regression")
    model = load_classifier(str(folder), ["neg", "pos"])
    before = load_file(folder / "model.safetensors")["classifier.weight"]
    assert torch.equal(output_layer(model, 2).weight, before)
    assert model.config.problem_type is None  # type: ignore[union-attr]
    turned = load_classifier(str(folder), ["pos", "neg"])
    assert torch.equal(output_layer(turned, 2).weight, before[[1, 0]])


def test_texts_of_unknown_words_are_said_and_refused() -> None:
    tokenizer = tiny.tokenizer()
    assert check_vocabulary(tokenizer, ["the film was good"], "x") == []
    (said,) = check_vocabulary(tokenizer, ["the film wurde gut gespielt"], "x")
    assert "does not know 60 %" in said
    with pytest.raises(UserError, match="knows next to nothing of the texts"):
        check_vocabulary(tokenizer, ["der Streifen wurde gut gespielt", ""], "x")


def test_a_tokenizer_that_tells_no_places_is_judged_by_its_tokens() -> None:
    slow = families.tokenizer("python")
    assert check_vocabulary(slow, ["a good film"], "tiny") == []
    (remark,) = check_vocabulary(slow, ["a good film", "a [SEP] of a good film"], "tiny")
    assert remark.startswith("1 of 2 texts that were looked at hold special tokens of the model (")
    with pytest.raises(UserError, match="knows next to nothing"):
        check_vocabulary(slow, ["xyzzy plugh", "quux"], "tiny")


def test_what_a_tokenizer_leaves_out_is_as_unknown() -> None:
    core = Tokenizer(models.BPE({"g": 0, "o": 1, "d": 2, "oo": 3}, [("o", "o")]))  # without an unknown token
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="d")
    assert check_vocabulary(tokenizer, ["goo  oog"], "x") == []
    (said,) = check_vocabulary(tokenizer, ["goo was"], "x")
    assert "does not know 50 %" in said
    with pytest.raises(UserError, match="95 % of them is unknown"):
        check_vocabulary(tokenizer, ["o" + "was " * 6 + "x"], "x")


def test_a_tokenizer_larger_than_the_embeddings_is_refused() -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["movie"])
    with pytest.raises(UserError, match=r"'movie'.*resize_token_embeddings"):
        check_embeddings(tiny.classifier(), tokenizer, "x")


def test_a_decoders_end_token_is_its_padding_and_is_saved(tmp_path: Path) -> None:
    folder = Path(families.save("gpt2", "classification", tmp_path / "gpt2"))
    configured(folder, pad_token_id=None)
    tokenizer = families.tokenizer("plain")
    tokenizer.pad_token = None
    shutil.rmtree(folder / "unused", ignore_errors=True)
    tokenizer.save_pretrained(folder)
    task = Classification(labels=["a", "b"], max_length=40)
    task.tokenizer = load_tokenizer(str(folder))
    with torch_seeded(0):
        model = task.load(str(folder))
    assert task.tokenizer.pad_token_id == model.config.pad_token_id == 3  # type: ignore[union-attr]
    assert task.tokenizer.split_special_tokens
    model.save_pretrained(tmp_path / "saved")  # type: ignore[operator]
    task.tokenizer.save_pretrained(tmp_path / "saved")
    again = load_tokenizer(str(tmp_path / "saved"))
    assert again.pad_token_id == 3 and again.split_special_tokens
