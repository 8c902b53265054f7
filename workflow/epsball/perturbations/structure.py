"""Which channel, and which patch of 8 × 8 pixels, each element of an image belongs to."""

from __future__ import annotations

import torch
from torch import Tensor

SIDE = 8  # side of a patch, in pixels


def channels(shape: tuple[int, int, int], device: torch.device | str = "cpu") -> Tensor:
    """Return the channel of each element.

    Args:
        shape: height, width and channels of the image.
        device: device of the result.

    Returns:
        int64 (element,), elements in the image's order.
    """
    height, width, depth = shape
    return torch.arange(depth, device=device).repeat(height * width)


def patches(shape: tuple[int, int, int], device: torch.device | str = "cpu") -> Tensor:
    """Return the patch of each element; each channel of 8 × 8 pixels is a patch.

    Patches of the last row and column are smaller where a side is no multiple of eight. Arguments as for `channels`.

    Returns:
        int64 (element,), elements in the image's order; numbers from 0 to `patch_count` - 1.
    """
    height, width, depth = shape
    rows, columns = (torch.arange(side, device=device) // SIDE for side in (height, width))
    pixels = rows[:, None] * -(-width // SIDE) + columns
    return (pixels[:, :, None] * depth + torch.arange(depth, device=device)).flatten()


def patch_count(shape: tuple[int, int, int]) -> int:
    """Return the number of patches of an image of this height, width and channels."""
    height, width, depth = shape
    return -(-height // SIDE) * -(-width // SIDE) * depth
