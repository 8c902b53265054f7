"""Eq. 6: one v ~ U(-1, 1) for each sample and radius, scaled to norm r, and random permutations of its elements."""

from __future__ import annotations

from torch import Tensor

from epsball import noise
from epsball.ball import scale
from epsball.config import Norm

KEEPS_FEATURES = False


def perturbations(*, seed: int, radius: float, draws: range, elements: int, norm: Norm, device: str) -> Tensor:
    """See `epsball.families.Family`."""
    base = scale(noise.uniform(seed, noise.Stream.PERMUTED_BASE, radius, range(1), elements, device), radius, norm)
    return base[0][noise.permutations(seed, radius, draws, elements, device)]
