"""What an attack is given: one image, and the network to attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from epsball.robustness.derivatives import runner_up
from epsball.robustness.differentiation import differentiating


@dataclass(frozen=True)
class Target:
    """An image, its class and a network.

    Attributes:
        logits: network from images (n, 3, height, width) to logits (n, classes), differentiable.
        image: x, float32 (3, height, width).
        label: the right class.
        box: whether images must stay in [0, 1], as those of random perturbations do in the same run.
        search_limit: largest L2 distance to try.
    """

    logits: Callable[[Tensor], Tensor]
    image: Tensor
    label: int
    box: bool
    search_limit: float

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
        slope = float(torch.linalg.vector_norm(gradient))
        return min(abs(float(self.margin(logits))) / slope, self.search_limit) if slope > 0 else 0.0
