"""Softmax scores and margins in float64, from a few numbers a forward pass leaves behind.

Near 1 a score hides everything in saturation: so logit, best other logit and log-sum-exp are kept, 1 - p comes from
them without cancellation, and the margin stands beside the score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


class Summary(NamedTuple):
    """What is kept of logits, one number an image.

    Attributes:
        logit: of the right class, float64.
        other: the best logit of another class, float64.
        lse: log-sum-exp of all logits, float64.
        prediction: class with the highest logit, int64.
    """

    logit: Array
    other: Array
    lse: Array
    prediction: NDArray[np.int64]


def summarise(logits: Tensor, labels: Tensor) -> Summary:
    """Summarise logits (n, classes) for the right classes (n,)."""
    wide = logits.double()
    right = wide.gather(1, labels[:, None])[:, 0]
    others = wide.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    arrays = (right, others, wide.logsumexp(dim=1), wide.argmax(dim=1))
    return Summary(*(array.numpy() for array in arrays))


def score(logit: Array, lse: Array) -> Array:
    """Softmax score of the right class."""
    return np.exp(logit - lse)


def shortfall(logit: Array, lse: Array) -> Array:
    """1 - score, exact where the score is near 1."""
    return -np.expm1(logit - lse)


def margin(logit: Array, other: Array) -> Array:
    """Logit of the right class less the best other one: negative where misclassified."""
    return logit - other
