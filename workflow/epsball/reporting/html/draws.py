"""Samples to be opened: scores over the draws of each radius, and the draws of lowest score, drawn again from the seed.

Pictures have a budget. A run that is too large for it gets draws of fewer radii (ε goes first, where there is least to
see), then no permutations, then draws of fewer samples: those with a misclassified draw come first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from epsball.config import Ball
from epsball.data import Pool
from epsball.perturbations.ball import perturbed_images
from epsball.reporting.html import pictures
from epsball.stages.perturb import sample_images

BUDGET = 6_000_000  # bytes of all draws' pictures in the page

PROBES = {"isotropy": "uniform", "symmetry": "permuted"}  # and the family that each is measured on

_FEWEST = 3  # radii, before anything else is left out

Tables = Mapping[str, Mapping[str, pd.DataFrame]]  # by network and probe


@dataclass
class Opened:
    """What a page has of the samples of a dataset beside their rows.

    Attributes:
        samples: by name; see `open_samples`.
        radii: at which draws are shown.
        probes: of which.
        without: samples whose draws are left out.
        bytes: of the pictures.
    """

    samples: dict[str, dict[str, Any]] = field(default_factory=dict)
    radii: list[float] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    bytes: int = 0


def open_samples(samples: pd.DataFrame, pool: Pool, tables: Tables, spec: Ball, budget: int) -> Opened:
    """Scores and pictures of samples.

    Args:
        samples: of a dataset.
        pool: where its images are.
        tables: of isotropy and symmetry, by network of the dataset and probe.
        spec: radii, norm, noise, clipping.
        budget: bytes that pictures may take.

    Returns:
        By sample: `thumbnail`; `scores`, by network and probe lists over the radii of score_min, score_mean,
        score_max and misclassified; and of those that fit into the budget `clean`, a picture, `lossless`, `pictures`,
        and `draws`: network, probe, radius, draw, score, prediction and wrong, and the number of its picture.

    Raises:
        EpsballError: an image is not the one any more that was surveyed.
    """
    rows = _by_sample(tables)
    wrong = {name: any((row["misclassified"] > 0).any() for row in rows[name].values()) for name in samples["sample"]}
    first = samples.iloc[np.argsort([not wrong[name] for name in samples["sample"]], kind="stable")]
    opened = Opened(probes=list(PROBES), radii=[radius for radius in spec.radii if radius > 0])
    full = False
    for place, (row, image) in enumerate(sample_images(first, pool)):
        if place == 0:
            opened.probes, opened.radii = _plan(image, row, len(samples), len(tables), spec, budget)
        found: dict[str, Any] = {"thumbnail": pictures.thumbnail(_pixels(image)), "scores": _scores(rows[row.sample])}
        shown = {} if full else _shown(image, row, rows[row.sample], opened, spec)
        size = sum(map(len, [*shown.get("pictures", []), shown.get("clean", "")]))
        full = full or opened.bytes + size > budget
        if full:
            opened.without.append(row.sample)
        else:
            found |= shown
            opened.bytes += size
        opened.samples[row.sample] = found
    return opened


def _by_sample(tables: Tables) -> dict[str, dict[tuple[str, str], pd.DataFrame]]:
    found: dict[str, dict[tuple[str, str], pd.DataFrame]] = {}
    for network, probe in itertools.product(tables, PROBES):
        for name, table in tables[network][probe].groupby("sample", sort=False):
            found.setdefault(str(name), {})[network, probe] = table
    return found


def _scores(rows: Mapping[tuple[str, str], pd.DataFrame]) -> dict[str, dict[str, dict[str, list[float]]]]:
    columns = ("score_min", "score_mean", "score_max", "misclassified")
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for (network, probe), table in rows.items():
        values = {name: [float(f"{value:.5g}") for value in table[name]] for name in columns}
        found.setdefault(network, {})[probe] = values
    return found


def _plan(
    image: torch.Tensor, row: Any, samples: int, networks: int, spec: Ball, budget: int
) -> tuple[list[str], list[float]]:
    """The first choice of probes and radii whose pictures fit, by the size of one; or the last."""
    radii = [radius for radius in spec.radii if radius > 0]
    ends = (_picture("uniform", image, int(row.seed), radius, 0, spec) for radius in (radii[0], radii[-1]))
    size = sum(map(len, ends)) / 2
    choices = [(list(PROBES), radii)]
    choices += [(list(PROBES), _spread(radii[1:], count)) for count in range(len(radii) - 1, _FEWEST - 1, -1)]
    choices.append((list(PROBES)[:1], _spread(radii[1:] or radii, _FEWEST)))
    for probes, some in choices:
        if samples * (1 + networks * len(probes) * len(some)) * size <= budget:
            break
    return probes, some


def _spread(radii: list[float], count: int) -> list[float]:
    """As many radii, evenly spaced from the first to the last."""
    places = np.unique(np.linspace(0, len(radii) - 1, min(count, len(radii))).round().astype(int))
    return [radii[place] for place in places]


def _shown(
    image: torch.Tensor, row: Any, rows: Mapping[tuple[str, str], pd.DataFrame], opened: Opened, spec: Ball
) -> dict[str, Any]:
    """Pictures of the clean image and of the draws of lowest score; one that two networks share is there once."""
    numbers: dict[tuple[str, float, int], int] = {}
    found: list[str] = []
    draws: list[dict[str, Any]] = []
    for network, probe, at in _lowest(rows, opened):
        key = (PROBES[probe], float(at.radius), int(at.draw_min))
        if key not in numbers:
            numbers[key] = len(found)
            found.append(_picture(key[0], image, int(row.seed), key[1], key[2], spec))
        draws.append(
            {
                "network": network,
                "probe": probe,
                "radius": key[1],
                "draw": key[2],
                "score": float(f"{at.score_min:.5g}"),
                "prediction": int(at.prediction_min),
                "wrong": int(at.prediction_min) != int(row.label),
                "picture": numbers[key],
            }
        )
    pixels = _pixels(image)
    clean = pictures.webp(pixels)
    return {"clean": clean, "lossless": pictures.is_lossless(pixels.shape), "pictures": found, "draws": draws}


def _lowest(rows: Mapping[tuple[str, str], pd.DataFrame], opened: Opened) -> Iterator[tuple[str, str, Any]]:
    for (network, probe), table in rows.items():
        if probe in opened.probes:
            for at in table[table["radius"].isin(opened.radii)].itertuples():
                yield network, probe, at


def _picture(family: str, image: torch.Tensor, seed: int, radius: float, draw: int, spec: Ball) -> str:
    [perturbed] = perturbed_images(family, image, seed, radius, range(draw, draw + 1), spec)
    return pictures.webp(_pixels(perturbed.permute(1, 2, 0)))


def _pixels(image: torch.Tensor) -> NDArray[np.uint8]:
    """8-bit pixels of an image (height, width, 3) in [0, 1]; what is outside is cut."""
    pixels: NDArray[np.uint8] = np.rint(image.numpy() * 255).clip(0, 255).astype(np.uint8)
    return pixels
