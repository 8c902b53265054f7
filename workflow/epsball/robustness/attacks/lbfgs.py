"""Box-constrained L-BFGS (Szegedy et al. 2014): c ‖r‖² plus the cross-entropy of a target class, the largest such c.

The target is the runner-up. SciPy's L-BFGS-B computes in float64, the network in its own float32.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

from epsball.robustness.attacks.target import Target
from epsball.robustness.derivatives import runner_up

_WEIGHTS = 6  # number of values of c
_ITERATIONS = 15  # for each of them
_FACTOR = 10.0  # between values of c, until one of each kind is known

Array = NDArray[np.float64]


def attack(target: Target) -> Tensor:
    """Return a candidate, see `epsball.robustness.attacks`."""
    image, unit = target.image, target.hyperplane_distance()
    if unit == 0:
        return image
    logits = target.plain(image[None])[0]
    wanted = torch.tensor(runner_up(logits, target.label))

    def perturbed(scaled: Array) -> Tensor:
        """Return x + r, with r = unit · scaled."""
        return image + torch.from_numpy((scaled * unit).astype(np.float32)).to(image.device).view_as(image)

    def objective(scaled: Array, weight: float) -> tuple[float, Array]:
        """Return value and gradient of c ‖scaled‖² + cross-entropy."""
        gradient, logits = target.gradient(perturbed(scaled), lambda logits: cross_entropy(logits, wanted))
        slope = gradient.cpu().double().numpy().ravel() * unit
        return weight * float(scaled @ scaled) + float(cross_entropy(logits, wanted)), 2 * weight * scaled + slope

    values = image.cpu().double().numpy().ravel()
    bounds = Bounds(-values / unit, (1 - values) / unit) if target.box else None
    scaled = np.zeros_like(values)
    # With r in units of the flat distance D and margin m, the two terms balance about the boundary where c D² = m / 4.
    weight = max(abs(float(target.margin(logits))), 1e-3) / 4
    best, least = image, math.inf
    too_large, small_enough = math.inf, 0.0  # the smallest c that stayed right, and the largest that did not
    for _ in range(_WEIGHTS):
        scaled = minimize(
            objective,
            scaled,
            args=(weight,),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS},
        ).x
        point = target.boxed(perturbed(scaled))
        if int(target.plain(point[None])[0].argmax()) == target.label:
            too_large = weight
        else:
            small_enough = weight
            if (size := float(np.linalg.norm(scaled))) < least:
                best, least = point, size
        if small_enough == 0:
            weight /= _FACTOR
        elif too_large == math.inf:
            weight *= _FACTOR
        else:
            weight = math.sqrt(too_large * small_enough)
    return best
