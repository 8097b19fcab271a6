"""What becomes of each family of models under each task and way to train: right, or refused before the first query.

``python -m tests.models.matrix untrained`` prints the table of ``docs/models.md``, without the word that of whole runs.
"""

import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    pipeline,
)
from transformers import AutoTokenizer as Tokenizers

import dal_nlp
from dal_nlp.core.config import DrawsConfig, ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for, torch_seeded
from dal_nlp.learners.learner import write_model
from dal_nlp.ledger.ledger import read_state
from dal_nlp.models.mc_dropout import make_draws
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Dense
from dal_nlp.pretrained.loading import load_tokenizer, output_layer
from dal_nlp.pretrained.tokenizers import check_vocabulary
from dal_nlp.strategies import make_strategy
from dal_nlp.strategies.badge import Badge
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.qa import ExtractiveQA, QAOptions
from dal_nlp.tasks.summarization import Summarization, SummarizationOptions
from dal_nlp.workflows.predict import open_run
from tests import tiny, tiny_summaries
from tests.models import families

#: Tokens after which texts are cut.
LENGTH = 40
#: The ways to train a task, and the families that are no model of its kind and still belong in its table.
MODES = {
    "classification": ("full", "head", "lora", "finish"),
    "qa": ("full", "lora"),
    "summarization": ("full", "lora"),
}
ALSO = {
    "classification": ("blenderbot-small", "led", "longt5", "marian", "pegasus"),
    "qa": (),
    "summarization": ("bert", "roberta", "electra", "ernie", "rembert", "roformer", "camembert", "xlm-roberta",
                      "big_bird", "megatron-bert", "xlm", "reformer", "distilbert", "gpt2", "xlnet"),
}  # fmt: skip
AUTO: dict[str, Any] = {
    "classification": AutoModelForSequenceClassification,
    "qa": AutoModelForQuestionAnswering,
    "summarization": AutoModelForSeq2SeqLM,
}


#: What is refused, with the reason.
_FEW = {
    "big_bird": "reads otherwise after a short text",
    "bigbird_pegasus": "reads otherwise after a short text",
    "reformer": "draws numbers",
}
_PADDED = ("canine", "convbert", "fnet", "funnel", "nystromformer", "yoso")  # windows cannot do without padding
_NO_CLASSIFIER = ("blenderbot-small", "longt5", "marian", "pegasus", "led")
_NO_WRITER = ("big_bird", "megatron-bert", "xlm", "reformer", "distilbert", "gpt2", "xlnet", "bigbird_pegasus")
_PYTHON = ("flaubert", "plbart", "xlm")  # tokenizers that tell no places in a text
_AHEAD = ("fsmt", "prophetnet")  # decoders that look at what stands behind
REFUSED = {
    *((family, "classification", mode) for family in _FEW for mode in MODES["classification"]),
    *((family, "classification", mode) for family in _NO_CLASSIFIER for mode in ("full", "lora", "finish")),
    *(("perceiver", "classification", mode) for mode in MODES["classification"]),  # wants more than tokens
    *((family, "classification", mode) for family in ("canine", "funnel") for mode in ("head", "finish")),  # no states
    *(("splinter", "qa", mode) for mode in MODES["qa"]),  # no linear output layer
    *(("ibert", task, "lora") for task in ("classification", "qa")),  # its layers are no linear ones
    *((family, "qa", mode) for family in (*_FEW, *_PADDED, *_PYTHON) for mode in MODES["qa"]),
    *((family, "summarization", mode) for family in _NO_WRITER + _AHEAD for mode in MODES["summarization"]),
}


def cells() -> Iterator[tuple[str, str, str]]:
    """Every (family, task, mode) of the table."""
    for task, modes in MODES.items():
        for family in families.FAMILIES:
            if family in families.MAPPINGS[task] or family in ALSO[task]:
                yield from ((family, task, mode) for mode in modes)


def outcome(family: str, task: str, mode: str, folder: Path) -> str:
    """Run a cell and check what it leaves; return "ok", or "refused: " and the sentence.

    Raises:
        AssertionError: Something is not as it is on single texts, or the refusal came after the first query.
    """
    model = families.save(family, task, folder / "models" / family)
    settings = _data(task, folder) | {"model": model, "out": str(folder / "run"), "cache": str(folder / "cache")}
    options: dict[str, dict[str, int]] = {
        "qa": {"doc_stride": 6, "longest_answer": 4},
        "summarization": {"max_new_tokens": 6},
    }
    try:
        config = dal_nlp.RunConfig(
            **settings,
            max_length=LENGTH,
            task_options=options.get(task, {}),
            task=task,
            strategy="entropy",
            initial_strategy="random",
            initial=6,
            query_size=4,
            rounds=1,
            finish="full-always" if mode == "finish" else "none",
            training={
                "mode": "head" if mode == "finish" else mode,
                "min_steps": 2,
                "epochs": 0.1,
                "batch_size": 6,
                "learning_rate": 0.01,
            },
        )
        dal_nlp.run(config, quiet=True)
    except UserError as error:
        ledger = folder / "run" / "ledger.jsonl"
        assert not ledger.is_file() or '"event": "query"' not in ledger.read_text(), f"too late: {error}"
        return f"refused: {str(error).replace(str(folder / 'models'), '').lstrip('/')}"
    if mode == "finish":  # what is left was trained as a whole, from the layer on
        assert (folder / "run" / "model" / "head_model.py").is_file()
        finished = read_state(folder / "run").finished
        assert finished is not None and finished.kept
    _check_run(task, folder / "run")
    return "ok"


