"""Not in the paper: as Eq. 4, but one number for each channel of 8 × 8 pixels, so that v is low in frequency.

It is constant over patches, not smooth: the norm of repeated integers is exact, and interpolation would round.
"""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = False
STREAMS = (11,)


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.scale(draws.draw_low_frequency(STREAMS[0]))
