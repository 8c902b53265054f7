"""Not in the paper: worst against random, how far the decision boundary is and what the score does on the way to it.

Random directions are the run's own uniform draws at the largest radius, the first ones, and so the same for every
network; they are followed to both sides. Attacks give a point, which is searched along the ray to it; one that is not
misclassified is followed further. All distances are of images that the network was shown and took for another class,
so they are upper bounds of the distance to the boundary.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball.config import Ball, Norm, WhiteBox
from epsball.networks import scores
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import family
from epsball.robustness import boundary
from epsball.robustness.attacks import ATTACKS, Target
from epsball.robustness.boundary import Crossing

if TYPE_CHECKING:
    from epsball.probes.white_box_input import WhiteBoxInput

_SCAN = 12  # distances, of a random direction and of the ray to an attack's point
_RANDOM_SCAN = 1000  # the last one over the first
_ATTACK_SCAN = 16

# In forward passes, by the time that EfficientNet-Lite0 takes on one core; a gradient of one image takes that of five.
_RANDOM_PASSES = 42  # of each direction, both sides
_ATTACK_PASSES = 1200  # of all attacks, the search along their rays included: half of it is L-BFGS


@dataclass(frozen=True)
class _Direction:
    kind: str
    name: str
    ray: Tensor | None  # float32 (3, height, width), of L2 norm 1; None where an attack stayed where it was
    crossing: Crossing


def measure(subject: WhiteBoxInput) -> pd.DataFrame:
    """Measure one sample.

    Returns:
        A row for each direction and each radius beyond 0. Columns kind, "random" or "attack"; direction, a number or
        the attack's name; radius; of the image at that radius in that direction, a random one's own and not its
        opposite, score and margin of the right class and misclassified, with nan where an attack has no direction; and,
        the same in each row of a direction, distance, the L2 distance of the nearest misclassified image that was
        found, infinite where censored; prediction, its class, or -1; hyperplane_ratio, what a random distance over the
        worst is if the boundary is flat, see `epsball.robustness.boundary.flat_ratio`; search_limit, how far random
        directions were followed; clean_margin, of the image itself.
    """
    clean = _summary(subject, [(None, 0.0)])
    found = [*_random(subject), *_attacked(subject, int(clean.prediction[0]))]
    cells = list(itertools.product(found, (radius for radius in subject.ball.radii if radius > 0)))
    summary = _summary(subject, [(direction.ray, radius) for direction, radius in cells])
    known = np.array([direction.ray is not None for direction, _ in cells])
    return pd.DataFrame(
        {
            "kind": [direction.kind for direction, _ in cells],
            "direction": [direction.name for direction, _ in cells],
            "radius": [radius for _, radius in cells],
            "score": np.where(known, scores.score(summary.logit, summary.logsumexp), np.nan),
            "margin": np.where(known, scores.margin(summary.logit, summary.runner_up_logit), np.nan),
            "misclassified": known & (summary.prediction != subject.label),
            "distance": [direction.crossing.distance for direction, _ in cells],
            "censored": [direction.crossing.censored for direction, _ in cells],
            "prediction": [direction.crossing.prediction for direction, _ in cells],
            "hyperplane_ratio": boundary.flat_ratio(subject.image.numel()),
            "search_limit": boundary.reach(subject.image.numel()),
            "clean_margin": scores.margin(clean.logit, clean.runner_up_logit)[0],
        }
    )


def passes(settings: WhiteBox, ball: Ball) -> int:
    """See `epsball.probes.WhiteBoxProbe`."""
    rows = (settings.directions + len(ATTACKS)) * sum(radius > 0 for radius in ball.radii)
    return settings.directions * _RANDOM_PASSES + _ATTACK_PASSES + rows


def candidates(target: Target) -> Mapping[str, Tensor]:
    """What each attack gives, float32 (3, height, width)."""
    return {name: attack(target) for name, attack in ATTACKS.items()}


def random_rays(subject: WhiteBoxInput) -> list[Tensor]:
    """Random directions of norm 1, float32 (3, height, width) each."""
    image, ball = subject.image, subject.ball
    height, width, channels = image.shape
    vectors = family("uniform").draw(
        Draws(
            seed=subject.seed,
            radius=max(ball.radii),
            draws=range(subject.settings.directions),
            shape=(height, width, channels),
            spec=ball,
            device=str(image.device),
        )
    )
    return [_unit(vector.view(image.shape).permute(2, 0, 1)) for vector in vectors]


def _random(subject: WhiteBoxInput) -> list[_Direction]:
    reach = boundary.reach(subject.image.numel())
    scan = np.geomspace(reach / _RANDOM_SCAN, reach, _SCAN).tolist()
    rays = random_rays(subject)
    crossings = boundary.crossings(
        subject.logits,
        subject.pixels,
        subject.label,
        rays,
        [scan] * len(rays),
        two_sided=True,
        box=subject.ball.clip,
    )
    return [
        _Direction("random", str(number), ray, crossing)
        for number, (ray, crossing) in enumerate(zip(rays, crossings, strict=True))
    ]


def _attacked(subject: WhiteBoxInput, prediction: int) -> list[_Direction]:
    pixels, reach = subject.pixels, boundary.reach(subject.image.numel())
    target = Target(subject.to_logits, pixels, subject.label, subject.ball.clip, reach)
    points = candidates(target)
    lengths = {name: boundary.separation(pixels, point) for name, point in points.items()}
    moved = [name for name, length in lengths.items() if length > 0]
    rays = {name: _unit(points[name] - pixels) for name in moved}
    scans = [_scan(lengths[name], reach) for name in moved]
    crossings = boundary.crossings(
        subject.logits, pixels, subject.label, list(rays.values()), scans, box=subject.ball.clip
    )
    met = dict(zip(moved, crossings, strict=True))
    # An attack may stay where it is: of an image that is misclassified already, that is the boundary.
    right = prediction == subject.label
    still = Crossing(math.inf, -1, None) if right else Crossing(0.0, prediction, pixels)
    return [_Direction("attack", name, rays.get(name), met.get(name, still)) for name in points]


def _scan(length: float, reach: float) -> list[float]:
    """What to look at on the way to an attack's point, and beyond it in case that it is right."""
    # To a little beyond the point: on a ray of norm 1, rounded, the point itself may just not be met again.
    end = length * (1 + boundary.TOLERANCE)
    if end >= reach:
        return [*np.geomspace(reach / _ATTACK_SCAN, reach, _SCAN).tolist()]
    near, beyond = np.geomspace(end / _ATTACK_SCAN, end, _SCAN), np.geomspace(end, reach, _SCAN)[1:]
    return [*near.tolist(), *beyond.tolist()]


def _summary(subject: WhiteBoxInput, places: list[tuple[Tensor | None, float]]) -> scores.Summary:
    """Of the images at places, rays and radii; of the image itself where there is no ray."""
    size, parts = subject.forward.size, []
    for start in range(0, len(places), size):
        images = [_image(subject, ray, radius) for ray, radius in places[start : start + size]]
        parts.append(subject.logits(torch.stack(images)))
    logits = torch.cat(parts).numpy()
    return scores.summarise(logits, np.full(len(logits), subject.label))


def _image(subject: WhiteBoxInput, ray: Tensor | None, radius: float) -> Tensor:
    if ray is None:
        return subject.pixels
    return boundary.at(subject.pixels, ray, radius * _length(ray, subject.ball.norm), subject.ball.clip)


def _length(ray: Tensor, norm: Norm) -> float:
    """L2 length of what is of norm 1, in the run's norm, along a ray."""
    return 1.0 if norm == "l2" else 1 / (255 * float(ray.abs().max()))


def _unit(vector: Tensor) -> Tensor:
    # The norm on the CPU, in float64: not every device has it.
    return vector / float(torch.linalg.vector_norm(vector.cpu().double()))
