"""Softmax scores and margins in float64, from a few numbers of each forward pass.

Near 1, saturation hides differences of scores. So logit, runner-up logit and log-sum-exp are stored: 1 - p follows from
them without cancellation, and the margin complements the score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """Summary of logits, one number an image.

    Attributes:
        logit: logit of the right class, float64.
        runner_up_logit: highest logit of another class, float64.
        logsumexp: log-sum-exp of all logits, float64.
        prediction: class with the highest logit, int64.
    """

    logit: Array
    runner_up_logit: Array
    logsumexp: Array
    prediction: NDArray[np.int64]


def summarise(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> Summary:
    """Summarise logits (n, classes) for the right classes (n,)."""
    wide = logits.astype(np.float64)
    rows = np.arange(len(wide))
    others = wide.copy()
    others[rows, labels] = -np.inf
    return Summary(wide[rows, labels], others.max(axis=1), special.logsumexp(wide, axis=1), wide.argmax(axis=1))


def score(logit: Array, logsumexp: Array) -> Array:
    """Return the softmax score of the right class."""
    return np.exp(logit - logsumexp)


def shortfall(logit: Array, logsumexp: Array) -> Array:
    """Return 1 - score, exact where the score is near 1."""
    return -np.expm1(logit - logsumexp)


def margin(logit: Array, runner_up_logit: Array) -> Array:
    """Return the logit of the right class minus the runner-up logit: negative where misclassified."""
    return logit - runner_up_logit
