"""Fig. 1, isotropy: its margin twin, free of the saturation of scores."""

from functools import partial

from epsball.reporting.figures.ranges import MARGIN, draw_ranges

READS = ("isotropy",)

draw = partial(draw_ranges, probe="isotropy", quantity=MARGIN)
