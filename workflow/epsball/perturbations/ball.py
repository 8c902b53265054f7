"""Perturbations of known norm: from random integers to what a network sees.

The norm of a draw is computed exactly, in integers, so a perturbation is the same bit for bit on every machine. The
network sees ``(x + v) - x`` in float32; norms and distances are those of that difference, in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import torch
from torch import Tensor
from torch.nn.functional import pad

from epsball.config import Ball, Noise, Norm
from epsball.perturbations import cpu_kernels, philox
from epsball.perturbations.families import family

_SIDE = 8  # side of a patch, in pixels
_BLOCK = 25  # points in a matrix product
_GROUP = 100  # points in one of the two groups in memory


@dataclass(frozen=True)
class Draws:
    """Draws of a family for one sample at one radius, and what families make them of."""

    seed: int  #: of the sample, 64 bits
    radius: float  #: of the ball
    draws: range  #: numbers of the draws
    shape: tuple[int, int, int]  #: height, width and channels of the image; its elements are in this order
    spec: Ball  #: norm and noise
    device: str = "cpu"  #: where to compute; it does not change a bit

    @property
    def first(self) -> Draws:
        """The first draw alone: the vector that a family permutes."""
        return replace(self, draws=range(1))

    @property
    def channels(self) -> Tensor:
        """The channel of each element, int64 (element,)."""
        height, width, channels = self.shape
        return torch.arange(channels, device=self.device).repeat(height * width)

    @property
    def patches(self) -> Tensor:
        """The patch of each element, int64 (element,), from 0 on: 8 × 8 pixels of a channel, or less at the end."""
        height, width, channels = self.shape
        rows, columns = (torch.arange(side, device=self.device) // _SIDE for side in (height, width))
        pixels = rows[:, None] * -(-width // _SIDE) + columns
        return (pixels.flatten()[:, None] * channels + torch.arange(channels, device=self.device)).flatten()

    def draw_integers(self, stream: int, elements: int | None = None) -> Tensor:
        """Draw independent integers of the ball's noise, int32 (draw, element); by default one for each element."""
        count = math.prod(self.shape) if elements is None else elements
        return philox.NOISES[self.spec.noise](self.seed, stream, self.radius, self.draws, count, self.device)

    def draw_low_frequency(self, stream: int) -> Tensor:
        """Draw integers, int32 (draw, element), that are constant over patches."""
        patches = self.patches
        return self.draw_integers(stream, int(patches[-1]) + 1)[:, patches]

    def scale(self, integers: Tensor, share: float | Tensor = 1.0) -> Tensor:
        """Scale integers to the radius, or to a share of it, float32 (draw, element); see `scale`."""
        return scale(integers, self.radius * share, self.spec.norm, self.spec.noise)

    def permute(self, integers: Tensor, stream: int, groups: Tensor | None = None, together: int = 1) -> Tensor:
        """Scale one draw of integers, int32 (1, element), and permute its elements, float32 (draw, element).

        Args:
            integers: the draw.
            stream: stream of the permutations.
            groups: int64 (element,), groups within which elements stay; None for one group.
            together: number of neighbouring elements that move as one.
        """
        vector = self.scale(integers).view(-1, together)
        which = self.seed, stream, self.radius, self.draws
        if groups is None:
            orders = philox.permutations(*which, len(vector), self.device)
        else:
            orders = philox.grouped_permutations(*which, groups)
        return vector.index_select(0, orders.flatten()).view(len(orders), -1)  # twice as fast as torch.take


