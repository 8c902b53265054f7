"""Fig. 2: an image, two perturbations that are permutations of each other, and the score over the plane they span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball.config import Ball, Config
from epsball.data import Pool
from epsball.networks import model, scores
from epsball.networks.forward import Forward
from epsball.perturbations.ball import perturbed_images
from epsball.runs import files, store
from epsball.runs.progress import Progress
from epsball.stages.perturb import sample_images
from epsball.stages.select import of_network, shard_rows, shards

_EXTENT = 1.3  # extent of the plane, in radii


class Pair(NamedTuple):
    """Two draws of one sample and radius."""

    flips: bool  # whether the network is right on the first and wrong on the second
    radius: float
    difference: float  # of their scores, the first less the second
    network: str
    sample: str
    first: int
    second: int


def illustrate(
    config: Config,
    networks: Mapping[str, tuple[Path, Sequence[Path]]],
    samples: pd.DataFrame,
    pool: Pool,
    path: Path,
    made_by: str = "",
) -> None:
    """Choose a pair of permuted perturbations and write what Fig. 2 shows of it.

    Choose a pair of which one is right and one wrong at the smallest radius, and among those the pair furthest apart in
    score; if there is none, the pair furthest apart in score. Write an .npz: images (3, height, width, 3), the clean
    image and the two perturbed ones; scores and predictions (3,) of these; points (2, 2), the perturbations in the
    plane; axis (grid,), score and right (grid, grid) over the plane, second coordinate first; flips, radius, label,
    network and sample; made_by, the fingerprint of what made it, for `restore`.

    The dataset's networks have, by name, the file of their weights and their stores of permuted activations, one for
    each shard of their samples.
    """
    spec, compute, grid = config.ball, config.compute, config.illustration_grid
    pairs = [
        pair
        for name, (_, stores) in networks.items()
        for pair in _candidates(name, stores, of_network(samples, name), spec)
    ]
    pair = max(pairs, key=lambda pair: (pair.flips, -pair.radius if pair.flips else 0, pair.difference))
    row, image = next(sample_images(samples[samples["sample"] == pair.sample], pool))
    numbers = (range(draw, draw + 1) for draw in (pair.first, pair.second))
    draws = [perturbed_images("permuted", image, int(row.seed), pair.radius, number, spec) for number in numbers]
    clean = image.permute(2, 0, 1)[None]
    forward = Forward(model.restore(config.networks[pair.network], networks[pair.network][0]), compute)
    label = int(row.label)

    first, second = ((images - clean).double().flatten() for images in draws)
    across = first / first.norm()
    up = second - (second @ across) * across
    up = up / up.norm()
    length = max(float(first.norm()), float(second.norm()))
    axis = np.linspace(-_EXTENT * length, _EXTENT * length, grid)
    places = [(height, width) for height in axis for width in axis]
    values = []
    with Progress(f"illustrate {pair.network}", len(places), "images") as progress:
        for start in range(0, len(places), compute.batch):
            heights, widths = torch.tensor(places[start : start + compute.batch]).T[:, :, None]
            plane = clean + (widths * across + heights * up).float().view(-1, *clean.shape[1:])
            values.append(_scores(forward, plane.clamp(0, 1) if spec.clip else plane, label))
            progress.advance(len(plane))
    score, predicted = map(np.concatenate, zip(*values, strict=True))
    shown = torch.cat([clean, *draws])
    shown_scores, predictions = _scores(forward, shown, label)
    with files.atomic_write(path) as beside, beside.open("wb") as file:
        np.savez(
            file,
            images=shown.permute(0, 2, 3, 1).numpy(),
            scores=shown_scores,
            predictions=predictions,
            points=np.array([[first @ across, first @ up], [second @ across, second @ up]]),
            axis=axis,
            score=score.reshape(grid, grid),
            right=predicted.reshape(grid, grid) == label,
            label=np.array(label),
            flips=np.array(pair.flips),
            radius=np.array(pair.radius),
            network=np.array(pair.network),
            sample=np.array(pair.sample),
            made_by=np.array(made_by),
        )


def restore(path: Path, made_by: str) -> bool:
    """Give what `illustrate` wrote earlier its first name again if `made_by` is what made it; return whether it is."""
    if (kept := files.earlier(path)) is None:
        return False
    with np.load(kept, allow_pickle=False) as arrays:
        if str(arrays["made_by"]) != made_by:
            return False
    files.restore(path)
    return True


def _candidates(network: str, paths: Sequence[Path], samples: pd.DataFrame, spec: Ball) -> list[Pair]:
    """Return a pair for each sample and radius beyond 0.

    It is the right draw of highest and the wrong draw of lowest score; if all are right or all wrong, those of highest
    and lowest score.
    """
    found = []
    for path, shard in zip(paths, shards(samples), strict=True):
        rows = shard_rows(samples, shard)
        with store.open_part(path, rows, spec.radii, spec.draws) as held:
            wrong = held["prediction"].values != held["label"].values[:, None, None]
            score = scores.score(held["log_odds"].values)
        for sample, radius in np.ndindex(score.shape[:2]):
            if spec.radii[radius] == 0:
                continue
            values, mistaken = score[sample, radius], wrong[sample, radius]
            flips = bool(mistaken.any() and not mistaken.all())
            first = int(np.argmax(np.where(mistaken, -1, values))) if flips else int(values.argmax())
            second = int(np.argmin(np.where(mistaken, values, 2))) if flips else int(values.argmin())
            difference, name = float(values[first] - values[second]), str(rows["sample"][sample])
            found.append(Pair(flips, spec.radii[radius], difference, network, name, first, second))
    return found


def _scores(forward: Forward, images: Tensor, label: int) -> tuple[scores.Array, np.ndarray]:
    """Return scores and predictions of one batch."""
    summary = scores.summarise(forward(images)[0].numpy(), np.full(len(images), label))
    return scores.score(summary.log_odds), summary.prediction
