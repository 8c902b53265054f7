"""Depthwise convolutions in float64 on the CPU, for which PyTorch unfolds each channel and calls BLAS once for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from epsball.perturbations.compiled import compiled


class Depthwise(TorchFunctionMode):
    """While it lasts, such convolutions are one compiled loop: the same sums, rounded in another order."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take over calls of `torch.nn.functional.conv2d` that are of this kind."""
        kwargs = kwargs or {}
        made = _convolved(*args, **kwargs) if function is functional.conv2d else None
        return function(*args, **kwargs) if made is None else made


def _convolved(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor | None:
    """What `torch.nn.functional.conv2d` gives, whose arguments these are; None for what is not of this kind."""
    if input.dtype != torch.float64 or input.device.type != "cpu" or input.ndim != 4:
        return None
    if groups == 1 or groups != input.shape[1] or isinstance(padding, str) or _pair(dilation) != (1, 1):
        return None
    (down, right), (above, left) = _pair(stride), _pair(padding)
    padded = functional.pad(input, (left, left, above, above)).contiguous()
    height, width = ((padded.shape[2] - weight.shape[2]) // down + 1, (padded.shape[3] - weight.shape[3]) // right + 1)
    out = padded.new_empty(len(padded), len(weight), height, width)
    _convolve(padded.numpy(), weight[:, 0].contiguous().numpy(), out.numpy(), down, right)
    return out if bias is None else out.add_(bias[:, None, None])


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


@compiled("void(float64[:, :, :, ::1], float64[:, :, ::1], float64[:, :, :, ::1], int64, int64)")
def _convolve(
    images: NDArray[np.float64], kernels: NDArray[np.float64], out: NDArray[np.float64], down: int, right: int
) -> None:
    """Convolve each channel with its own kernels, as many as there are outputs for each input.

    Args:
        images: (n, channels, height, width), padded.
        kernels: (channels out, height, width).
        out: (n, channels out, height, width), to fill.
        down: stride of rows.
        right: stride of columns.
    """
    each = kernels.shape[0] // images.shape[1]
    for number in range(out.shape[0]):
        for channel in range(out.shape[1]):
            kernel, image = kernels[channel], images[number, channel // each]
            for row in range(out.shape[2]):
                line = out[number, channel, row]
                line[:] = 0.0
                for up in range(kernel.shape[0]):
                    source = image[row * down + up]
                    for along in range(kernel.shape[1]):
                        factor = kernel[up, along]
                        if right == 1:  # which vector instructions do
                            for place in range(line.shape[0]):
                                line[place] += factor * source[along + place]
                        else:
                            for place in range(line.shape[0]):
                                line[place] += factor * source[along + place * right]
