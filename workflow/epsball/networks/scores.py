"""Softmax scores and margins in float64, from a few numbers a forward pass leaves behind.

Near 1 a score hides everything in saturation: so logit, best other logit and log-sum-exp are kept, 1 - p comes from
them without cancellation, and the margin stands beside the score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """What is kept of logits, one number an image.

    Attributes:
        logit: of the right class, float64.
        runner_up_logit: the best logit of another class, float64.
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
    """Softmax score of the right class."""
    return np.exp(logit - logsumexp)


def shortfall(logit: Array, logsumexp: Array) -> Array:
    """1 - score, exact where the score is near 1."""
    return -np.expm1(logit - logsumexp)


def margin(logit: Array, runner_up_logit: Array) -> Array:
    """Logit of the right class less the best other one: negative where misclassified."""
    return logit - runner_up_logit
