"""Not in the paper: as Eq. 4, but one number for each channel of 8 × 8 pixels, so that v is low in frequency.

Constant over its patches, not smooth: integers that are repeated have an exact norm, and interpolated ones would round.
"""

from __future__ import annotations

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox, structure
from epsball.perturbations.ball import scale

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (11,)


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    values = philox.drawn(spec.noise, seed, STREAMS[0], radius, draws, structure.patch_count(shape), device)
    return scale(values[:, structure.patches(shape, device)], radius, spec.norm, spec.noise)
