"""Not in the paper: as Eq. 6, but elements stay in their channel and patch of 8 × 8 pixels.

Each patch of each channel keeps its mean, and so the low frequencies. Because channels are kept apart, these
permutations are a subset of those within channels, which are a subset of all: each step removes one kind of freedom.
"""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = False
STREAMS = (9, 10)  # the vector and its permutations


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.permute(draws.first.draw_integers(STREAMS[0]), STREAMS[1], draws.patches)