def scale(integers: Tensor, radius: float | Tensor, norm: Norm, kind: Noise = "uniform") -> Tensor:
    """Scale draws to a norm: r · v / ‖v‖ of Eq. 4. Gaussian draws get a standard deviation of r/√d instead.

    Args:
        integers: int32 (draw, element), in (-2**24, 2**24), in any common unit.
        radius: for l2 on the [0, 1] scale, for linf in 8-bit levels (radius/255); one for all draws, or one each,
            float64 (draw,) on the CPU.
        norm: the norm.
        kind: the noise; gaussian integers are those of `epsball.perturbations.philox.normal`, and their norm is l2.

    Returns:
        float32 (draw, element): each number is one rounding of an integer times a float32 factor.
    """
    # float64, which other devices may lack. CUDA rounds roots and quotients as the CPU does.
    device = torch.device(integers.device if integers.device.type == "cuda" else "cpu")
    match "gaussian" if kind == "gaussian" else norm:
        case "gaussian":
            length = math.sqrt(integers.shape[1]) * philox.normal_deviation()
            lengths = torch.full((len(integers),), length, dtype=torch.float64, device=device)
        case "l2":
            high, low = squares(integers).to(device).double().unbind(dim=1)
            lengths = (high * 2.0**24 + low).sqrt()
        case "linf":
            lengths = integers.abs().amax(dim=1).to(device).double() * 255
        case other:
            assert_never(other)
    radii = radius.to(device) if isinstance(radius, Tensor) else radius
    factors = (radii / lengths).float().to(integers.device)
    return integers.float().mul_(factors[:, None])


def squares(integers: Tensor) -> Tensor:
    """Sum the squares of each row, int64 (draw, 2): their parts above and below 24 bits, exact in any order."""
    if integers.device.type == "cuda":
        return squares_on_tensors(integers)
    sums = torch.empty(len(integers), 2, dtype=torch.int64)
    cpu_kernels.squares(integers.cpu().contiguous().numpy(), sums.numpy())
    return sums


def squares_on_tensors(integers: Tensor) -> Tensor:
    """Do on tensors what `epsball.perturbations.cpu_kernels.squares` does."""
    wide = integers.long().square()
    return torch.stack([(wide >> 24).sum(dim=1), (wide & (2**24 - 1)).sum(dim=1)], dim=1)


def perturbed(image: Tensor, perturbations: Tensor, clip: bool) -> Tensor:
    """Add perturbations to an image in float32, as the network sees it.

    Args:
        image: float32 (height, width, 3) in [0, 1].
        perturbations: float32 (draw, element), elements in the image's order.
        clip: whether to clip to [0, 1].

    Returns:
        float32 (draw, 3, height, width), channels last in memory.
    """
    images = image + perturbations.view(-1, *image.shape)
    return (images.clamp_(0, 1) if clip else images).permute(0, 3, 1, 2)


def effective(image: Tensor, images: Tensor) -> Tensor:
    """Return (x + v) - x as the network saw it, of what `perturbed` gives.

    Returns:
        float64 (draw, element): exact, as the difference of two float32 numbers this close is.
    """
    return (images.permute(0, 2, 3, 1).double() - image.double()).flatten(start_dim=1)


def distances(points: Callable[[range], Tensor], count: int) -> Tensor:
    """Compute Euclidean distances between points from their Gram matrix in float64.

    For perturbations, whose lengths are of the order of their distances, nothing cancels. The distance of two points
    is the same to the last bit however many other points there are. Two hundred points are in memory at a time.

    Args:
        points: function from a range to its points, float64 (point, element); asked again beyond a hundred points.
        count: number of points.

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
    """Compute inner products of rows; of points with themselves, only the lower triangle.

    All products are of blocks of one shape, on which the order of a library's sums depends.
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
    """Return the perturbed images of a family, as every network of the dataset sees them.

    Args:
        name: name of the family.
        image: float32 (height, width, 3) in [0, 1], on `device`.
        seed: seed of the sample; this and the following as for `Draws`.
        radius: radius of the ball.
        draws: numbers of the draws.
        spec: norm, noise and clipping.
        device: where to compute.

    Returns:
        float32 (draw, 3, height, width).
    """
    if radius == 0:
        return image.permute(2, 0, 1).expand(len(draws), -1, -1, -1)
    height, width, channels = image.shape
    vectors = family(name).draw(Draws(seed, radius, draws, (height, width, channels), spec, device))
    return perturbed(image, vectors, spec.clip)
