"""Not in the paper: as Eq. 6, but elements stay in their channel and patch of 8 × 8 pixels.

Each patch of each channel keeps its mean, and with that what is low in frequency. Channels are kept apart so that these
permutations are some of those within channels, and those some of all: each step takes one kind of freedom away.
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox, structure
from epsball.perturbations.ball import independent

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (9, 10)  # of what is permuted, and of the permutations


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    base = independent(spec, seed, STREAMS[0], radius, range(1), prod(shape), device)
    groups = structure.patches(shape, device)
    return philox.permuted(base[0], philox.grouped_permutations(seed, STREAMS[1], radius, draws, groups))
