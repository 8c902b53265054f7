"""Box-constrained L-BFGS (Szegedy et al. 2014): c ‖r‖² plus the cross-entropy of a target class, the largest such c.

The target is the runner-up. SciPy's L-BFGS-B computes in float64, the network in its own float32.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

from epsball.robustness.attacks.target import Target
from epsball.robustness.derivatives import runner_up

_WEIGHTS = 6  # values of c
_ITERATIONS = 15  # for each
_FACTOR = 10.0  # between values of c, until one of each kind is known

Array = NDArray[np.float64]


def attack(target: Target) -> Tensor:
    """See `epsball.robustness.attacks.Attack`."""
    unit = target.flat_distance()
    if unit == 0:
        return target.image
    logits = target.plain(target.image[None])[0]
    wanted = runner_up(logits, target.label)
    start = np.zeros(target.image.numel())
    bounds = _bounds(target.image, unit) if target.box else None
    # With r in units of the flat distance D and margin m, the two terms balance about the boundary where c D² = m / 4.
    weight = max(abs(float(target.margin(logits))), 1e-3) / 4
    best, least = target.image, np.inf
    weak, strong = np.inf, 0.0  # the smallest c that was too large, and the largest that was not
    for _ in range(_WEIGHTS):
        found = minimize(
            _objective,
            start,
            args=(target, wanted, weight, unit),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS},
        )
        start = found.x
        point = target.boxed(_point(target.image, start, unit))
        if int(target.plain(point[None])[0].argmax()) == target.label:
            weak = weight
        else:
            strong = weight
            if (size := float(np.linalg.norm(start))) < least:
                best, least = point, size
        if strong == 0:
            weight /= _FACTOR
        elif weak == np.inf:
            weight *= _FACTOR
        else:
            weight = float(np.sqrt(weak * strong))
    return best


def _objective(scaled: Array, target: Target, wanted: int, weight: float, unit: float) -> tuple[float, Array]:
    """Value and gradient, with r = unit · scaled."""
    label = torch.tensor(wanted)
    loss = 0.0

    def cross(logits: Tensor) -> Tensor:
        nonlocal loss
        entropy = cross_entropy(logits, label)
        loss = float(entropy.detach())
        return entropy

    gradient, _ = target.gradient(_point(target.image, scaled, unit), cross)
    slope = gradient.cpu().double().numpy().ravel() * unit
    return weight * float(scaled @ scaled) + loss, 2 * weight * scaled + slope


def _point(image: Tensor, scaled: Array, unit: float) -> Tensor:
    return image + torch.from_numpy((scaled * unit).astype(np.float32)).to(image.device).view_as(image)


def _bounds(image: Tensor, unit: float) -> Bounds:
    """How far each element may go."""
    values = image.cpu().double().numpy().ravel()
    return Bounds(-values / unit, (1 - values) / unit)
