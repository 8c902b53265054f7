"""How elements of an image belong together: their channels, and patches of 8 × 8 pixels."""

from __future__ import annotations

import torch
from torch import Tensor

SIDE = 8  # of a patch, in pixels


def channels(shape: tuple[int, int, int], device: torch.device | str = "cpu") -> Tensor:
    """The channel of each element.

    Args:
        shape: of the image: height, width, channels.
        device: of the result.

    Returns:
        int64 (element,), elements in the image's order.
    """
    height, width, depth = shape
    return torch.arange(depth, device=device).repeat(height * width)


def patches(shape: tuple[int, int, int], device: torch.device | str = "cpu") -> Tensor:
    """The patch of each element, the channels of 8 × 8 pixels being a patch each.

    Those of the last row and column are smaller where a side is no multiple of eight.

    Args:
        shape: of the image: height, width, channels.
        device: of the result.

    Returns:
        int64 (element,), elements in the image's order; numbers from 0 to `patch_count` less one.
    """
    height, width, depth = shape
    rows, columns = (torch.arange(side, device=device) // SIDE for side in (height, width))
    pixels = rows[:, None] * -(-width // SIDE) + columns
    return (pixels[:, :, None] * depth + torch.arange(depth, device=device)).flatten()


def patch_count(shape: tuple[int, int, int]) -> int:
    """How many patches an image of height, width, channels has."""
    height, width, depth = shape
    return -(-height // SIDE) * -(-width // SIDE) * depth
