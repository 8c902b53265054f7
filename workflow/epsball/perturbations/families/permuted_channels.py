"""Not in the paper: as Eq. 6, but elements stay in their channel, so that each channel keeps its mean."""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = False
STREAMS = (7, 8)  # the vector and its permutations


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.permute(draws.first.draw_integers(STREAMS[0]), STREAMS[1], draws.channels)
