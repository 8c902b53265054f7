"""Variations of training images: random ones that keep a traffic sign the same (no flips), and adversarial ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_ROTATION = math.radians(12)
_SCALE = 0.15
_SHIFT = 0.1  # in halves of the side
_GAIN = 0.4  # exponent of e
_OFFSET = 0.1
_STEP = 2.5  # length of all adversarial steps in radii: enough to cross the ball, as in the paper


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, scale, shift and relight each image on its own.

    Args:
        images: float32 (n, 3, height, width) in [0, 1].
        generator: random numbers.

    Returns:
        float32 of the same shape, in [0, 1]; pixels from outside the image repeat its edge.
    """

    def uniform(size: float, *shape: int) -> Tensor:
        return (2 * torch.rand(len(images), *shape, generator=generator) - 1) * size

    angle, zoom = uniform(_ROTATION), 1 + uniform(_SCALE)
    shift_x, shift_y = uniform(_SHIFT), uniform(_SHIFT)
    cosine, sine = angle.cos() / zoom, angle.sin() / zoom
    rows = [torch.stack([cosine, -sine, shift_x], dim=1), torch.stack([sine, cosine, shift_y], dim=1)]
    grid = nn.functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    moved = nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    lit = moved * uniform(_GAIN, 1, 1, 1).exp() + uniform(_OFFSET, 1, 1, 1)
    return lit.clamp(0, 1)


def worst(
    module: nn.Module, images: Tensor, labels: Tensor, radius: float, steps: int, generator: torch.Generator
) -> Tensor:
    """Raise the cross-entropy by projected gradient ascent from a random point of the ball (Madry et al., ICLR 2018).

    Args:
        module: network from images to logits.
        images: float32 (n, 3, height, width) in [0, 1].
        labels: int64 (n,).
        radius: L2 radius of the ball on the [0, 1] scale.
        steps: number of steps.
        generator: random numbers for the start.

    Returns:
        Images of the same shape in [0, 1], no farther away than the radius.
    """
    start = torch.randn(images.shape, generator=generator)
    moved = _unit(start) * radius * torch.rand(len(images), 1, 1, 1, generator=generator)
    for _ in range(steps):
        at = (images + moved).clamp_(0, 1).requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(module(at), labels), at)
        moved = at.detach() - images + _STEP * radius / steps * _unit(gradient)
        lengths = torch.linalg.vector_norm(moved, dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
        moved *= (radius / lengths).clamp_max(1)
    return (images + moved).clamp_(0, 1)


def _unit(vectors: Tensor) -> Tensor:
    return nn.functional.normalize(vectors.flatten(start_dim=1)).view_as(vectors)
