"""Perturbations of known norm: from the noise's integers to what a network sees.

The norm of a draw is taken exactly, in integers, so that a perturbation is the same bit for bit anywhere; what the
network sees is ``(x + v) - x`` in float32, and norms and distances are of that one, in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from epsball.config import Ball, Noise, Norm
from epsball.perturbations import cpu_kernels, philox
from epsball.perturbations.families import family

_BLOCK = 25  # points that are multiplied by as many at a time
_GROUP = 100  # points that are held at a time, twice


def independent(spec: Ball, seed: int, stream: int, radius: float, draws: range, elements: int, device: str) -> Tensor:
    """Draws of independent elements of a ball's noise, scaled to its norm: float32 (draw, element)."""
    return scale(philox.drawn(spec.noise, seed, stream, radius, draws, elements, device), radius, spec.norm, spec.noise)


def scale(integers: Tensor, radius: float | Tensor, norm: Norm, kind: Noise = "uniform") -> Tensor:
    """Scale draws to a norm: r · v / ‖v‖ of Eq. 4. Gaussian ones have a standard deviation of r/√d instead.

    Args:
        integers: int32 (draw, element), in (-2**24, 2**24); their common unit does not matter.
        radius: for l2 on the [0, 1] scale, for linf in 8-bit levels (radius/255); of all draws, or of each, float64
            (draw,) on the CPU.
        norm: which norm.
        kind: of the noise; gaussian is of `epsball.perturbations.philox.normal`, and its norm l2.

    Returns:
        float32 (draw, element): each number one rounding of an integer times one float32 factor.
    """
    # A few numbers in float64, on the CPU where the device may have none. CUDA rounds roots and quotients as it does.
    device = torch.device(integers.device if integers.device.type == "cuda" else "cpu")
    if kind == "gaussian":
        length = math.sqrt(integers.shape[1]) * philox.normal_deviation()
        lengths = torch.full((len(integers),), length, dtype=torch.float64, device=device)
    elif norm == "l2":
        high, low = squares(integers).to(device).double().unbind(dim=1)
        lengths = (high * 2.0**24 + low).sqrt()
    else:
        lengths = integers.abs().amax(dim=1).to(device).double() * 255
    radii = radius.to(device) if isinstance(radius, Tensor) else radius
    factors = (radii / lengths).float().to(integers.device)
    return integers.float().mul_(factors[:, None])


def squares(integers: Tensor) -> Tensor:
    """Sums of each row's squares, int64 (draw, 2): of their parts above and below 24 bits, exact in any order."""
    if integers.device.type != "cpu":
        return wide_squares(integers)
    sums = torch.empty(len(integers), 2, dtype=torch.int64)
    cpu_kernels.squares(integers.contiguous().numpy(), sums.numpy())
    return sums


def wide_squares(integers: Tensor) -> Tensor:
    """What `epsball.perturbations.cpu_kernels.squares` does, on tensors."""
    wide = integers.long().square()
    return torch.stack([(wide >> 24).sum(dim=1), (wide & (2**24 - 1)).sum(dim=1)], dim=1)


def perturbed(image: Tensor, perturbations: Tensor, clip: bool) -> Tensor:
    """X + v in float32, as the network sees it.

    Args:
        image: float32 (height, width, 3) in [0, 1].
        perturbations: float32 (draw, element), elements in the image's order.
        clip: whether to clip to [0, 1].

    Returns:
        float32 (draw, 3, height, width), channels last in memory.
    """
    images = image + perturbations.view(-1, *image.shape)
    if clip:
        images = images.clamp_(0, 1)
    return images.permute(0, 3, 1, 2)


def effective(image: Tensor, images: Tensor) -> Tensor:
    """(x + v) - x as the network saw it.

    Args:
        image: float32 (height, width, 3).
        images: float32 (draw, 3, height, width), of `perturbed`.

    Returns:
        float64 (draw, element): exact, since the difference of two float32 numbers this close is.
    """
    return (images.permute(0, 2, 3, 1).double() - image.double()).flatten(start_dim=1)


def distances(points: Callable[[range], Tensor], count: int) -> Tensor:
    """Euclidean distances between points, by the Gram matrix in float64.

    Meant for perturbations, whose lengths are of the order of their distances: nothing cancels. The distance of two
    points is the same to the last bit however many more there are. Two hundred of them are held at a time.

    Args:
        points: those of a range, float64 (point, element); asked for again where there are more than a hundred.
        count: how many there are.

    Returns:
        float64 (pair,): the lower triangle, row by row, so that pairs of the first points come first.
    """
    groups = [range(count)[start : start + _GROUP] for start in range(0, count, _GROUP)]
    gram = torch.zeros(count, count, dtype=torch.float64)
    for number, group in enumerate(groups):
        one = points(group)
        for further in groups[number:]:
            other = one if further == group else points(further)
            gram[further.start : further.stop, group.start : group.stop] = _products(other, one)
    squares = gram.diagonal()
    rows, columns = torch.tril_indices(count, count, offset=-1)
    return (squares[rows] + squares[columns] - 2 * gram[rows, columns]).clamp_min(0).sqrt()


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Inner products of rows, of points with themselves the lower triangle alone.

    By products of one shape: how a library adds up depends on the shape.
    """
    rows, columns = ([*torch.split(points, _BLOCK)] for points in (one, other))
    for blocks in (rows, columns):
        blocks[-1] = pad(blocks[-1], (0, 0, 0, _BLOCK - len(blocks[-1])))
    products = one.new_zeros(len(rows) * _BLOCK, len(columns) * _BLOCK)
    for (place, row), (beside, column) in itertools.product(enumerate(rows), enumerate(columns)):
        if one is not other or beside <= place:
            products[place * _BLOCK :, beside * _BLOCK :][:_BLOCK, :_BLOCK] = row @ column.T
    return products[: len(one), : len(other)]


def perturbed_images(
    name: str, image: Tensor, seed: int, radius: float, draws: range, spec: Ball, device: str = "cpu"
) -> Tensor:
    """The perturbed images of a family, as every network of the dataset sees them.

    Args:
        name: of the family.
        image: float32 (height, width, 3) in [0, 1], on `device`.
        seed: of the sample.
        radius: of the ball.
        draws: which.
        spec: norm, noise and clipping.
        device: where to compute; it does not change a bit.

    Returns:
        float32 (draw, 3, height, width).
    """
    if radius == 0:
        return image.permute(2, 0, 1).expand(len(draws), -1, -1, -1)
    height, width, channels = image.shape
    vectors = family(name).perturbations(
        seed=seed, radius=radius, draws=draws, shape=(height, width, channels), spec=spec, device=device
    )
    return perturbed(image, vectors, spec.clip)
