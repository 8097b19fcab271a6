"""Learning loss in plain Python, number by number."""


def pairwise(predicted, losses, margin=1.0):
    """Mean hinge over the pairs of a batch and its mirror image; the last of an odd batch has no partner."""
    size = len(predicted) - len(predicted) % 2
    terms = []
    for i in range(size // 2):
        j = size - 1 - i
        sign = 1 if losses[i] > losses[j] else -1
        terms.append(max(0.0, margin - sign * (predicted[i] - predicted[j])))
    return sum(terms) / len(terms) if terms else 0.0


def predict(weights, hidden):
    """The head on one example's four vectors, from its named weights as nested lists."""
    units = []
    for i, vector in enumerate(hidden):
        for row, bias in zip(weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"], strict=True):
            units.append(max(0.0, bias + sum(w * x for w, x in zip(row, vector, strict=True))))
    return weights["out.bias"][0] + sum(w * u for w, u in zip(weights["out.weight"][0], units, strict=True))
