"""From which probability on a label is given: one threshold a label, fitted to F1.

Letters: N examples, F labels.
"""

import numpy as np
from numpy.typing import NDArray

from dal_nlp.tasks.multilabel.measures import Bits

Floats = NDArray[np.floating]

DEFAULT = 0.5
#: Examples with a label, and without it, that its own threshold takes; with fewer it has that of all labels together.
#: One threshold for all is the best for micro F1 if probabilities are right (Koyejo et al., 2015), one a label for
#: macro F1. Own ones from 10 examples on cost up to .07 of micro F1 on GoEmotions and gained up to .01 of macro F1.
LEAST = 40


def best_threshold(probabilities: Floats, truth: Bits) -> float:
    """Return the threshold with the largest F1 of ``p > threshold``; of several such the one nearest to .5.

    Between two neighbouring probabilities all thresholds decide the same, so their middle stands for them.

    Args:
        probabilities: Of any shape.
        truth: 1 or 0, of the same shape; .5 is returned where all are 0.
    """
    p, y = probabilities.ravel().astype(np.float64), truth.ravel()
    if not y.any():
        return DEFAULT
    order = np.argsort(-p, kind="stable")
    p, hits = p[order], np.cumsum(y[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + y.sum())
    below = np.append(p[1:], 0.0)
    cuts = (p + below) / 2
    ends = p > below  # what is equal is given together
    best = f1[ends].max(initial=0.0)
    best_cuts = cuts[ends & (f1 >= best - 1e-12)]
    return float(best_cuts[np.argmin(np.abs(best_cuts - DEFAULT))]) if len(best_cuts) else DEFAULT


def fit_thresholds(probabilities: Floats, truth: Bits) -> list[float]:
    """Return a threshold for each label: its own where there are enough examples, else that of all labels together.

    A label that three examples have would get a threshold that fits these three and no others.

    Args:
        probabilities: (N, F) of examples that neither train nor test.
        truth: (N, F) which labels they have.
    """
    shared = best_threshold(probabilities, truth)
    return [
        best_threshold(p, y) if min(y.sum(), len(y) - y.sum()) >= LEAST else shared
        for p, y in zip(probabilities.T, truth.T, strict=True)
    ]
