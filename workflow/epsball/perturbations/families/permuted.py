"""Eq. 6: one v ~ U(-1, 1) for each sample and radius, scaled to norm r, and random permutations of its elements."""

from __future__ import annotations

from torch import Tensor

from epsball.perturbations.ball import Draws

KEEPS_FEATURES = False
STREAMS = (1, 2)  # the vector and its permutations


def draw(draws: Draws) -> Tensor:
    """See `epsball.perturbations.families.Family`."""
    return draws.permute(draws.first.draw_integers(STREAMS[0]), STREAMS[1])
