"""Attacks: ways to look for the nearest image that a network takes for another class. One module each.

None promises success, and what it finds need not be the nearest: who calls it checks, and searches along the ray to it.
Unlike other registries this one imports its modules, since a table holds a row of each: all of them made it.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from epsball.robustness.attacks import aghdam, deepfool, fgsm, lbfgs
from epsball.robustness.attacks.target import Target

__all__ = ["ATTACKS", "Attack", "Target"]


class Attack(Protocol):
    """What an attack's module offers."""

    def __call__(self, target: Target) -> Tensor:
        """A candidate.

        Args:
            target: what to attack.

        Returns:
            An image, float32 (3, height, width), in [0, 1] where the target is boxed; the target's own image where
            there is nothing to follow.
        """
        ...


ATTACKS: dict[str, Attack] = {
    "fgsm": fgsm.attack,
    "lbfgs": lbfgs.attack,
    "deepfool": deepfool.attack,
    "aghdam": aghdam.attack,
}
