"""Softmax scores and margins in float64, from a few numbers of each forward pass.

Near 1, saturation hides differences of scores. So the log-odds of the score p are stored, ln(p / (1 - p)): p and 1 - p
follow from them without cancellation, however sure the network is. The margin complements the score.
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
        log_odds: logit less the log-sum-exp of all other logits, float64.
        prediction: class with the highest logit, int64.
    """

    logit: Array
    runner_up_logit: Array
    log_odds: Array
    prediction: NDArray[np.int64]


def summarise(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> Summary:
    """Summarise logits (n, classes) for the right classes (n,)."""
    wide = logits.astype(np.float64)
    rows = np.arange(len(wide))
    others = wide.copy()
    others[rows, labels] = -np.inf
    logit = wide[rows, labels]
    return Summary(logit, others.max(axis=1), logit - special.logsumexp(others, axis=1), wide.argmax(axis=1))


def score(log_odds: Array) -> Array:
    """Return the softmax score of the right class."""
    found: Array = special.expit(log_odds)
    return found


def shortfall(log_odds: Array) -> Array:
    """Return 1 - score, exact however near 1 the score is."""
    found: Array = special.expit(-log_odds)
    return found


def margin(logit: Array, runner_up_logit: Array) -> Array:
    """Return the logit of the right class minus the runner-up logit: negative where misclassified."""
    return logit - runner_up_logit
