"""Fig. 3: symmetry. Range of the score over permutations of one perturbation."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures.ranges import SCORE, draw_ranges

READS = ("symmetry",)


def draw(results: Run) -> Figure:
    """See `epsball.reporting.figures.ranges.draw_ranges`."""
    return draw_ranges(results, "symmetry", SCORE)
