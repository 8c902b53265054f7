"""Not in the paper: the directions of Eq. 4 at norms from 0 to r, evenly distributed, so that distances do vary.

At one norm all draws are as far from each other, but for a percent, and a correlation of distances says little.
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox
from epsball.perturbations.ball import scale

KEEPS_FEATURES = True
LARGEST_ONLY = True
STREAMS = (3, 4)


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    integers = philox.drawn(spec.noise, seed, STREAMS[0], radius, draws, prod(shape), device)
    share = (philox.random_bits(seed, STREAMS[1], radius, draws, 1)[:, 0].cpu().double() + 2.0**31 + 1) / 2.0**32
    return scale(integers, radius * share, spec.norm, spec.noise)
