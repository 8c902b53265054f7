"""Attacks: ways to look for the nearest image that a network takes for another class. One module each.

An attack takes a `Target` and returns a candidate: an image, float32 (3, height, width), in [0, 1] where the target is
boxed. Where there is nothing to follow it is the target's own image. No attack promises success, and what it finds
need not be the nearest: the caller checks it, and searches along the ray to it.

Unlike other registries this one imports its modules: every table has a row of each attack, so all of them made it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from epsball.robustness.attacks import aghdam, deepfool, fgsm, lbfgs
from epsball.robustness.attacks.target import Target

__all__ = ["ATTACKS", "Target"]

ATTACKS: dict[str, Callable[[Target], Tensor]] = {
    "fgsm": fgsm.attack,
    "lbfgs": lbfgs.attack,
    "deepfool": deepfool.attack,
    "aghdam": aghdam.attack,
}