def _data(task: str, folder: Path) -> dict[str, str]:
    rows: dict[str, Any] = {
        "classification": tiny.sentences,
        "qa": lambda n, seed: tiny.questions(n, seed, words=24),
        "summarization": lambda n, seed: tiny_summaries.documents(n, seed, words=24),
    }
    return {
        "data": tiny.write(folder / "pool.jsonl", rows[task](20, 1)),
        "test": tiny.write(folder / "test.jsonl", rows[task](8, 2)),
    }


def untrained(family: str, task: str, folder: Path) -> str:
    """Load a family as a run does, save it, and check it as ``outcome`` does, without a run; return what that does."""
    source = families.save(family, task, folder / "models" / family)
    made: dict[str, Any] = {
        "classification": lambda: Classification(labels=["negative", "positive"], max_length=LENGTH),
        "qa": lambda: ExtractiveQA(QAOptions(doc_stride=6, longest_answer=4), max_length=LENGTH),
        "summarization": lambda: Summarization(SummarizationOptions(max_new_tokens=6), max_length=LENGTH),
    }
    of = made[task]()
    try:
        of.check_model(source)
        of.tokenizer = load_tokenizer(source)
        with torch_seeded(0):
            model = of.load(source)
    except UserError as error:
        return f"refused: {str(error).replace(str(folder / 'models'), '').lstrip('/')}"
    write_model(model, of, folder / "saved")
    _check(task, of, model, folder / "saved")
    return "ok"


def _check_run(task: str, run_folder: Path) -> None:
    """Check the model that a run leaves."""
    run = open_run(run_folder, Silent())
    run.task.tokenizer = load_tokenizer(str(run_folder / "model"))
    _check(task, run.task, run.task.load(str(run_folder / "model")), run_folder / "model")


def _check(task: str, of: Any, model: Any, folder: Path) -> None:
    """Compare what a model says in batches with itself alone, and with what was saved of it in a folder."""
    rows = [{"id": str(i), **of.read(row)} for i, row in enumerate(_rows(task))]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    data = Dataset.from_dict({**columns, **of.encode(columns)})
    draws = make_draws(DrawsConfig(), 0, 0)
    pools = [Pool(data, model, of, draws, ScoringConfig(batch_size=size)) for size in (16, 1)]
    together, alone = (pool.predict() for pool in pools)
    picks = [make_strategy("entropy", {}).select(pool, 4, rng_for(0, 0, "choose")).positions for pool in pools]
    assert picks[0].tolist() == picks[1].tolist(), "batched picks are others"
    for tokenizer in (of.tokenizer, load_tokenizer(str(folder))):
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        marked = f"film {' '.join(tokenizer.all_special_tokens)} good"
        inside = tokenizer(marked, add_special_tokens=False)["input_ids"]
        said = check_vocabulary(tokenizer, [marked, *["a good film and a bad plot"] * 9], "it")
        assert bool(special & set(inside)) == any("1 of 10 texts" in remark for remark in said), "special tokens"
    assert [a.target for a in together] == [a.target for a in alone], "batched answers are others"
    np.testing.assert_allclose([a.confidence for a in together], [a.confidence for a in alone], atol=1e-4)
    model.eval()
    saved = AUTO[task].from_pretrained(folder).eval()
    tokenizer = Tokenizers.from_pretrained(folder)
    if task == "classification":
        _check_classifier(saved, tokenizer, [row["text"] for row in rows], together)
    elif task == "qa":
        for example in data:
            batch = of.collate([{**example, "target": None}])
            with torch.no_grad():
                ours, theirs = model(**batch.inputs), saved(**batch.inputs)
            torch.testing.assert_close(ours.start_logits, theirs.start_logits, rtol=1e-4, atol=1e-4)
        again = Pool(data, saved, of, draws, ScoringConfig(batch_size=1)).predict()
        assert [a.target for a in again] == [a.target for a in together], "the answer is another one"
    else:
        for row, answer in zip(rows, together, strict=True):
            inputs = tokenizer(row["document"], truncation=True, max_length=LENGTH, return_tensors="pt")
            named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            text = tokenizer.batch_decode(saved.generate(**named), skip_special_tokens=True)[0].strip()
            assert text == answer.target, f"from_pretrained writes {text!r}, the run {answer.target!r}"


