"""Eq. 4: v ~ U(-1, 1) element by element, fresh for each draw and radius, scaled to norm r."""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations.ball import independent

KEEPS_FEATURES = True
LARGEST_ONLY = False
STREAMS = (0,)


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return independent(spec, seed, STREAMS[0], radius, draws, prod(shape), device)
