"""BADGE on whole gradients from autograd, with every distance to every centre recomputed at every pick."""

import numpy as np
import torch


def gradients(model, layer, batches, loss_of_best):
    """The output layer's weight gradient of each example, (N, A H), by one backward pass an example."""
    rows = []
    for batch in batches:
        model.zero_grad()
        loss_of_best(model(**batch.inputs)).backward()
        rows.append(layer.weight.grad.flatten().double().numpy())
    return np.stack(rows)


def loss_of_best(output):
    """Cross-entropy at the model's own answer."""
    return torch.nn.functional.cross_entropy(output.logits, output.logits.argmax(-1))


def pick_probabilities(g, picks):
    """k-means++: what each row's probability of being the next centre is."""
    d2 = np.array([min(((row - g[i]) ** 2).sum() for i in picks) for row in g])
    return d2 / d2.sum()


def choose(g, k, uniforms):
    """k picks: the longest first, then the first row at which the summed probabilities exceed a uniform number."""
    picks = [int(max(range(len(g)), key=lambda i: (g[i] ** 2).sum()))]
    while len(picks) < k:
        u, total = uniforms[len(picks) - 1], 0.0
        for i, p in enumerate(pick_probabilities(g, picks)):
            total += p
            if total > u:
                picks.append(i)
                break
    return picks
