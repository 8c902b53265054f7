"""Not in the paper: as Eq. 6, but whole pixels are permuted, so that each keeps its colour."""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox
from epsball.perturbations.ball import independent

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (5, 6)  # of what is permuted, and of the permutations


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    base = independent(spec, seed, STREAMS[0], radius, range(1), prod(shape), device)
    height, width, channels = shape
    pixels = philox.permutations(seed, STREAMS[1], radius, draws, height * width, device)
    return base.view(-1, channels)[pixels].flatten(start_dim=1)
