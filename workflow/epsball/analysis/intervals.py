"""Intervals over samples, at any level: exact or conservative where that can be, by the jackknife for correlations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95

_AT_ONCE = 50  # samples that are left out in turn, by memory

# SciPy's statistics take half a second to import, in the job of each figure: they are imported where they are needed.


class Estimate(NamedTuple):
    """A number and its interval."""

    value: float
    low: float
    high: float


def share(shares: ArrayLike, level: float = LEVEL) -> Estimate:
    """Estimate a mean share, with the interval of Clopper and Pearson (Biometrika 1934) for the sum of the shares.

    It is exact where each share is 0 or 1. Where they lie between, they vary less than that with the same mean, and the
    interval is too wide rather than too narrow; the documentation has its coverage.

    Args:
        shares: (sample,), each from 0 to 1.
        level: of the interval.
    """
    from scipy.stats import beta

    each = np.asarray(shares, dtype=float)
    held, missed, tail = float(each.sum()), float((1 - each).sum()), (1 - level) / 2
    low = float(beta.ppf(tail, held, missed + 1)) if held > 0 else 0.0
    high = float(beta.ppf(1 - tail, held + 1, missed)) if missed > 0 else 1.0
    return Estimate(float(each.mean()), low, high)


def share_difference(own: ArrayLike, others: ArrayLike, level: float = LEVEL) -> Estimate:
    """Estimate the mean difference of two shares of the same samples.

    The interval is of the mean rise less that of the mean fall, each a share at a level at which both hold together
    (Bonferroni). Samples on which both agree say how rare a difference is, not that there is none.

    Args:
        own: (sample,), each from 0 to 1.
        others: the same of what it is compared with.
        level: of the interval.
    """
    differences = np.asarray(own, dtype=float) - np.asarray(others, dtype=float)
    rise, fall = (share(np.maximum(part, 0), (1 + level) / 2) for part in (differences, -differences))
    return Estimate(float(differences.mean()), rise.low - fall.high, rise.high - fall.low)


def median(values: ArrayLike, level: float = LEVEL) -> Estimate:
    """Estimate a median, with the exact interval between two of the values (`scipy.stats.quantile_test`).

    Where there are too few values for the level, fewer than six at 95%, the interval is everything.

    Args:
        values: (sample,), which may be infinite.
        level: of the interval.
    """
    from scipy.stats import quantile_test

    each = np.asarray(values, dtype=float)
    # Between two infinite values there is no number.
    middle = float(np.quantile(each, 0.5, method="linear" if np.isfinite(each).all() else "inverted_cdf"))
    found: Any = quantile_test(each, q=middle, p=0.5).confidence_interval(level)
    low, high = float(found.low), float(found.high)
    return Estimate(middle, -np.inf if np.isnan(low) else low, np.inf if np.isnan(high) else high)


def correlation(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    rows: NDArray[np.float64],
    level: float = LEVEL,
) -> Estimate:
    """Estimate a correlation, with an interval by the jackknife of Fisher's z over samples (Efron & Stein 1981).

    The standard error is never below 1 / n: samples in perfect order do not make it 0. Of a correlation that is not a
    number, nor is the interval.

    Args:
        statistic: returns the correlations, from -1 to 1, (...) of rows (..., sample, anything).
        rows: (sample, anything).
        level: of the interval.
    """
    from scipy.stats import t

    size = len(rows)
    value = float(statistic(rows))
    if size <= 3 or np.isnan(value):
        return Estimate(value, *((-1.0, 1.0) if size <= 3 else (np.nan, np.nan)))
    others = np.array([np.delete(np.arange(size), place) for place in range(size)])
    parts = np.array_split(others, -(-size // _AT_ONCE))
    without = np.nan_to_num(np.concatenate([statistic(rows[part]) for part in parts]))
    largest = 1 - size**-2  # z of 1 is infinite
    z, each = (np.arctanh(np.clip(found, -largest, largest)) for found in (value, without))
    error = max(np.sqrt((size - 1) * np.var(each)), 1 / size)
    reach = float(t.ppf((1 + level) / 2, size - 1)) * error
    # The estimate may be beyond the largest.
    return Estimate(value, min(float(np.tanh(z - reach)), value), max(float(np.tanh(z + reach)), value))
