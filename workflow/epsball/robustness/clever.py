"""CLEVER: the local Lipschitz constant of a margin by extreme values of gradient norms (Weng et al., ICLR 2018)."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import weibull_min
from torch import Tensor

from epsball.networks.scores import Array
from epsball.robustness.derivatives import seeded
from epsball.robustness.differentiation import Function, differentiable, differentiating

# Shapes that the search for the likeliest distribution starts from, as the authors choose them. A fit beyond them runs
# away: to a distribution without an end, whose location says nothing.
_SHAPES = (0.1, 1, 5, 10, 20, 50, 100)


class Clever(NamedTuple):
    """An estimate for a margin in a ball."""

    lipschitz: float  #: where the reverse Weibull distribution of the batches' largest gradient norms ends
    largest: float  #: the largest norm that was sampled; `lipschitz` is not below it
    score: float  #: margin over `lipschitz`, at most the radius: if it is right, no nearer image is misclassified


def clever(margin: float, norms: Array, radius: float) -> Clever:
    """Compute CLEVER's score in a ball of this radius.

    The margin is the clean image's, positive where it is classified correctly; norms (batch, point) are those of its
    gradient at points of the ball.
    """
    largest = float(norms.max())
    lipschitz = max(location(norms.max(axis=1)), largest)
    score = min(max(margin, 0.0) / lipschitz, radius) if lipschitz > 0 else radius
    return Clever(lipschitz, largest, float(score))


def location(maxima: Array) -> float:
    """Fit a reverse Weibull distribution to maxima (batch,) by likelihood, and return its location.

    Where no fit has an end, that is the largest of the maxima.
    """
    found, spread = float(maxima.max()), float(np.ptp(maxima))
    if spread <= 1e-6 * abs(found):
        return found  # a linear function: one value
    best, scaled = -np.inf, -maxima / spread
    for shape in _SHAPES:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):  # of starts that lead nowhere
            try:
                fitted = weibull_min.fit(scaled, shape, scale=1.0)
            except (ValueError, RuntimeError):  # SciPy's optimiser gave up
                continue
            likelihood = float(weibull_min.logpdf(scaled, *fitted).sum())
        if fitted[0] <= max(_SHAPES) and best < likelihood < np.inf:
            best, found = likelihood, -float(fitted[1]) * spread
    return found


def gradient_norms(
    function: Function, image: Tensor, radius: float, batches: int, size: int, at_once: int, seed: int
) -> Array:
    """Compute L2 norms of the gradient at points that are uniform in a ball.

    Args:
        function: function from images (n, 3, height, width) to (n,), each image by itself.
        image: centre of the ball, float32 (3, height, width).
        radius: L2 radius of the ball.
        batches: number of batches, of `size` points each.
        size: number of points.
        at_once: number of images in a pass.
        seed: seed of the points.

    Returns:
        (batch, point).
    """
    generator, centre = seeded(seed), differentiable(image)
    found, count = [], batches * size
    for start in range(0, count, at_once):
        points = torch.randn(min(at_once, count - start), *image.shape, generator=generator)
        share = torch.rand(len(points), generator=generator) ** (1 / image.numel())
        points *= (radius * share / points.flatten(start_dim=1).norm(dim=1))[:, None, None, None]
        at = (centre + points.to(centre.device)).requires_grad_()
        with differentiating():
            (gradient,) = torch.autograd.grad(function(at).sum(), at)
        found.append(gradient.flatten(start_dim=1).cpu().double().norm(dim=1))
    return torch.cat(found).numpy().reshape(batches, size)
