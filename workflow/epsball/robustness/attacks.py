"""Attacks: ways to look for the nearest image that a network takes for another class.

An attack takes a `Target` and returns a candidate: an image, float32 (3, height, width), in [0, 1] where the target is
boxed. Where there is nothing to follow it is the target's own image. No attack promises success, and what it finds
need not be the nearest: the caller checks it, and searches along the ray to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import Bounds, minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

from epsball.networks.scores import Array
from epsball.robustness.boundary import crossings
from epsball.robustness.derivatives import require_finite, runner_up
from epsball.robustness.differentiation import differentiating


@dataclass(frozen=True)
class Target:
    """An image, its class and a network."""

    logits: Callable[[Tensor], Tensor]  #: images (n, 3, height, width) to logits (n, classes), differentiable
    image: Tensor  #: x, float32 (3, height, width)
    label: int  #: the right class
    box: bool  #: whether images must stay in [0, 1], as those of random perturbations do in the same run
    search_limit: float  #: largest L2 distance to try

    def plain(self, images: Tensor) -> Tensor:
        """Compute logits without derivatives."""
        with torch.no_grad():
            return self.logits(images)

    def boxed(self, point: Tensor) -> Tensor:
        """Move a point into [0, 1] if `box` is set."""
        return point.clamp(0, 1) if self.box else point

    def gradient(self, point: Tensor, value: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Differentiate a function of the logits at a point.

        Args:
            point: float32 (3, height, width).
            value: function from logits (classes,) in float64, where softmax does not saturate as early, to a scalar.
                Backwards the network computes in its own float32.

        Returns:
            The gradient, float32 (3, height, width), and the logits, float64 (classes,).
        """
        with differentiating():
            images = point.detach()[None].clone().requires_grad_()
            logits = self.logits(images)[0].cpu().double()  # not every device has float64
            (gradient,) = torch.autograd.grad(value(logits), images)
        return gradient[0], logits.detach()

    def margin(self, logits: Tensor) -> Tensor:
        """Return the logit of the right class less the best other one, of logits (classes,)."""
        return logits[self.label] - logits[runner_up(logits, self.label)]

    def hyperplane_distance(self) -> float:
        """Return ``|margin| / ‖∇ margin‖``, the distance of a flat boundary: a unit for steps. 0 without a slope."""
        gradient, logits = self.gradient(self.image, self.margin)
        require_finite(gradient)
        slope = float(torch.linalg.vector_norm(gradient))
        return min(abs(float(self.margin(logits))) / slope, self.search_limit) if slope > 0 else 0.0


_FGSM_STEPS = 20  # of the line search, up to the search limit: a factor of 1.44 each


def fgsm(target: Target) -> Tensor:
    """Move all elements alike along the gradient's sign (Goodfellow, Shlens & Szegedy 2015).

    x + ε sign(∇ J), J the cross-entropy of the right class; here with the smallest ε that a line search finds.
    """
    label = torch.tensor(target.label)
    gradient, _ = target.gradient(target.image, lambda logits: cross_entropy(logits, label))
    signs = gradient.sign()
    length = float(torch.linalg.vector_norm(signs))
    if length == 0:
        return target.image
    scan = np.geomspace(target.search_limit / 1000, target.search_limit, _FGSM_STEPS).tolist()
    (found,) = crossings(target.plain, target.image, target.label, [signs / length], [scan], box=target.box)
    return target.image if found.image is None else found.image


_LBFGS_WEIGHTS = 6  # number of values of c
_LBFGS_OPTIONS: Any = {"maxiter": 15, "maxfun": 30}  # for each of them
_LBFGS_FACTOR = 10.0  # between values of c, until one of each kind is known


