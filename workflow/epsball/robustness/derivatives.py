"""Derivatives of a network at a sample: gradients, changes along a direction, the norm of a Jacobian."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import grad

from epsball.errors import EpsballError
from epsball.robustness.differentiation import Function, differentiable, differentiating, first_order

_TOLERANCE = 1e-5  # of a norm, relative
_STEADY = 3  # power iterations in a row that must change it by less


def seeded(seed: int) -> torch.Generator:
    """Return a generator on the CPU that starts from a sample's seed, of which PyTorch takes 63 bits."""
    return torch.Generator().manual_seed(seed & (2**63 - 1))


def score_gradient(logits: Tensor, label: int) -> Tensor:
    """Differentiate the softmax score p of a class by the logits, float64 (classes,).

    The derivative p (1 - p) by the class's own logit is computed without cancellation.
    """
    scores = logits.softmax(dim=0)
    gradient = -scores[label] * scores
    gradient[label] = scores[label] * (-log_odds(logits, label)).sigmoid()
    return gradient


def require_finite(derivative: Tensor) -> Tensor:
    """Return a derivative at an image.

    Raises:
        EpsballError: it is not finite.
    """
    if not derivative.isfinite().all():
        raise EpsballError(
            "PyTorch's derivative of the network is not finite at an image; likely causes are a square root, a power "
            "or a norm of numbers that are 0 there: add a small number to them, as in (x + 1e-6).sqrt()"
        )
    return derivative


def log_odds(logits: Tensor, label: int) -> Tensor:
    """Return ln(p / (1 - p)) of a class's softmax score p, of logits (classes,)."""
    return logits[label] - torch.cat([logits[:label], logits[label + 1 :]]).logsumexp(dim=0)


def runner_up(logits: Tensor, label: int) -> int:
    """Return the best class but the right one, of logits (classes,)."""
    others = logits.clone()
    others[label] = -torch.inf
    return int(others.argmax())


def pulled_back(function: Function, image: Tensor, directions: Tensor) -> Tensor:
    """Compute gradients of combinations of outputs, Jᵀ w.

    Args:
        function: function from images (n, 3, height, width) to outputs (n, units).
        image: float32 (3, height, width).
        directions: w, float64 (k, units).

    Returns:
        float64 (k, 3, height, width).
    """
    at, rows = differentiable(image)[None].requires_grad_(), []
    with differentiating():
        outputs = function(at)
        for direction in directions:
            # By their direction alone: a saturated score's numbers would be denormal in float32.
            size = direction.abs().max()
            unit = (direction / size if size > 0 else direction).to(outputs)
            (pulled,) = grad(outputs, at, unit[None], retain_graph=True)
            rows.append(require_finite(pulled)[0].cpu().double() * size)
    return torch.stack(rows)


class Norm(NamedTuple):
    """An operator norm by power iteration, which approaches it from below."""

    value: float  #: the largest singular value found
    iterations: int  #: how many it took
    residual: float  #: ‖JᵀJ u - σ² u‖ / σ² at the end: 0 for a singular vector
    converged: bool  #: whether the value stood still before the iterations were over


def jacobian_norm(function: Function, image: Tensor, iterations: int, seed: int) -> Norm:
    """Compute the L2 operator norm of the Jacobian by at most so many power iterations on JᵀJ; function as in `along`.

    The seed is the first vector's; the image is float32 (3, height, width).
    """
    push, at = first_order(function, image), differentiable(image)[None].requires_grad_()
    with differentiating():
        outputs = function(at)
    vector = torch.randn(at.shape, generator=seeded(seed)).to(image)
    vector /= vector.norm()
    value, steady = 0.0, 0
    for done in range(1, iterations + 1):
        _, pushed = push(function, image, vector)
        with differentiating():
            image_of = require_finite(grad(outputs, at, pushed, retain_graph=True)[0])
        before, value = value, float(require_finite(pushed).cpu().double().norm())
        squared = value**2
        if squared == 0:
            return Norm(0.0, done, 0.0, True)
        residual = float((image_of.cpu().double() - squared * vector.cpu().double()).norm()) / squared
        vector = image_of / image_of.norm()
        steady = steady + 1 if abs(value - before) <= _TOLERANCE * value else 0
        if steady == _STEADY:
            return Norm(value, done, residual, True)
    return Norm(value, iterations, residual, False)
