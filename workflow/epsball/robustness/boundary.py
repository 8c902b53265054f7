"""The decision boundary along rays from an image: where a network first predicts another class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.stats import norm
from torch import Tensor

TOLERANCE = 1e-3  # of a distance, relative

_TOGETHER = 20  # images in a pass at least: a batch costs the same, so few rays are cut finer


@dataclass(frozen=True)
class Crossing:
    """The nearest misclassified image x' that was found in a direction, as the network saw it, in float32."""

    distance: float  #: ‖x' - x‖₂ in float64; infinite if none was found
    prediction: int  #: the class of x'; -1 if none was found
    image: Tensor | None  #: x', float32 (3, height, width); None if none was found


def search_limit(elements: int) -> float:
    """Return how far a random direction is followed: the L2 norm whose root mean square is 1 on the [0, 1] scale."""
    return math.sqrt(elements)


def hyperplane_ratio(elements: int) -> float:
    """Return how much further a flat boundary is in a random direction than straight to it, in the median.

    In d dimensions the cosine between a random direction and the normal is about N(0, 1) / √d. A distance to either
    side is the smallest one over its absolute value, whose median is 0.6745 / √d: 1.48 √d.
    """
    return float(math.sqrt(elements) / norm.ppf(0.75))


def at(image: Tensor, ray: Tensor, length: float, box: bool) -> Tensor:
    """Return the point x + t u at a length t of a ray u, as a network sees it: clipped to [0, 1] in a box."""
    point = image + length * ray
    return point.clamp_(0, 1) if box else point


def separation(image: Tensor, point: Tensor) -> float:
    """Compute ‖x' - x‖₂ of float32 images, in float64."""
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

    A scan of rising distances finds a bracket, right at one end and misclassified at the other; cutting shrinks it. A
    scan can step over an islet of another class: nearer points on the same ray need not all be right. All rays are
    searched at the same time, so that batches are full. How many points each is cut into depends on the number of rays
    alone: neither on the batch nor on what other rays meet.

    Args:
        logits: network from images (n, 3, height, width) to logits (n, classes), without derivatives.
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
    pairs = [[_Line(sign * ray, list(scan)) for sign in signs] for ray, scan in zip(rays, scans, strict=True)]
    cuts = max(1, _TOGETHER // (len(pairs) * len(signs))) if pairs else 1
    while lines := [line for pair in pairs for line in pair if line.is_open(pair)]:
        places = [(line, length) for line in lines for length in line.next_lengths(cuts)]
        points = [at(image, line.ray, length, box) for line, length in places]
        predictions = logits(torch.stack(points)).argmax(dim=1).tolist()
        for (line, length), point, prediction in zip(places, points, predictions, strict=True):
            if length < line.wrong:  # what is beyond a crossing does not matter
                distance = separation(image, point)
                if prediction == label:
                    line.right, line.inner = length, distance
                else:
                    line.wrong, line.outer, line.prediction = length, distance, prediction
    nearest = [min(pair, key=lambda line: line.outer) for pair in pairs]
    return [
        Crossing(line.outer, line.prediction, None if line.wrong == math.inf else at(image, line.ray, line.wrong, box))
        for line in nearest
    ]


@dataclass
class _Line:
    """One side of a ray: a bracket that shrinks."""

    ray: Tensor
    scan: list[float]  # lengths still to look at
    right: float = 0.0  # the length up to which no other class was met
    wrong: float = math.inf  # the smallest length with another class
    inner: float = 0.0  # distance from the image at `right`
    outer: float = math.inf  # distance from the image at `wrong`
    prediction: int = -1  # class at `wrong`

    def is_open(self, pair: list[_Line]) -> bool:
        """Return whether there is more to look at: not once the other side is nearer for certain."""
        if self.inner >= min(line.outer for line in pair):
            return False
        return bool(self.scan) if self.wrong == math.inf else self.outer - self.inner > TOLERANCE * self.outer

    def next_lengths(self, cuts: int) -> list[float]:
        """Return the lengths to look at next, rising."""
        if self.wrong == math.inf:
            lengths, self.scan = self.scan[:cuts], self.scan[cuts:]
            return lengths
        return [self.right + (self.wrong - self.right) * part / (cuts + 1) for part in range(1, cuts + 1)]
