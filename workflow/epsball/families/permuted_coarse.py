"""Not in the paper: as Eq. 6, of a v that is constant over each channel of 8 × 8 pixels.

Elements of the v of Eq. 4 are independent, so a permutation is nearly another draw. Of this one they are not: permuted,
it is no longer low in frequency, and symmetry is another question than isotropy.
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from epsball import noise, structure
from epsball.ball import scale
from epsball.config import Ball

KEEPS_FEATURES = False
LARGEST_ONLY = False
STREAMS = (12, 13)  # of what is permuted, and of the permutations


def perturbations(
    *, seed: int, radius: float, draws: range, shape: tuple[int, int, int], spec: Ball, device: str
) -> Tensor:
    """See `epsball.families.Family`."""
    values = noise.drawn(spec.noise, seed, STREAMS[0], radius, range(1), structure.patch_count(shape), device)
    base = scale(values[:, structure.patches(shape, device)], radius, spec.norm, spec.noise)
    return noise.permuted(base[0], noise.permutations(seed, STREAMS[1], radius, draws, prod(shape), device))
