"""Windows of questions as tensors, and what the scores of their tokens say of every answer span."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dal_nlp.core.categoricals import Categoricals, Ragged
from dal_nlp.core.task import Batch, Example, Feeding, pad
from dal_nlp.pretrained.reading import Wanted, settle
from dal_nlp.tasks.questions import heard
from dal_nlp.tasks.questions.spans import limits, positions


def feeding(
    model: nn.Module, tokenizer: Any, logits: Callable[[Any], Tensor], tokens: int, name: str, known: Feeding | None
) -> Feeding:
    """Find out how a model has to be fed; a window's places count from its left."""

    def read(inputs: Mapping[str, Tensor]) -> list[Tensor]:
        raw = logits(model(**inputs))
        return [row[there.bool()] for row, there in zip(raw, inputs["attention_mask"], strict=True)]

    wanted = Wanted(tokens, ("right",), name=name, pairs=True, all_lengths=True)
    return settle(model, tokenizer, read, wanted, known)


def collate(examples: Sequence[Example], tokenizer: Any, longest: int, unanswerable: bool) -> Batch:
    """Put all windows of the examples below each other, padded to the longest."""
    windows = [(example, w) for example in examples for w in range(example["rows"])]
    names = [name for name in tokenizer.model_input_names if name in examples[0]]
    inputs = {
        name: pad([e[name][w] for e, w in windows], tokenizer.pad_token_id if name == "input_ids" else 0)
        for name in names
    }
    inputs["attention_mask"] = pad([[1] * len(e["input_ids"][w]) for e, w in windows], 0)
    width = inputs["input_ids"].shape[1]
    near, far = limits(examples, width, longest)
    extra = {"near": torch.from_numpy(near), "far": torch.from_numpy(far), **heard.columns(examples, width, longest)}
    extra["null"] = torch.tensor([e["null"][w] for e, w in windows])
    counts = torch.tensor([example["rows"] for example in examples])
    owner = torch.repeat_interleave(torch.arange(len(examples)), counts)
    known = all(example.get("target") is not None for example in examples)
    labels = torch.tensor(positions(examples, width, longest, unanswerable)) if known else None
    return Batch(inputs, owner, len(examples), labels, extra=extra)


def fitted(batch: Batch, model: nn.Module, threshold: str) -> dict[str, Tensor]:
    """Return the threshold of "no answer" in a model's configuration, 0 without one, and the weights of machines."""
    config: Any = model.config
    value = torch.tensor(float(config.to_dict().get(threshold, 0.0)), device=batch.owner.device)
    return {"threshold": value, **heard.weighed(batch, model)}


def span_categoricals(raw: Tensor, batch: Batch, longest: int, unanswerable: bool) -> Ragged:
    """Return log p of every span and of "no answer", from starts and ends (R, T, 2), as rows of 1 + T x L.

    See ``spans`` for the columns. What machines say is added, where the batch has their weights: see ``heard``.
    """
    start, end = raw.float().unbind(-1)
    ends = nn.functional.pad(end, (0, longest - 1)).unfold(1, longest, 1)
    distance = torch.arange(longest, device=raw.device)
    possible = (distance >= batch.extra["near"][..., None]) & (distance < batch.extra["far"][..., None])
    # Not a product with the mask: 0 times infinity has no gradient.
    spans = torch.where(possible, start[..., None] + ends, -torch.inf).flatten(1)
    nothing = _null_scores(start, end, batch) if unanswerable else torch.full_like(start[:, 0], -torch.inf)
    return Ragged.of(heard.add(torch.cat([nothing[:, None], spans], 1), batch), batch.owner, batch.size)


def _null_scores(start: Tensor, end: Tensor, batch: Batch) -> Tensor:
    """Return the score of "no answer" in the first row of each example, -inf in the others, (R,)."""
    position = batch.extra["null"][:, None]
    scores = (start.gather(1, position) + end.gather(1, position))[:, 0]
    least = scores.new_full((batch.size,), torch.inf).scatter_reduce(0, batch.owner, scores, "amin")
    return torch.where(_is_first(batch.owner), least[batch.owner], -torch.inf)


def gold_loss(predicted: Categoricals, labels: Tensor) -> Tensor:
    """Return - log of the gold outcomes' total probability, (B,); 0 where the model could give none of them."""
    log_probs = predicted.log_probs.flatten()
    there = labels >= 0
    gold_log_probs = torch.where(there, log_probs[labels.clamp(min=0)], -torch.inf)
    any_there = there.any(1)
    return -torch.where(any_there[:, None], gold_log_probs, 0.0).logsumexp(1) * any_there


def best_answers(predicted: Categoricals, batch: Batch) -> Iterator[tuple[int, bool, float, float]]:
    """Yield of each example the best span's number, whether "no answer" beats it, and the probabilities of both.

    It beats it where its log-probability is above the span's by more than the threshold of the batch.
    """
    null, best = _null_and_best(predicted, batch)
    log_null, log_best = predicted.at(null)[:, 0], predicted.at(best)[:, 0]
    nothing = (log_null - log_best > batch.extra["threshold"]).tolist()
    p_best, p_null = (log_probs.exp().tolist() for log_probs in (log_best, log_null))
    yield from zip(predicted.numbers(best)[:, 0].tolist(), nothing, p_best, p_null, strict=True)


def null_above_best(predicted: Categoricals, batch: Batch) -> tuple[Tensor, list[int]]:
    """Return log p(no answer) - log p(best span), (B,), on the CPU, and the numbers of those spans."""
    null, best = _null_and_best(predicted, batch)
    return (predicted.at(null) - predicted.at(best))[:, 0].cpu(), predicted.numbers(best)[:, 0].tolist()


def _null_and_best(predicted: Categoricals, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the positions of "no answer" and of the best span, (B, 1) each."""
    null = (_is_first(batch.owner).nonzero() * predicted.log_probs.shape[1]).reshape(-1, 1)
    return null, predicted.without(null).best()


def _is_first(owner: Tensor) -> Tensor:
    """Tell which rows are the first of their example, (R,)."""
    return torch.cat([owner.new_ones(1, dtype=torch.bool), owner[1:] != owner[:-1]])
