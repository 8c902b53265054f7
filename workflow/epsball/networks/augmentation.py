"""Random variations of training images that keep a traffic sign the same sign (no flips)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_ROTATION = math.radians(12)
_SCALE = 0.15
_SHIFT = 0.1  # in halves of the side
_GAIN = 0.4  # exponent of e
_OFFSET = 0.1


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
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    lit = moved * uniform(_GAIN, 1, 1, 1).exp() + uniform(_OFFSET, 1, 1, 1)
    return lit.clamp(0, 1)
