"""The judge: the chance that a model's answer is right, from its own confidence and whatever else speaks for it.

It is fitted to answers that did not train the model that gave them, and never to those that measure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

#: Confidences are kept this far from 0 and 1.
EDGE = 1e-4
#: How strongly the judge holds on to the confidence as it is, in labels: few right and wrong answers tell little.
STRENGTH = 4.0
_STEPS = 50


def log_odds(confidence: Floats) -> Floats:
    """Return the log-odds of probabilities, which are kept off 0 and 1."""
    p = np.clip(confidence, EDGE, 1 - EDGE)
    return np.asarray(np.log(p) - np.log1p(-p))


@dataclass(frozen=True)
class Judge:
    """A logistic regression of "the answer is right" on features, the first of which is the confidence's log-odds.

    Attributes:
        bias: Its constant.
        slopes: (K,) one for each feature.
    """

    bias: float
    slopes: tuple[float, ...]

    def __call__(self, features: Floats) -> Floats:
        """Return the chance (n,) that each answer is right, of features (n, K)."""
        return np.asarray(expit(self.bias + sum(s * f for s, f in zip(self.slopes, features.T, strict=True))))


def fit_judge(features: Floats, scores: Floats) -> Judge:
    """Fit a judge by its penalised likelihood: without any answer it is the model's confidence as it is.

    Args:
        features: (n, K); the first is ``log_odds`` of the confidence, the others say how far machines agree.
        scores: (n,) from 0 to 1; 1 where the answer is right.
    """
    start = np.array([0.0, 1.0, *([0.0] * (features.shape[1] - 1))])
    if not len(scores):
        return Judge(0.0, tuple(float(s) for s in start[1:]))
    x = np.column_stack([np.ones(len(scores)), features])
    spread = np.maximum(x.std(0), 1e-3)
    spread[0] = 1.0
    penalty = STRENGTH * spread**2
    theta = start.copy()
    for _ in range(_STEPS):
        p = expit(x @ theta)
        gradient = x.T @ (p - scores) + penalty * (theta - start)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        theta = theta - step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    return Judge(float(theta[0]), tuple(float(s) for s in theta[1:]))
