"""A run's classifier as an ONNX file, which runs without torch; checked against the model's own logits."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dal_nlp.core.errors import RunFolderError, Unsupported, UserError
from dal_nlp.core.files import whole_folder
from dal_nlp.ledger.state import State
from dal_nlp.pretrained.text_length import reads_at_most
from dal_nlp.report.summary import texts_asked

#: By how much the logits of file and model may differ.
SAME = 1e-4
#: Texts on which both are compared, and what takes their place where nobody was asked.
COMPARED, PLAIN = 8, ["one text", "another text, which is longer", "a third"]
_README = """# {title}

```python
import numpy as np, onnxruntime
from tokenizers import Tokenizer

labels = {labels}
tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.enable_truncation({longest})
session = onnxruntime.InferenceSession("model.onnx")
encoding = tokenizer.encode("a text")
values = {{"input_ids": encoding.ids, "attention_mask": encoding.attention_mask, "token_type_ids": encoding.type_ids}}
inputs = {{one.name: np.array([values[one.name]]) for one in session.get_inputs()}}
logits = session.run(None, inputs)[0][0]
print(labels[int(logits.argmax(-1))])
```

Made by `dal-nlp export --onnx`. Texts are cut after {longest} tokens.
"""


def export_onnx(folder: Path, state: State, target: Path) -> str:
    """Write model.onnx, the tokenizer and a README into a folder; return a sentence on what was checked.

    Args:
        folder: The run folder.
        state: Of its ledger; its texts are what the file is compared on.
        target: The folder that is written.

    Raises:
        UserError: There is no finished classifier of texts, a package is missing, or the file answers otherwise.
    """
    model_folder = folder / "model"
    if state.stopped is None or not (model_folder / "config.json").is_file():
        raise RunFolderError(f"{folder} has no finished model: let `dal-nlp run` come to its end first.")
    if target.exists() and not (target / "model.onnx").is_file():
        raise UserError(f"{target} is there and no model of an earlier --onnx: give another --out.")
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 - torch needs it for the export
    except ImportError:
        raise UserError("--onnx needs three packages more: pip install 'dal-nlp[onnx]'.") from None
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import dal_nlp.pretrained.head_model  # noqa: F401 - registers its class

    config = json.loads((model_folder / "config.json").read_text(encoding="utf-8"))
    if not (config["architectures"][0].endswith("ForSequenceClassification") or config["model_type"] == "dal_nlp_head"):
        raise Unsupported(f"--onnx takes classifiers of texts, and {model_folder} is a {config['architectures'][0]}.")
    model: Any = AutoModelForSequenceClassification.from_pretrained(model_folder).eval()
    tokenizer: Any = AutoTokenizer.from_pretrained(model_folder)
    longest = _longest(model, tokenizer, state, model_folder)
    texts = [text for _, text in texts_asked(state)[:COMPARED]] or PLAIN
    with whole_folder(target) as draft:
        names = _write(model, tokenizer, texts, longest, draft / "model.onnx")
        session = onnxruntime.InferenceSession(draft / "model.onnx", providers=["CPUExecutionProvider"])
        apart = max(_difference(model, session, tokenizer, part, names, longest) for part in (texts, texts[:1]))
        if not apart <= SAME:
            raise Unsupported(
                f"The ONNX file of {model_folder} answers otherwise (logits differ by {apart:.2g}): not kept."
            )
        tokenizer.save_pretrained(draft)
        labels = [label for _, label in sorted(model.config.id2label.items())]
        text = _README.format(title=f"{(state.config or {}).get('task', '')}, as ONNX", labels=labels, longest=longest)
        (draft / "README.md").write_text(text, encoding="utf-8")
    return f"Its logits are those of the model within {apart:.1g}; texts are cut after {longest:,} tokens."


def _longest(model: Any, tokenizer: Any, state: State, model_folder: Path) -> int:
    """Return the tokens of the longest input; a head reads longer texts in windows, which the file does not."""
    window = getattr(model.config, "window", None)
    cut = (state.config or {}).get("max_length")
    if window is not None:
        model.config.window = None
        return int(window["size"])
    return cut if isinstance(cut, int) else reads_at_most(str(model_folder), tokenizer)


def _encoded(tokenizer: Any, texts: Sequence[str], longest: int) -> Any:
    return tokenizer(list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt")


def _write(model: Any, tokenizer: Any, texts: Sequence[str], longest: int, path: Path) -> list[str]:
    """Export the model with any number of texts and tokens; return the names of its inputs."""
    import torch

    encoded = _encoded(tokenizer, [*texts, *PLAIN], longest)
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in encoded]

    class Logits(torch.nn.Module):
        """The model as a function of tensors alone."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            """Return the logits."""
            logits: torch.Tensor = self.model(**dict(zip(names, tensors, strict=True))).logits
            return logits

    sizes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own parts
        torch.onnx.export(
            Logits().eval(),
            tuple(encoded[name] for name in names),
            path,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=(tuple(sizes for _ in names),),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return names


def _difference(
    model: Any, session: Any, tokenizer: Any, texts: Sequence[str], names: Sequence[str], longest: int
) -> float:
    """Return by how much the logits of file and model differ at most on some texts."""
    import torch

    encoded = _encoded(tokenizer, texts, longest)
    (logits,) = session.run(None, {name: encoded[name].numpy() for name in names})
    with torch.inference_mode():
        wanted = model(**{name: encoded[name] for name in names}).logits.numpy()
    return float(np.abs(logits - wanted).max())
