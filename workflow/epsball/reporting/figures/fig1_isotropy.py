"""Fig. 1: isotropy. Range of the score over perturbations of one norm."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures.ranges import SCORE, draw_ranges

READS = ("isotropy",)


def draw(results: Run) -> Figure:
    """See `epsball.reporting.figures.ranges.draw_ranges`."""
    return draw_ranges(results, "isotropy", SCORE)
