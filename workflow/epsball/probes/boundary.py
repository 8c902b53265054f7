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
from typing import NamedTuple, assert_never

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball.config import Norm
from epsball.networks import scores
from epsball.perturbations.ball import Draws
from epsball.perturbations.families import family
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.robustness import boundary
from epsball.robustness.attacks import Target
from epsball.robustness.boundary import Crossing
from epsball.robustness.ensemble import ATTACKS, REFINEMENTS

DERIVATIVES = "followed"  # see `epsball.probes.derivatives`
# See `epsball.probes.passes`; by the time of EfficientNet-Lite0 on one core, where a gradient takes as long as five.
PASSES = {
    "fgsm": 90,
    "lbfgs": 640,
    "deepfool": 140,
    "aghdam": 330,
    "ddn": 530,
    "brendel_bethge": 300,
    "attack_at_radius": 1,
    "direction": 42,
    "direction_at_radius": 1,
}

_SCAN = 12  # number of distances in a random direction, and on the ray to an attack's point
_RANDOM_SCAN = 1000  # the last distance over the first
_ATTACK_SCAN = 16


class _Direction(NamedTuple):
    kind: str
    name: str
    ray: Tensor | None  # float32 (3, height, width), of L2 norm 1; None where an attack stayed where it was
    crossing: Crossing


def measure(inputs: WhiteBoxInput) -> pd.DataFrame:
    """Measure one sample.

    Returns:
        A row for each direction and each radius beyond 0. Columns kind, "random" or "attack"; direction, a number or
        the attack's name; radius; of the image at that radius in that direction, a random one's own and not its
        opposite, score and margin of the right class and misclassified, with nan where an attack has no direction; and,
        the same in each row of a direction, distance, the L2 distance of the nearest misclassified image that was
        found, infinite where censored; prediction, its class, or -1; hyperplane_ratio, what a random distance over the
        worst is if the boundary is flat, see `epsball.robustness.boundary.hyperplane_ratio`; search_limit, how far
        random directions were followed; clean_margin, of the image itself.
    """
    clean = scores.summarise(inputs.clean[None].numpy(), np.array([inputs.label]))
    directions = [*_random(inputs), *_attacked(inputs, int(clean.prediction[0]))]
    cells = list(itertools.product(directions, (radius for radius in inputs.ball.radii if radius > 0)))
    size, logits = inputs.forward.size, []
    for start in range(0, len(cells), size):
        images = [_image(inputs, direction.ray, radius) for direction, radius in cells[start : start + size]]
        logits.append(inputs.logits(torch.stack(images)))
    found = scores.summarise(torch.cat(logits).numpy(), np.full(len(cells), inputs.label))
    known = np.array([direction.ray is not None for direction, _ in cells])
    return pd.DataFrame(
        {
            "kind": [direction.kind for direction, _ in cells],
            "direction": [direction.name for direction, _ in cells],
            "radius": [radius for _, radius in cells],
            "score": np.where(known, scores.score(found.log_odds), np.nan),
            "margin": np.where(known, scores.margin(found.logit, found.runner_up_logit), np.nan),
            "misclassified": known & (found.prediction != inputs.label),
            "distance": [direction.crossing.distance for direction, _ in cells],
            "censored": [direction.crossing.image is None for direction, _ in cells],
            "prediction": [direction.crossing.prediction for direction, _ in cells],
            "hyperplane_ratio": boundary.hyperplane_ratio(inputs.image.numel()),
            "search_limit": boundary.search_limit(inputs.image.numel()),
            "clean_margin": scores.margin(clean.logit, clean.runner_up_logit)[0],
        }
    )


def random_rays(inputs: WhiteBoxInput) -> list[Tensor]:
    """Return random directions of norm 1, float32 (3, height, width) each."""
    height, width, channels = shape = inputs.image.shape
    drawn, device = range(inputs.settings.directions), str(inputs.image.device)
    draws = Draws(inputs.seed, max(inputs.ball.radii), drawn, (height, width, channels), inputs.ball, device)
    return [_unit(vector.view(shape).permute(2, 0, 1)) for vector in family("uniform").draw(draws)]


