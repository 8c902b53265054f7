"""Intervals over samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95


class Estimate(NamedTuple):
    """A number and its 95% interval."""

    value: float
    low: float
    high: float


def share(successes: ArrayLike) -> Estimate:
    """Estimate the share of samples for which something holds, with the exact interval of Clopper and Pearson.

    Args:
        successes: boolean (sample,).
    """
    from scipy.stats import binomtest  # takes half a second to import, in the job of each figure

    held = np.asarray(successes, dtype=bool)
    interval = binomtest(int(held.sum()), held.size).proportion_ci(LEVEL, method="exact")
    return Estimate(float(held.mean()), float(interval.low), float(interval.high))


def bootstrap(size: int, statistic: Callable[[np.ndarray], float], resamples: int, seed: int) -> Estimate:
    """Estimate a statistic, with a percentile bootstrap interval over samples.

    Args:
        size: number of samples.
        statistic: returns the estimate from indices of samples, which may repeat.
        resamples: number of resamples.
        seed: seed of the resampling.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, size, (resamples, size))
    values = [statistic(numbers) for numbers in drawn]
    tail = (1 - LEVEL) / 2
    # Not interpolated: between two infinite values there is no number.
    low, high = np.quantile(values, (tail, 1 - tail), method="inverted_cdf")
    return Estimate(float(statistic(np.arange(size))), float(low), float(high))
