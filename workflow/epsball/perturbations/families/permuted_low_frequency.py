"""Not in the paper: as Eq. 6, for a v that is constant over each channel of 8 × 8 pixels, unlike its permutations."""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = False
STREAMS = (12, 13)  # the vector and its permutations


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.permute(draws.first.draw_low_frequency(STREAMS[0]), STREAMS[1])
