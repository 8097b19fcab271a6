"""Discriminative active learning: what a classifier can tell apart from the labeled examples."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from dal_nlp.core.rng import torch_seeded
from dal_nlp.models.pool import Pool
from dal_nlp.models.vectors import Array, Positions
from dal_nlp.strategies import probes
from dal_nlp.strategies.base import Selection, Strategy
from dal_nlp.strategies.clustering import sq_norms
from dal_nlp.strategies.selectors import Scores, top_k

#: Unlabeled examples for each labeled one while the classifier is trained.
RATIO = 10
#: Accuracy in training at which it ends, so that it does not learn single examples by heart.
ENOUGH = 0.98


@dataclass(frozen=True)
class Discriminative(Strategy):
    """The examples that look least like labeled ones to a classifier of labeled against unlabeled.

    A perceptron of three layers of 256 learns on the embeddings whether an example is labeled; the largest
    P(unlabeled | x) are chosen. The batch is chosen in parts: what one part chose counts as labeled for the next, and
    the classifier is trained anew. A score is log P(unlabeled | x) - log P(labeled | x) by its part's classifier.

    Reads: embedding (of the labeled examples too).
    Cost: one pass and one over the labeled examples, then seconds: training on at most 11 L embeddings and O(N H) for
        each part. N x H numbers in memory.
    Tasks: all.
    Reference: Gissin and Shalev-Shwartz (2019), Discriminative active learning, section 3.
    Deviations: training ends after ``steps`` of Adam at the latest (the authors' code goes on for hundreds of epochs);
        embeddings are moved to mean 0 and scaled by one number to mean square 1, so that this is enough.

    Attributes:
        parts: In so many parts the batch is chosen; k where k is smaller.
        steps: At most so many steps of 256 examples for each part.
    """

    reads_states: ClassVar[bool] = True

    parts: Annotated[int, Field(ge=1)] = 10
    steps: Annotated[int, Field(ge=1)] = 200

    def select(self, pool: Pool, k: int, rng: np.random.Generator) -> Selection:
        """Choose k in parts; raises ``Unsupported`` where nothing is labeled yet."""
        (labeled,) = pool.labeled.collect(probes.embedding)
        (x,) = pool.collect(probes.embedding)
        return discriminate(x, labeled, k, self.parts, self.steps, rng)


@dataclass(frozen=True)
class Scale:
    """Moves rows to mean 0 and scales them, all numbers alike, to mean square 1.

    Embeddings share a large mean, beside which a classifier learns the differences slowly.
    """

    mean: Array
    factor: np.float32

    @classmethod
    def of(cls, x: Array) -> "Scale":
        """Measure x (N, H); raises ``BrokenModelError`` on NaN or infinity."""
        square, mean = sq_norms(x).mean() / x.shape[1], x.mean(0)
        variance = square - np.square(mean).mean()
        # Equal rows differ by rounding only, and that must not be blown up.
        return cls(mean, np.float32(1 / np.sqrt(max(variance, 1e-6 * square, np.finfo(x.dtype).tiny))))

    def apply(self, x: Array) -> Array:
        """Move and scale rows, (n, H)."""
        return (x - self.mean) * self.factor


def discriminate(x: Array, labeled: Array, k: int, parts: int, steps: int, rng: np.random.Generator) -> Selection:
    """Choose k rows of x (N, H) that are easiest to tell from the labeled rows (L, H).

    Raises:
        BrokenModelError: A row holds NaN or infinity.
    """
    sq_norms(labeled)  # raises where one is not finite
    scale = Scale.of(x)
    chosen = Selection(np.empty(0, dtype=np.int64), np.empty(0, dtype=x.dtype))
    for size in [len(part) for part in np.array_split(np.arange(k), min(parts, k))]:
        rest = np.setdiff1d(np.arange(len(x)), chosen.positions)
        like = np.concatenate([labeled, x[chosen.positions]])
        drawn = rng.choice(rest, min(len(rest), RATIO * len(like)), replace=False)
        with torch_seeded(int(rng.integers(2**63))):
            classifier = train(scale.apply(like), scale.apply(x[drawn]), steps, rng)
        best = top_k(log_odds(classifier, x, rest, scale), size, rng)
        positions = np.concatenate([chosen.positions, rest[best.positions]])
        chosen = Selection(positions, np.concatenate([chosen.scores, best.scores]))
    return chosen


def train(labeled: Array, unlabeled: Array, steps: int, rng: np.random.Generator) -> nn.Module:
    """Train a classifier whose output, (B, 1), is the log-odds of being unlabeled, from torch's present state."""
    width = labeled.shape[1]
    sizes = [(width, 256), (256, 256), (256, 256)]
    hidden = [layer for i, o in sizes for layer in (nn.Linear(i, o), nn.ReLU())]
    classifier = nn.Sequential(*hidden, nn.Linear(256, 1))
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    inputs = torch.from_numpy(np.concatenate([labeled, unlabeled]))
    targets = torch.cat([torch.zeros(len(labeled)), torch.ones(len(unlabeled))])  # in the order of the inputs
    while steps > 0:
        right = 0
        order = rng.permutation(len(inputs))
        for start in range(0, len(order), 256)[:steps]:
            batch = torch.from_numpy(order[start : start + 256])
            outputs = classifier(inputs[batch])[:, 0]
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.binary_cross_entropy_with_logits(outputs, targets[batch]))
            optimizer.step()
            right += int(((outputs > 0) == (targets[batch] > 0)).sum())
            steps -= 1
        if right >= ENOUGH * len(inputs):
            break
    return classifier


def log_odds(classifier: nn.Module, x: Array, rows: Positions, scale: "Scale") -> Scores:
    """Return the log-odds of being unlabeled of some rows of x (N, H), (len(rows),)."""
    with torch.inference_mode():
        outputs: list[Tensor] = [
            classifier(torch.from_numpy(scale.apply(x[part])))[:, 0]
            for part in np.array_split(rows, len(rows) // 4096 + 1)
        ]
    return np.asarray(torch.cat(outputs).numpy())
