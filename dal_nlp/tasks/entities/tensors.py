"""Windows of texts as tensors, and what the scores of their tokens say of every word.

A word is told by the first token that lies in it, in the window where that has the most tokens on both sides.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dal_nlp.core.categoricals import Categoricals
from dal_nlp.core.task import Batch, Example, Feeding, pad
from dal_nlp.pretrained.reading import Wanted, settle
from dal_nlp.readers.entities.tags import BEGIN, END, split_tag
from dal_nlp.tasks.entities import heard

#: The label of a word that does not count in the loss.
UNREAD = -100
#: Words of a text, those of which the model is least sure, whose gradients stand for it.
LEAST_CONFIDENT = 3


def feeding(
    model: nn.Module, tokenizer: Any, logits: Callable[[Any], Tensor], tokens: int, name: str, known: Feeding | None
) -> Feeding:
    """Find out how a model has to be fed; the places of words count from the left of a window."""

    def read(inputs: Mapping[str, Tensor]) -> list[Tensor]:
        raw = logits(model(**inputs))
        return [row[there.bool()] for row, there in zip(raw, inputs["attention_mask"], strict=True)]

    return settle(model, tokenizer, read, Wanted(tokens, ("right",), name=name, all_lengths=True), known)


def collate(examples: Sequence[Example], tokenizer: Any, tags: Sequence[str]) -> Batch:
    """Put all windows of the examples below each other, padded to the longest, with the places of their words.

    ``extra`` has (B, F) each: "rows" and "places", where a word is told, and "read", whether it is told at all.
    """
    windows = [(example, w) for example in examples for w in range(example["rows"])]
    names = [name for name in tokenizer.model_input_names if name in examples[0]]
    inputs = {
        name: pad([e[name][w] for e, w in windows], tokenizer.pad_token_id if name == "input_ids" else 0)
        for name in names
    }
    inputs["attention_mask"] = pad([[1] * len(e["input_ids"][w]) for e, w in windows], 0)
    counts = torch.tensor([example["rows"] for example in examples])
    owner = torch.repeat_interleave(torch.arange(len(examples)), counts)
    first = counts.cumsum(0) - counts
    rows = pad([example["word_rows"] for example in examples], -1)
    read = rows >= 0
    extra = {
        "rows": (rows + first[:, None]).where(read, 0),
        "places": pad([example["word_places"] for example in examples], 0).where(read, 0),
        "read": read,
        **heard.columns(examples, tags),
    }
    labels = None
    if all(example.get("target") is not None for example in examples):
        numbers = {tag: i for i, tag in enumerate(tags)}
        labels = pad([[numbers[tag] for tag in example["target"]["tags"]] for example in examples], UNREAD)
        labels = labels.where(read, UNREAD)
    return Batch(inputs, owner, len(examples), labels, extra=extra)


def word_categoricals(raw: Tensor, batch: Batch, tags: Sequence[str]) -> Categoricals:
    """Return log p of every tag of every word, (B, F, C), of the scores of tokens (R, T, C); the mean is the value.

    What machines say is added, where the batch has their weights: see ``heard``.
    """
    scores = raw[batch.extra["rows"], batch.extra["places"]].float()
    log_probs = heard.add(scores, batch).log_softmax(-1)
    parts = entities_of(log_probs.argmax(-1), batch.extra["read"], tags)
    return Categoricals(log_probs, batch.extra["read"], "mean", parts=parts, least_confident=LEAST_CONFIDENT)


def entities_of(best: Tensor, read: Tensor, tags: Sequence[str]) -> Tensor:
    """Return the number of the entity that each word is in by its tag (B, F), -1 for none; see ``decode_tags``."""
    split = [split_tag(tag) for tag in tags]
    names = {label: i for i, label in enumerate(dict.fromkeys(label for _, label in split if label))}
    label = torch.tensor([names.get(label, -1) for _, label in split], device=best.device)[best].where(read, -1)
    opens = torch.tensor([prefix in BEGIN for prefix, _ in split], device=best.device)[best]
    ends = torch.tensor([prefix in END for prefix, _ in split], device=best.device)[best]
    before = torch.nn.functional.pad(label[:, :-1], (1, 0), value=-1)
    ended = torch.nn.functional.pad(ends[:, :-1], (1, 0), value=False)
    first = (label >= 0) & (opens | ended | (label != before))
    return torch.where(label >= 0, first.long().cumsum(1) - 1, -1)


def word_loss(predicted: Categoricals, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of each example's words, (B,); 0 where none is read."""
    return -predicted.over_factors(predicted.at(labels.clamp(min=0)))


def best_tags(predicted: Categoricals, tags: Sequence[str], words: Sequence[int]) -> list[tuple[list[str], float]]:
    """Return of each example the likeliest tag of each of its words, and the probability that all of these are right.

    A word that the model does not read is in no entity.
    """
    best = predicted.best()
    log_p = torch.where(predicted.mask, predicted.at(best), 0.0).sum(1).exp().tolist()
    numbers = torch.where(predicted.mask, best, 0).tolist()
    return [([tags[n] for n in row[:count]], p) for row, count, p in zip(numbers, words, log_p, strict=True)]
