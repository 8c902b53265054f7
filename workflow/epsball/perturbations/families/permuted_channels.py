"""Not in the paper: as Eq. 6, but elements stay in their channel, so that each channel keeps its mean."""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox, structure
from epsball.perturbations.ball import independent

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (7, 8)  # of what is permuted, and of the permutations


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    base = independent(spec, seed, STREAMS[0], radius, range(1), prod(shape), device)
    groups = structure.channels(shape, device)
    return philox.permuted(base[0], philox.grouped_permutations(seed, STREAMS[1], radius, draws, groups))
