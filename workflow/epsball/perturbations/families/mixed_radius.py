"""Not in the paper: the directions of Eq. 4 at norms spread evenly from 0 to r, so that distances vary.

At one norm, all distances between draws agree within a percent, and their correlations say little.
"""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations import philox
from epsball.perturbations.ball import Draws

KEEPS_FEATURES = True
LARGEST_ONLY = True
STREAMS = (3, 4)  # directions and norms


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    words = philox.random_bits(draws.seed, STREAMS[1], draws.radius, draws.draws, 1)[:, 0]
    return draws.scale(draws.draw_integers(STREAMS[0]), (words.double() + 2.0**31 + 1) / 2.0**32)
