"""Eq. 4: v ~ U(-1, 1) element by element, fresh for each draw and radius, scaled to norm r."""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = True
STREAMS = (0,)


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.scale(draws.draw_integers(STREAMS[0]))
