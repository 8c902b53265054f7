"""The objective of Aghdam, Heravi & Puig (2016), as their paper of 2017 puts it: just across the boundary, and near.

"Find v such that x + v is misclassified but its distance from the decision boundary is minimum." Their formula is not
at hand; this is our reading of it. Minimised is

    λ ‖v‖ + p(x + v)       while right: the softmax score of the class,
    λ ‖v‖ + z' - z         once misclassified: the gap of logits, of the best class z' and the right one z,

by steps of decreasing length against the direction of the second term, of norm 1, plus λ v / ‖v‖: λ is relative to a
slope that differs by orders of magnitude from image to image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from epsball.robustness.attacks.target import Target

_STEPS = 60
_WEIGHT = 0.3  # λ
_LENGTH = 0.2  # length of a step, in units of the distance of a flat boundary
_DECAY = 0.92  # factor of the length at each step after the boundary was first met


def attack(target: Target) -> Tensor:
    """Return a candidate, see `epsball.robustness.attacks`."""
    length = _LENGTH * target.hyperplane_distance()
    point, best, least = target.image, target.image, torch.inf

    def objective(logits: Tensor) -> Tensor:
        margin = target.margin(logits)
        return logits.softmax(dim=0)[target.label] if margin >= 0 else -margin

    for _ in range(_STEPS):
        gradient, logits = target.gradient(point, objective)
        change = point - target.image
        size = float(torch.linalg.vector_norm(change))
        if int(logits.argmax()) != target.label and size < least:
            best, least = point, size
        slope = float(torch.linalg.vector_norm(gradient))
        if slope == 0:
            break
        step = gradient / slope + (_WEIGHT / size * change if size > 0 else 0)
        point = target.boxed(point - length * step)
        length *= _DECAY if least < torch.inf else 1
    return best
