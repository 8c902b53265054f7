"""Fig. 3, symmetry: its margin twin, free of the saturation of scores."""

from functools import partial

from epsball.reporting.figures.ranges import MARGIN, draw_ranges

READS = ("symmetry",)

draw = partial(draw_ranges, probe="symmetry", quantity=MARGIN)
