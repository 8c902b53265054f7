"""Fig. 3: symmetry. Range of the score over permutations of one perturbation."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.figures.ranges import SCORE, draw_ranges
from epsball.results import Results

READS = ("symmetry",)


def draw(results: Results) -> Figure:
    """See `epsball.figures.ranges.draw_ranges`."""
    return draw_ranges(results, "symmetry", SCORE)
