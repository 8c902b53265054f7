"""Fig. 1: isotropy. Range of the score over perturbations of one norm."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.figures.ranges import SCORE, draw_ranges
from epsball.results import Results

READS = ("isotropy",)


def draw(results: Results) -> Figure:
    """See `epsball.figures.ranges.draw_ranges`."""
    return draw_ranges(results, "isotropy", SCORE)
