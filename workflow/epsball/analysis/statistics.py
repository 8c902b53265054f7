"""What stands for a claim: a statistic over samples, its interval, and how two networks are compared by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from epsball.analysis import intervals
from epsball.analysis.intervals import Estimate

Scale = Literal["difference", "ratio"]

#: What two things have that are equal.
EQUAL: dict[Scale, float] = {"difference": 0.0, "ratio": 1.0}

#: The smallest difference of interest, fixed before any run. A ratio of 1.25 is what two drugs may differ by that count
#: as equivalent (FDA, EMA); 0.1 is the paper's band for ρ, and a small correlation in Cohen's terms.
SMALLEST: dict[Scale, float] = {"difference": 0.1, "ratio": 1.25}

Array = NDArray[np.float64]


class Statistic(Protocol):
    """Reduces rows, one for each sample, to an estimate."""

    @property
    def scale(self) -> Scale:
        """Whether two networks are compared by a difference or a ratio."""
        ...

    def estimate(self, rows: Array, level: float) -> Estimate:
        """Estimate it, with an interval at a level."""
        ...

    def compare(self, own: Array, others: Array, level: float) -> Estimate:
        """Estimate how the rows differ from others of the same samples, with an interval at a level."""
        ...


@dataclass(frozen=True)
class Share:
    """The mean of shares."""

    scale: Scale = "difference"

    def estimate(self, rows: Array, level: float) -> Estimate:
        """Estimate the mean share."""
        return intervals.share(rows, level)

    def compare(self, own: Array, others: Array, level: float) -> Estimate:
        """Estimate the mean difference."""
        return intervals.share_difference(own, others, level)


@dataclass(frozen=True)
class Median:
    """The median; two are compared by the median of the differences or ratios of each sample."""

    scale: Scale = "difference"

    def estimate(self, rows: Array, level: float) -> Estimate:
        """Estimate the median."""
        return intervals.median(rows, level)

    def compare(self, own: Array, others: Array, level: float) -> Estimate:
        """Estimate the median of paired differences or ratios, equal ones (also of 0, or infinite) as such."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = own / others if self.scale == "ratio" else own - others
        return intervals.median(np.where(own == others, EQUAL[self.scale], found), level)


MEDIAN = Median()


@dataclass(frozen=True)
class Correlation:
    """A correlation of columns, and what is made of it, which has to rise with it."""

    of: Callable[[Array], Array]  # of rows (..., sample, anything)
    then: Callable[[float], float] = float
    scale: Scale = "difference"

    def estimate(self, rows: Array, level: float) -> Estimate:
        """Estimate the correlation."""
        return Estimate(*map(self.then, intervals.correlation(self.of, rows, level)))

    def compare(self, own: Array, others: Array, level: float) -> Estimate:
        """Estimate the difference of two correlations; both intervals hold together at the level (Bonferroni)."""
        one, other = (self.estimate(rows, (1 + level) / 2) for rows in (own, others))
        return Estimate(one.value - other.value, one.low - other.high, one.high - other.low)
