"""Fig. 1: isotropy. Its margin twin, free of the saturation of scores."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures.ranges import MARGIN, draw_ranges

READS = ("isotropy",)


def draw(results: Run) -> Figure:
    """See `epsball.reporting.figures.ranges.draw_ranges`."""
    return draw_ranges(results, "isotropy", MARGIN)
