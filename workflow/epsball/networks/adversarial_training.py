"""Adversarial training in the L2 norm (Madry et al., ICLR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STEP = 2.5  # length of all steps in radii: enough to cross the ball, as in the paper


def worst(
    module: nn.Module, images: Tensor, labels: Tensor, radius: float, steps: int, generator: torch.Generator
) -> Tensor:
    """Raise the cross-entropy by projected gradient ascent from a random point of the ball.

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
        moved *= (radius / _length(moved)).clamp_max(1)
    return (images + moved).clamp_(0, 1)


def _length(vectors: Tensor) -> Tensor:
    lengths: Tensor = vectors.flatten(start_dim=1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
    return lengths


def _unit(vectors: Tensor) -> Tensor:
    return vectors / _length(vectors)