def lbfgs(target: Target) -> Tensor:
    """Minimise c ‖r‖² plus the cross-entropy of the runner-up in a box, for the largest c (Szegedy et al. 2014).

    SciPy's L-BFGS-B computes in float64, the network in its own float32.
    """
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
    for _ in range(_LBFGS_WEIGHTS):
        scaled = minimize(objective, scaled, (weight,), "L-BFGS-B", jac=True, bounds=bounds, options=_LBFGS_OPTIONS).x
        point = target.boxed(perturbed(scaled))
        if int(target.plain(point[None])[0].argmax()) == target.label:
            too_large = weight
        else:
            small_enough = weight
            if (size := float(np.linalg.norm(scaled))) < least:
                best, least = point, size
        if small_enough == 0:
            weight /= _LBFGS_FACTOR
        elif too_large == math.inf:
            weight *= _LBFGS_FACTOR
        else:
            weight = math.sqrt(too_large * small_enough)
    return best


_AGHDAM_STEPS = 60
_AGHDAM_WEIGHT = 0.3  # λ
_AGHDAM_LENGTH = 0.2  # length of a step, in units of the distance of a flat boundary
_AGHDAM_DECAY = 0.92  # factor of the length at each step after the boundary was first met


def aghdam(target: Target) -> Tensor:
    """Minimise the objective of Aghdam, Heravi & Puig (2016), as their paper of 2017 puts it.

    "Find v such that x + v is misclassified but its distance from the decision boundary is minimum." Their formula is
    not at hand; this is our reading of it. Minimised is

        λ ‖v‖ + p(x + v)       while right: the softmax score of the class,
        λ ‖v‖ + z' - z         once misclassified: the gap of logits, of the best class z' and the right one z,

    by steps of decreasing length against the direction of the second term, of norm 1, plus λ v / ‖v‖: λ is relative to
    a slope that differs by orders of magnitude from image to image.
    """
    length = _AGHDAM_LENGTH * target.hyperplane_distance()
    point, best, least = target.image, target.image, torch.inf

    def objective(logits: Tensor) -> Tensor:
        margin = target.margin(logits)
        return logits.softmax(dim=0)[target.label] if margin >= 0 else -margin

    for _ in range(_AGHDAM_STEPS):
        gradient, logits = target.gradient(point, objective)
        change = point - target.image
        size = float(torch.linalg.vector_norm(change))
        if int(logits.argmax()) != target.label and size < least:
            best, least = point, size
        slope = float(torch.linalg.vector_norm(gradient))
        if slope == 0:
            break
        step = gradient / slope + (_AGHDAM_WEIGHT / size * change if size > 0 else 0)
        point = target.boxed(point - length * step)
        length *= _AGHDAM_DECAY if least < torch.inf else 1
    return best


_FOLLOWING_STEPS = 50
_REACH = (3.0, 1e-3)  # how far the first and the last step go along the boundary at most, in distances from the image
_MOMENTUM = 0.8  # weight of the normals before, in that of a step
_OVERSHOOT = 1.1  # of the margin, so that most points are misclassified
_BEYOND = 1.01  # in distances of the start: there its class is another one for certain


def brendel_bethge(target: Target, start: Tensor) -> Tensor:
    """Follow the boundary from a misclassified image to where it is nearest (Brendel & Bethge 2019).

    Each step goes to the nearest point of a plane that is tangent to the boundary, within a trust region that shrinks.
    Without a box that point has a closed form, which this is; in one, the result is clipped. Foolbox's solver gives the
    same, and compiles for half a minute in each process.
    """
    image = target.image
    point = target.boxed(image + _BEYOND * (start - image))
    best, least, normal = image, math.inf, None
    for reach in np.geomspace(*_REACH, _FOLLOWING_STEPS):
        gradient, logits = target.gradient(point, target.margin)
        margin, change = float(target.margin(logits)), point - image
        size = float(torch.linalg.vector_norm(change))
        if margin < 0 and size < least:
            best, least = point, size
        normal = gradient if normal is None else _MOMENTUM * normal + (1 - _MOMENTUM) * gradient
        square = float(normal.square().sum())
        if not 0 < square < math.inf:
            break
        across = normal * (-margin * (_OVERSHOOT if margin > 0 else 2 - _OVERSHOOT) / square)
        along = normal * (float((normal * change).sum()) / square) - change
        length = float(torch.linalg.vector_norm(along))
        point = target.boxed(point + across + along * min(1.0, reach * size / length if length > 0 else 1.0))
    return best
