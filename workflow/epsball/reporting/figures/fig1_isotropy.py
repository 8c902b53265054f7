"""Fig. 1, isotropy: range of the score over perturbations of one norm."""

from functools import partial

from epsball.reporting.figures.ranges import SCORE, draw_ranges

READS = ("isotropy",)

draw = partial(draw_ranges, probe="isotropy", quantity=SCORE)
