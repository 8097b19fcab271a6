"""What becomes of each family of models under each task and way to train: right, or refused before the first query.

``python -m tests.models.matrix`` prints the table of ``docs/models.md``.
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
from transformers import AutoModelForQuestionAnswering, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification
from transformers import AutoTokenizer as Tokenizers

import dal_nlp
from dal_nlp.core.config import ScoringConfig
from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import generator
from dal_nlp.models.loading import output_layer
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Dense
from dal_nlp.strategies.badge import Badge
from dal_nlp.workflows.predict import open_run
from tests import tiny
from tests.models import families

#: The ways to train a task, and the families that are no model of its kind and still belong in its table.
MODES = {"classification": ("full", "head", "lora"), "qa": ("full", "lora"), "summarization": ("full", "lora")}
ALSO = {
    "classification": ("blenderbot-small", "longt5", "marian", "pegasus"),
    "qa": (),
    "summarization": ("bert", "roberta", "electra", "ernie", "rembert", "roformer", "camembert", "xlm-roberta",
                      "big_bird", "megatron-bert", "xlm", "reformer", "distilbert", "gpt2", "xlnet"),
}  # fmt: skip
AUTO: dict[str, Any] = {
    "classification": AutoModelForSequenceClassification,
    "qa": AutoModelForQuestionAnswering,
    "summarization": AutoModelForSeq2SeqLM,
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
            max_length=40,
            task_options=options.get(task, {}),
            task=task,
            strategy="entropy",
            initial=6,
            query_size=4,
            rounds=1,
            training={"mode": mode, "min_steps": 2, "epochs": 0.1, "batch_size": 6, "learning_rate": 0.01},
        )
        dal_nlp.run(config, quiet=True)
    except UserError as error:
        ledger = folder / "run" / "ledger.jsonl"
        assert not ledger.is_file() or '"event": "query"' not in ledger.read_text(), f"too late: {error}"
        return f"refused: {str(error).replace(str(folder / 'models'), '').lstrip('/')}"
    _check_run(task, folder / "run", folder)
    return "ok"


def _data(task: str, folder: Path) -> dict[str, str]:
    rows: dict[str, Any] = {
        "classification": tiny.sentences,
        "qa": lambda n, seed: tiny.questions(n, seed, words=24),
        "summarization": lambda n, seed: tiny.documents(n, seed, words=24),
    }
    return {
        "data": tiny.write(folder / "pool.jsonl", rows[task](20, 1)),
        "test": tiny.write(folder / "test.jsonl", rows[task](8, 2)),
    }


def _check_run(task: str, run_folder: Path, folder: Path) -> None:
    """Compare what a run's model says in batches with itself alone, and with ``from_pretrained(model/)``."""
    run = open_run(run_folder, Silent())
    model = run.load()
    rows = [{"id": str(i), **run.task.read(row)} for i, row in enumerate(_rows(task))]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    data = Dataset.from_dict({**columns, **run.task.encode(columns)})
    answers = []
    for size in (16, 1):
        scoring = ScoringConfig(batch_size=size)
        answers.append(Pool(data, model, run.task, run.pool(model, rows)._draws, scoring).predict())
    together, alone = answers
    assert [a.target for a in together] == [a.target for a in alone], "batched answers are others"
    np.testing.assert_allclose([a.confidence for a in together], [a.confidence for a in alone], atol=1e-4)
    saved = AUTO[task].from_pretrained(run_folder / "model").eval()
    tokenizer = Tokenizers.from_pretrained(run_folder / "model")
    if task == "classification":
        _check_classifier(saved, tokenizer, [row["text"] for row in rows], together)
    elif task == "qa":
        for i, example in enumerate(data):
            batch = run.task.collate([{**example, "target": None}])
            with torch.no_grad():
                ours, theirs = model(**batch.inputs), saved(**batch.inputs)
            torch.testing.assert_close(ours.start_logits, theirs.start_logits, rtol=1e-4, atol=1e-4)
            text = run.task.predict(_forward(model, run.task, batch, example))[0].target
            assert text == together[i].target, "the answer is another one"
    else:
        for row, answer in zip(rows, together, strict=True):
            inputs = tokenizer(row["document"], truncation=True, max_length=40, return_tensors="pt")
            named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            text = tokenizer.batch_decode(saved.generate(**named), skip_special_tokens=True)[0].strip()
            assert text == answer.target, f"from_pretrained writes {text!r}, the run {answer.target!r}"


def _rows(task: str) -> Sequence[Any]:
    made: dict[str, Any] = {"classification": tiny.sentences, "qa": tiny.questions, "summarization": tiny.documents}
    more = {} if task == "classification" else {"words": 24}
    rows: Sequence[Any] = made[task](12, 7, **more)
    return rows


def _forward(model: Any, task: Any, batch: Any, example: Any) -> Any:
    from dal_nlp.core.config import DrawsConfig
    from dal_nlp.models.forward import Forward
    from dal_nlp.models.mc_dropout import make_draws

    return Forward(model, task, batch, [{**example, "target": None}], make_draws(DrawsConfig(), 0, 0), 64)


def _check_classifier(model: Any, tokenizer: Any, texts: Sequence[str], answers: Sequence[Any]) -> None:
    """Compare answers, and the picks of entropy and BADGE, with single texts through the model itself."""
    names = set(tokenizer.model_input_names)
    logits, gradients = [], []
    weight = output_layer(model, 2).weight
    for text in texts:
        inputs = {name: value for name, value in tokenizer(text, return_tensors="pt").items() if name in names}
        row = model(**inputs).logits
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(row, row.argmax(-1)), weight)
        logits.append(row.detach())
        gradients.append(gradient.flatten())
    probabilities = torch.cat(logits).softmax(-1)
    for answer, row in zip(answers, probabilities, strict=True):
        assert answer.target == model.config.id2label[int(row.argmax())], "the label is another one"
        assert abs(answer.confidence - float(row.max())) < 1e-4, "the confidence is another one"
    entropies = torch.distributions.Categorical(probs=probabilities).entropy().numpy()
    picked = dal_nlp.select(model, tokenizer, texts, 4, strategy="entropy")
    np.testing.assert_allclose(picked.scores, np.sort(entropies)[::-1][:4], atol=1e-4)
    badge = dal_nlp.select(model, tokenizer, texts, 4, strategy="badge")
    direct = Badge().select(_Measured(Dense(torch.stack(gradients).numpy())), 4, generator(0, 0, "choose"))  # type: ignore[arg-type]
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
    """Print the table."""
    warnings.filterwarnings("ignore")
    found: dict[tuple[str, str, str], str] = {}
    for cell in cells():
        with tempfile.TemporaryDirectory() as place:
            try:
                found[cell] = outcome(*cell, Path(place))
            except Exception as error:
                found[cell] = f"{'wrong' if isinstance(error, AssertionError) else 'crash'}: {str(error)[:200]}"
                traceback.print_exc(limit=-2)
        print(*cell, found[cell], file=sys.stderr, flush=True)
    print(table(found))


def table(found: dict[tuple[str, str, str], str]) -> str:
    """Write outcomes as Markdown: a table for each task, and the sentences of the refusals."""
    lines = []
    for task, modes in MODES.items():
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
