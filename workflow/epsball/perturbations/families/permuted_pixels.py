"""Not in the paper: as Eq. 6, but permuting whole pixels, so that each keeps its colour."""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = False
STREAMS = (5, 6)  # the vector and its permutations


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.permute(draws.first.draw_integers(STREAMS[0]), STREAMS[1], together=draws.shape[2])
