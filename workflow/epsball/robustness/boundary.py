"""The decision boundary along rays from an image: where a network first says another class.

A scan of rising distances finds a bracket, right at one end and misclassified at the other, and parts of it that are
halved (or cut finer) shrink it. A scan can step over an islet of another class: what is reported is misclassified,
and what is nearer than it on the same ray need not all be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from scipy.stats import norm
from torch import Tensor

TOLERANCE = 1e-3  # of a distance, relative

_TOGETHER = 20  # images that are asked for at a time: rays that are fewer are cut finer, for a batch costs the same


@dataclass(frozen=True)
class Crossing:
    """The nearest misclassified point that was found in a direction.

    Attributes:
        distance: ‖x' - x‖₂ of the float32 image x' that the network saw, in float64; infinite where none was found.
        prediction: the class of x'; -1 where none was found.
        image: x', float32 (3, height, width); None where none was found.
    """

    distance: float
    prediction: int
    image: Tensor | None

    @property
    def censored(self) -> bool:
        """Whether none was found as far as the search went."""
        return self.image is None


def reach(elements: int) -> float:
    """How far a random direction is followed: the L2 norm whose root mean square is 1 on the [0, 1] scale."""
    return math.sqrt(elements)


def flat_ratio(elements: int) -> float:
    """How much further than straight to it a flat boundary is in a random direction, in the median.

    In d dimensions the cosine between a random direction and the normal is about N(0, 1) / √d, and a distance to either
    side is the smallest one over its absolute value, whose median is 0.6745 / √d: 1.48 √d.

    Args:
        elements: d.
    """
    return float(math.sqrt(elements) / norm.ppf(0.75))


def at(image: Tensor, ray: Tensor, length: float, box: bool) -> Tensor:
    """The point x + t u of a ray, as a network sees it.

    Args:
        image: float32 (3, height, width).
        ray: u, of the same shape.
        length: t, of either sign.
        box: whether to clip to [0, 1].

    Returns:
        float32 (3, height, width).
    """
    point = image + length * ray
    return point.clamp_(0, 1) if box else point


def separation(image: Tensor, point: Tensor) -> float:
    """‖x' - x‖₂ of float32 images, in float64."""
    # On the CPU: not every device has float64.
    return float(torch.linalg.vector_norm(point.cpu().double() - image.cpu().double()))


def crossings(
    logits: Callable[[Tensor], Tensor],
    image: Tensor,
    label: int,
    rays: Sequence[Tensor],
    scans: Sequence[Sequence[float]],
    *,
    two_sided: bool = False,
    box: bool = False,
) -> list[Crossing]:
    """Find where rays from an image first meet another class.

    All rays go on together, so that batches are full. How many points each is cut into depends on how many rays there
    are and on nothing else: neither on the batch nor on what other rays meet.

    Args:
        logits: of images (n, 3, height, width), shape (n, classes), without derivatives.
        image: x, float32 (3, height, width).
        label: the right class.
        rays: directions u, of the image's shape and of norm 1; points are x + t u.
        scans: for each ray, the rising t > 0 to look at.
        two_sided: whether to follow each ray to both sides and keep the nearer crossing.
        box: whether points are clipped to [0, 1].

    Returns:
        A crossing for each ray, to `TOLERANCE` of its distance.
    """
    signs = (1.0, -1.0) if two_sided else (1.0,)
    pairs = [[_Line(ray, sign, list(scan)) for sign in signs] for ray, scan in zip(rays, scans, strict=True)]
    cuts = max(1, _TOGETHER // (len(pairs) * len(signs))) if pairs else 1
    while lines := [line for pair in pairs for line in pair if line.goes_on(pair)]:
        asked = [line.lengths(cuts) for line in lines]
        points = [
            at(image, line.ray, line.sign * length, box)
            for line, lengths in zip(lines, asked, strict=True)
            for length in lengths
        ]
        classes = iter(logits(torch.stack(points)).argmax(dim=1).tolist())
        places = iter(points)
        for line, lengths in zip(lines, asked, strict=True):
            for length in lengths:
                line.tell(length, separation(image, next(places)), next(classes), label)
    return [_nearest(pair, image, box) for pair in pairs]


@dataclass
class _Line:
    """One side of a ray: a bracket that shrinks.

    Attributes:
        ray: u.
        sign: which side.
        scan: lengths still to look at.
        right: the length up to which nothing else was met.
        wrong: the smallest length with another class.
        inner: distance from the image at `right`.
        outer: distance from the image at `wrong`.
        prediction: class at `wrong`.
    """

    ray: Tensor
    sign: float
    scan: list[float]
    right: float = 0.0
    wrong: float = math.inf
    inner: float = 0.0
    outer: float = field(default=math.inf)
    prediction: int = -1

    def goes_on(self, pair: list[_Line]) -> bool:
        """Whether there is more to ask: not once the other side is nearer for certain."""
        if self.inner >= min(line.outer for line in pair):
            return False
        return bool(self.scan) if self.wrong == math.inf else self.outer - self.inner > TOLERANCE * self.outer

    def lengths(self, cuts: int) -> list[float]:
        """What to look at next, rising."""
        if self.wrong == math.inf:
            some, self.scan = self.scan[:cuts], self.scan[cuts:]
            return some
        return [self.right + (self.wrong - self.right) * part / (cuts + 1) for part in range(1, cuts + 1)]

    def tell(self, length: float, distance: float, prediction: int, label: int) -> None:
        """Take an answer in; those of one asking come in rising order, and what is beyond a crossing is ignored."""
        if length >= self.wrong:
            return
        if prediction == label:
            self.right, self.inner = length, distance
        else:
            self.wrong, self.outer, self.prediction = length, distance, prediction


def _nearest(pair: list[_Line], image: Tensor, box: bool) -> Crossing:
    line = min(pair, key=lambda side: side.outer)
    if line.wrong == math.inf:
        return Crossing(math.inf, -1, None)
    return Crossing(line.outer, line.prediction, at(image, line.ray, line.sign * line.wrong, box))
