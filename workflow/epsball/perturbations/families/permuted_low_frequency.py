"""Not in the paper: as Eq. 6, of a v that is constant over each channel of 8 × 8 pixels.

Elements of the v of Eq. 4 are independent, so a permutation is nearly another draw. Of this one they are not: permuted,
it is no longer low in frequency, and symmetry is another question than isotropy.
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball.config import Ball
from epsball.perturbations import philox, structure
from epsball.perturbations.ball import scale

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (12, 13)  # of what is permuted, and of the permutations


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    values = philox.drawn(spec.noise, seed, STREAMS[0], radius, range(1), structure.patch_count(shape), device)
    base = scale(values[:, structure.patches(shape, device)], radius, spec.norm, spec.noise)
    return philox.permuted(base[0], philox.permutations(seed, STREAMS[1], radius, draws, prod(shape), device))