def check_saved(folder: Path, texts: Sequence[str]) -> None:
    """Compare the picks of ``select`` with a saved classifier's own numbers on single texts."""
    saved = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    _check_classifier(saved, Tokenizers.from_pretrained(folder), texts, None)


def _rows(task: str) -> Sequence[Any]:
    made: dict[str, Any] = {
        "classification": tiny.sentences,
        "qa": tiny.questions,
        "summarization": tiny_summaries.documents,
    }
    more = {} if task == "classification" else {"words": 24}
    rows: Sequence[Any] = made[task](12, 7, **more)
    return rows


def _check_classifier(model: Any, tokenizer: Any, texts: Sequence[str], answers: Sequence[Any] | None) -> None:
    """Compare answers, and the picks of entropy and BADGE, with single texts through the model itself."""
    names = set(tokenizer.model_input_names)
    logits, gradients = [], []
    weight = output_layer(model, 2).weight
    for text in texts:
        encoded = tokenizer(text, truncation=True, max_length=LENGTH, return_tensors="pt")
        inputs = {name: value for name, value in encoded.items() if name in names}
        row = model(**inputs).logits
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(row, row.argmax(-1)), weight)
        logits.append(row.detach())
        gradients.append(gradient.flatten())
    probabilities = torch.cat(logits).softmax(-1)
    ask = pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True, max_length=LENGTH)
    for said, row in zip(ask(list(texts)), probabilities, strict=True):
        assert said["label"] == model.config.id2label[int(row.argmax())], "a pipeline says another label"
        assert abs(said["score"] - float(row.max())) < 1e-4, "a pipeline says another confidence"
    for answer, row in zip(answers or (), probabilities, strict=answers is not None):
        assert answer.target == model.config.id2label[int(row.argmax())], "the label is another one"
        assert abs(answer.confidence - float(row.max())) < 1e-4, "the confidence is another one"
    entropies = torch.distributions.Categorical(probs=probabilities).entropy().numpy()
    picked = dal_nlp.select(model, tokenizer, texts, 4, strategy="entropy", max_length=LENGTH)
    np.testing.assert_allclose(picked.scores, np.sort(entropies)[::-1][:4], atol=1e-4)
    badge = dal_nlp.select(model, tokenizer, texts, 4, strategy="badge", max_length=LENGTH)
    direct = Badge().select(_Measured(Dense(torch.stack(gradients).numpy())), 4, rng_for(0, 0, "choose"))  # type: ignore[arg-type]
    assert badge.positions.tolist() == direct.positions.tolist(), "BADGE picks others"


class _Measured:
    """A pool whose gradients are known."""

    def __init__(self, gradients: Dense) -> None:
        self._gradients = gradients

    def __len__(self) -> int:
        return len(self._gradients)

    def collect(self, *_: Any) -> tuple[Dense, ...]:
        return (self._gradients,)


def main() -> None:
    """Print the table; with "untrained" among the arguments that of ``untrained``, which takes minutes."""
    warnings.filterwarnings("ignore")
    quick = "untrained" in sys.argv
    found: dict[tuple[str, str, str], str] = {}
    for family, task, mode in cells():
        if quick and mode != "full":
            continue
        with tempfile.TemporaryDirectory() as place:
            try:
                said = untrained(family, task, Path(place)) if quick else outcome(family, task, mode, Path(place))
            except Exception as error:
                said = f"{'wrong' if isinstance(error, AssertionError) else 'crash'}: {str(error)[:200]}"
                traceback.print_exc(limit=-2)
        found[family, task, mode] = said
        print(family, task, mode, said, file=sys.stderr, flush=True)
    print(table(found))


def table(found: dict[tuple[str, str, str], str]) -> str:
    """Write outcomes as Markdown: a table for each task, and the sentences of the refusals."""
    lines = []
    for task, every in MODES.items():
        modes = [mode for mode in every if any(cell[1:] == (task, mode) for cell in found)]
        lines += [f"## {task}", "", "| family | " + " | ".join(modes) + " |", "|---" * (len(modes) + 1) + "|"]
        notes: dict[str, int] = {}
        for family in dict.fromkeys(cell[0] for cell in found if cell[1] == task):
            row = []
            for mode in modes:
                word, _, sentence = found[family, task, mode].partition(": ")
                number = notes.setdefault(sentence, len(notes) + 1) if sentence else 0
                row.append(f"{word} ({number})" if number else word)
            lines.append(f"| {family} | " + " | ".join(row) + " |")
        lines += ["", *(f"{number}. {sentence}" for sentence, number in notes.items()), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
