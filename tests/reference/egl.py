"""Expected gradient length by autograd: one backward pass for every example and class."""

import torch


def expected_lengths(model, layer, batches):
    """sum_y p_y |d(-log p_y) / d weight| of each example."""
    scores = []
    for batch in batches:
        logits = model(**batch.inputs).logits[0]
        probs = logits.softmax(-1)
        score = 0.0
        for y in range(len(logits)):
            (gradient,) = torch.autograd.grad(-logits.log_softmax(-1)[y], layer.weight, retain_graph=True)
            score += probs[y].item() * gradient.norm().item()
        scores.append(score)
    return scores