def _random(inputs: WhiteBoxInput) -> list[_Direction]:
    limit, rays, box = boundary.search_limit(inputs.image.numel()), random_rays(inputs), inputs.ball.clip
    scans = [np.geomspace(limit / _RANDOM_SCAN, limit, _SCAN).tolist()] * len(rays)
    found = boundary.crossings(inputs.logits, inputs.pixels, inputs.label, rays, scans, two_sided=True, box=box)
    return [_Direction("random", str(number), *pair) for number, pair in enumerate(zip(rays, found, strict=True))]


def _attacked(inputs: WhiteBoxInput, prediction: int) -> list[_Direction]:
    pixels, asked = inputs.pixels, set[str](inputs.settings.attacks)
    target = Target(inputs.to_logits, pixels, inputs.label, inputs.ball.clip, boundary.search_limit(pixels.numel()))
    # An attack may stay where it is: if the image is misclassified already, the boundary is there.
    still = Crossing(math.inf, -1, None) if prediction == inputs.label else Crossing(0.0, prediction, pixels)
    points = {name: attack(target) for name, attack in ATTACKS.items() if name in asked}
    found = _towards(inputs, points, target.search_limit, still)
    nearest = min((direction.crossing for direction in found), key=lambda one: one.distance, default=still)
    start = nearest.image if nearest.distance > 0 else None
    refined = {
        name: pixels if start is None else refine(target, start)
        for name, refine in REFINEMENTS.items()
        if name in asked
    }
    return [*found, *_towards(inputs, refined, target.search_limit, still)]


def _towards(inputs: WhiteBoxInput, points: Mapping[str, Tensor], limit: float, still: Crossing) -> list[_Direction]:
    """Search along the rays to attacks' points; one at the image itself has the crossing `still`."""
    pixels = inputs.pixels
    lengths = {name: boundary.separation(pixels, point) for name, point in points.items()}
    rays = {name: _unit(points[name] - pixels) for name, length in lengths.items() if length > 0}
    scans = [_scan(lengths[name], limit) for name in rays]
    found = boundary.crossings(inputs.logits, pixels, inputs.label, list(rays.values()), scans, box=inputs.ball.clip)
    crossings = dict(zip(rays, found, strict=True))
    return [_Direction("attack", name, rays.get(name), crossings.get(name, still)) for name in points]


def _scan(length: float, limit: float) -> list[float]:
    """Return what to look at on the way to an attack's point, and beyond it in case that it is right."""
    # To a little beyond the point: on a ray of norm 1, rounded, the point itself may just not be met again.
    end = length * (1 + boundary.TOLERANCE)
    near = np.geomspace(min(end, limit) / _ATTACK_SCAN, min(end, limit), _SCAN)
    beyond = np.geomspace(end, limit, _SCAN)[1:] if end < limit else np.empty(0)
    return [*near.tolist(), *beyond.tolist()]


def _image(inputs: WhiteBoxInput, ray: Tensor | None, radius: float) -> Tensor:
    """Return the image at a radius along a ray, or the sample's own without one."""
    if ray is None:
        return inputs.pixels
    return boundary.at(inputs.pixels, ray, radius * _length(ray, inputs.ball.norm), inputs.ball.clip)


def _length(ray: Tensor, norm: Norm) -> float:
    """Return the L2 length of a vector in the direction of a ray that is of norm 1 in the run's norm."""
    match norm:
        case "l2":
            return 1.0
        case "linf":
            return 1 / (255 * float(ray.abs().max()))
        case _:
            assert_never(norm)


def _unit(vector: Tensor) -> Tensor:
    # The norm on the CPU, in float64: not every device has it.
    return vector / float(torch.linalg.vector_norm(vector.cpu().double()))
