"""Eq. 6: one v ~ U(-1, 1) for each sample and radius, scaled to norm r, and random permutations of its elements."""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox
from epsball.perturbations.ball import independent

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (1, 2)  # of what is permuted, and of the permutations


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    base = independent(spec, seed, STREAMS[0], radius, range(1), prod(shape), device)
    return philox.permuted(base[0], philox.permutations(seed, STREAMS[1], radius, draws, prod(shape), device))
