"""Fig. 3, symmetry: range of the score over permutations of one perturbation."""

from functools import partial

from epsball.reporting.figures.ranges import SCORE, draw_ranges

READS = ("symmetry",)

draw = partial(draw_ranges, probe="symmetry", quantity=SCORE)
