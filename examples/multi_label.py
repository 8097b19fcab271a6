"""Multi-label classification as a task of one's own: any number of labels a text, in a column of lists or with commas.

In this folder: dal-nlp run --task multi_label:MultiLabel --train full --data a.jsonl --test b.jsonl --oracle file
"""
# ruff: noqa: D101, D102, D103 - what the methods are for is said where they are declared

import json
from typing import Any, ClassVar

import torch

from dal_nlp.answer_formats.label import LabelFormat, button_data, numbered
from dal_nlp.answer_formats.studio import texts_of, values_of
from dal_nlp.core.answer_format import AgreementMeasure, TerminalPrompt, Widget
from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.task import Capability, Prediction, Task
from dal_nlp.tasks.classification import Classification
from dal_nlp.tasks.metrics import accuracy, bootstrap

NONE = "none"  # what is written for a text without any label


def split(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else json.loads(value) if value.startswith("[") else value.split(",")
    return sorted({part.strip() for part in parts} - {NONE})


def micro_f1(first: Any, second: Any) -> float:
    shared = sum(len({*one} & {*other}) for one, other in zip(first, second, strict=True))
    count = sum(map(len, [*first, *second]))
    return 2 * shared / count if count else 1.0


class LabelsFormat(LabelFormat):
    studio_choice, classes = "multiple", ()

    def parse_answer(self, typed: str, example: Any) -> list[str]:
        return sorted({self.label_meant(part) for part in split(typed.strip())})

    def format_answer(self, target: list[str], example: Any) -> str:
        return json.dumps(target) if "," in "".join(target) else ", ".join(target) or NONE

    def labels_of(self, target: list[str]) -> list[str]:
        return target

    def sheet_hint(self) -> str:
        return f"{super().sheet_hint()}; several labels with commas between, {NONE} for no label"

    def terminal(self, by_key: bool) -> TerminalPrompt:
        how = f"Type labels or their numbers with commas between, or {NONE}"
        return TerminalPrompt(how, numbered(self.labels, False), separator=",")

    def widget(self) -> Widget:
        return Widget("labels", {**button_data(self.labels), "none": NONE})

    def shown_value(self, target: list[str]) -> dict[str, Any]:
        return {"labels": target}

    def read_studio_results(self, results: Any, example: Any, control: str) -> str:
        return self.format_answer(sorted(texts_of(values_of(results, control), "choices")), example)


class MultiLabel(Classification):
    metrics: ClassVar = ("micro_f1", "exact_match")
    capabilities: ClassVar = frozenset({Capability.DRAWS})
    may_collapse: ClassVar = False
    breakdown, collapsed, target, weights = Task.breakdown, Task.collapsed, Task.target, Task.weights

    @property
    def answer_format(self) -> LabelsFormat:
        return LabelsFormat(self.labels, AgreementMeasure("micro F1", micro_f1))

    def read_target(self, row: Any) -> list[str] | None:
        value = row.get(self.answer_column(row))
        return None if value is None or value == "" else split(value)

    def check(self, target: list[str], fields: Any) -> None:
        self.answer_format.parse_answer(json.dumps(target), fields)

    def learn_labels(self, targets: Any) -> None:
        super().learn_labels(label for target in targets for label in target)

    def collate(self, examples: Any) -> Any:
        batch, targets = super().collate([{**e, "target": None} for e in examples]), [e.get("target") for e in examples]
        if None not in targets:
            batch.labels = torch.tensor([[label in target for label in self.labels] for target in targets]).long()
        return batch

    def categoricals(self, raw: torch.Tensor, batch: Any) -> Categoricals:
        there = self.text_logits(raw, batch)  # (B, labels); a label that is not there scores 0
        return Categoricals(torch.stack([0 * there, there], -1).log_softmax(-1), torch.ones_like(there).bool(), "sum")

    def loss(self, raw: torch.Tensor, batch: Any) -> torch.Tensor:
        return -self.categoricals(raw, batch).at(batch.labels).sum(1)

    def predict(self, predicted: Any, batch: Any, examples: Any) -> list[Prediction]:
        best = predicted.best()
        chosen = [[label for label, there in zip(self.labels, row, strict=True) if there] for row in best.tolist()]
        return [Prediction(sorted(y), p) for y, p in zip(chosen, predicted.at(best).sum(1).exp().tolist(), strict=True)]

    def evaluate(self, predictions: Any, targets: Any) -> dict[str, float]:
        return {"micro_f1": micro_f1(predictions, targets), "exact_match": accuracy(predictions, targets)}

    def intervals(self, predictions: Any, targets: Any, rng: Any) -> dict[str, list[float]]:
        of = {"micro_f1": micro_f1, "exact_match": accuracy}
        return {name: list(bootstrap(predictions, targets, value, rng, n=300)) for name, value in of.items()}
