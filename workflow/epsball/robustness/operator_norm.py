"""Spectral norms of linear layers, bounded from above.

Power iteration approaches a norm from below. Gram iteration (Delattre et al. 2023, "Efficient Bound of Lipschitz
Constant for Convolutional Layers by Gram Iteration", ICML) approaches it from above: of G = WᵀW, repeatedly squared,
``‖W‖² ≤ ‖G^(2^t)‖_F^(1/2^t)``. The same numbers bound it from below: the eigenvalues λ of a power have
``max λ ≥ Σλ² / Σλ = ‖·‖_F² / trace``, which tells when to stop, and which of many matrices cannot be the largest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from epsball.errors import EpsballError

TOLERANCE = 1e-3  # by how much, relatively, a bound may exceed the largest norm of what it iterates on
_MEMORY = 200e6  # bytes that the matrices of one chunk of frequencies may take, roughly


def linear(weight: Tensor) -> float:
    """Bound the norm of a matrix (outputs, inputs): from ‖W‖ to ‖W‖ (1 + `TOLERANCE`), up to float64's rounding.

    Raises:
        EpsballError: the weights are not finite.
    """
    return _largest(_finite(weight)[None])[1]


def convolution(
    weight: Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    height: int,
    width: int,
) -> float:
    """Bound the norm of a convolution of zero-padded images, as `torch.nn.functional.conv2d` does it.

    On a torus of at least height + padding, the zeros between the image's end and its beginning serve as the padding
    of either side: the convolution is a part of the circular one, whose norm is the largest over the torus's
    frequencies (Sedghi et al. 2019). With stride s it is one with stride 1 of s times as many channels, the image's
    phases, on a torus s times as small.

    Args:
        weight: (outputs, inputs of a group, kernel height, kernel width).
        stride: step over rows and columns.
        padding: zeros on either side of rows and columns; of unequal sides, the larger.
        dilation: distance of the kernel's taps, over rows and columns.
        groups: number of groups of channels.
        height: the image's height in pixels.
        width: the image's width in pixels.

    Returns:
        At least the norm, up to float64's rounding; more than it by `TOLERANCE` and by what the torus adds.

    Raises:
        EpsballError: the weights are not finite.
    """
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    rows = _phases(weight.shape[2], stride[0], dilation[0], height + padding[0])
    columns = _phases(weight.shape[3], stride[1], dilation[1], width + padding[1])
    # (group * output * input, taps), contiguous: one product with the taps' waves gives a chunk of frequencies.
    kernel = _finite(weight).reshape(-1, weight.shape[2] * weight.shape[3])
    phases = rows.shape[1] * columns.shape[1]
    # A real kernel's frequency and its negative have conjugate matrices: half of them do.
    if len(columns) > 1:
        columns = columns[: len(columns) // 2 + 1]
    else:
        rows = rows[: len(rows) // 2 + 1]
    frequencies = torch.cartesian_prod(torch.arange(len(rows)), torch.arange(len(columns)))
    each = 16 * (3 * len(kernel) * phases + 3 * groups * min(outputs, inputs * phases) ** 2)
    least = most = 0.0
    for chunk in torch.split(frequencies, max(1, int(_MEMORY / each))):
        row, column = chunk.unbind(dim=1)
        waves = rows[row][:, :, None, :, None] * columns[column][:, None, :, None, :]  # (frequency, 2 phases, 2 taps)
        waves = torch.view_as_real(waves.reshape(len(chunk) * phases, -1)).transpose(1, 2).reshape(-1, kernel.shape[1])
        responses = (kernel @ waves.T).view(groups, outputs, inputs, len(chunk), phases, 2)
        matrices = responses.permute(3, 0, 1, 2, 4, 5).reshape(-1, outputs, inputs * phases, 2)
        # One frequency alone is zero: the waves are 1.
        real = len(frequencies) == 1
        least, high = _largest(matrices[..., 0] if real else torch.view_as_complex(matrices.contiguous()), least)
        most = max(most, high)
    return most


def _phases(taps: int, stride: int, dilation: int, size: int) -> Tensor:
    """Compute the waves of an axis's frequencies at the kernel's taps, in each of the image's phases.

    The torus has at least this size in pixels; there are as many phases as the stride, less those that no tap meets.

    Returns:
        complex128 (frequency, phase, tap): 0 where the tap is in another phase. The padding is left out: it
        multiplies each phase by a number of absolute value 1.
    """
    place = torch.arange(taps) * dilation
    step, phase = place // stride, place % stride
    # Taps that all meet the same pixel of their phases make one matrix, whatever the frequency.
    count = -(-size // stride) if step.any() else 1
    angle = 2 * math.pi / count * (torch.arange(count)[:, None] * step % count)
    wave = torch.polar(torch.ones(angle.shape, dtype=torch.float64), angle.double())
    met = torch.tensor(sorted(set(phase.tolist())))
    return wave[:, None, :] * (phase == met[:, None])


def _finite(weight: Tensor) -> Tensor:
    weight = weight.detach().double()
    if not weight.isfinite().all():
        raise EpsballError("weights are not finite; they have no norm")
    return weight


def _largest(matrices: Tensor, least: float = 0.0) -> tuple[float, float]:
    """Bound the largest norm of many matrices by Gram iteration, from below and from above.

    Matrices are (matrix, rows, columns); those whose norms are below the known lower bound `least` do not matter.
    Returns the lower bound from here on, and an upper bound of the others' norms, no more than `TOLERANCE` above.
    """
    matrices = matrices[torch.linalg.matrix_norm(matrices) > least]
    if not len(matrices):
        return least, least
    gram = matrices @ matrices.mH if matrices.shape[1] <= matrices.shape[2] else matrices.mH @ matrices
    size = torch.linalg.matrix_norm(gram)
    # Bounds are in logarithms, and powers scaled to a norm of 1: they would overflow.
    gram, upper, power = gram / size[:, None, None], 0.5 * size.log(), 2
    low = math.log(least) if least > 0 else -math.inf
    while True:
        trace = gram.diagonal(dim1=1, dim2=2).real.sum(dim=1)
        low = max(low, float((upper - trace.log() / power).max()))
        high = float(upper.max())
        if high <= low + math.log1p(TOLERANCE):
            return math.exp(low), math.exp(high)
        kept = upper > low
        gram, upper, power = gram[kept], upper[kept], 2 * power
        gram = gram @ gram.mH
        size = torch.linalg.matrix_norm(gram)
        gram, upper = gram / size[:, None, None], upper + size.log() / power
