"""The panel of each sample: its scores at each radius, and pictures of the draws of lowest score, drawn again.

Pictures have a budget. A run that is too large for it shows draws at fewer radii (ε goes first, where there is least
to see), then no permutations, then draws of fewer samples: those with a misclassified draw come first.
"""

from __future__ import annotations

import io
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from epsball.config import Ball
from epsball.data import Pool
from epsball.perturbations.ball import perturbed_images
from epsball.stages.panels import SHOWN, Panels, data_uri, significant, size
from epsball.stages.perturb import sample_images

_SCORES = ("score_min", "score_mean", "score_max", "misclassified")

_FEWEST = 3  # radii, before anything else is left out

_THUMBNAIL = 96  # pixels, the longer side
_LOSSLESS = 64  # pixels, the longer side, up to which an image is kept as it is
_QUALITY = 80  # of WebP, for anything larger


def make_panels(samples: pd.DataFrame, pool: Pool, scores: pd.DataFrame, spec: Ball, budget: int, shown: int) -> Panels:
    """Collect the scores and draw the pictures of `shown` samples of a dataset, which may take `budget` bytes.

    `scores` has the tables of the SHOWN probes of all networks of the dataset, with the columns network and probe.

    Returns:
        By sample: `wrong`, whether any draw was misclassified; `scores`, by network and probe lists over the radii of
        score_min, score_mean, score_max and misclassified. Where they fit into the budget also `clean`, a picture;
        `lossless`; `pictures`; and `draws`, by network and probe a list of draws with radius, draw, score,
        prediction, wrong and the number of the picture.

    Raises:
        EpsballError: an image has changed since it was surveyed.
    """
    by_sample = {str(name): rows for name, rows in scores.groupby("sample", sort=False)}
    wrong = scores.groupby("sample")["misclassified"].max() > 0
    wrong_first = samples.sort_values("sample", key=lambda names: ~names.map(wrong), kind="stable")[:shown]
    pairs = sum(by_sample[name]["network"].nunique() for name in wrong_first["sample"])
    panels = Panels([radius for radius in spec.radii if radius > 0], list(SHOWN))
    for place, (row, image) in enumerate(sample_images(wrong_first, pool)):
        if place == 0:
            _fit(panels, image, row, len(wrong_first), pairs, spec, budget)
        rows = by_sample[row.sample]
        panel = {"wrong": bool(wrong[row.sample]), "scores": _scores(rows)}
        panels.thumbnails[row.sample] = _thumbnail(image)
        if not panels.without:
            drawn = _draws(image, row, rows, panels, spec)
            if panels.bytes + size(drawn) <= budget:
                panel |= drawn
                panels.bytes += size(drawn)
        if "draws" not in panel:
            panels.without.append(row.sample)
        panels.samples[row.sample] = panel
    return panels


def _scores(rows: pd.DataFrame) -> dict[Hashable, dict[Hashable, dict[str, list[float | None]]]]:
    found: dict[Hashable, dict[Hashable, dict[str, list[float | None]]]] = {}
    for (network, probe), table in rows.groupby(["network", "probe"], sort=False):
        found.setdefault(network, {})[probe] = {name: significant(table[name]) for name in _SCORES}
    return found


def _fit(panels: Panels, image: torch.Tensor, row: Any, samples: int, pairs: int, spec: Ball, budget: int) -> None:
    """Cut radii, then probes, until as many samples and pairs of sample and network fit by the size of one picture."""
    radii = panels.radii
    ends = (_picture("uniform", image, int(row.seed), radius, 0, spec) for radius in (radii[0], radii[-1]))
    mean = sum(map(len, ends)) / 2
    choices = [(list(SHOWN), radii)]
    choices += [(list(SHOWN), _spread(radii[1:], count)) for count in range(len(radii) - 1, _FEWEST - 1, -1)]
    choices.append((list(SHOWN)[:1], _spread(radii[1:] or radii, _FEWEST)))
    for probes, some in choices:
        if (samples + pairs * len(probes) * len(some)) * mean <= budget:
            break
    panels.probes, panels.radii = probes, some


def _spread(radii: list[float], count: int) -> list[float]:
    """Pick that many radii, evenly spaced from the first to the last."""
    places = np.unique(np.linspace(0, len(radii) - 1, min(count, len(radii))).round().astype(int))
    return [radii[place] for place in places]


def _draws(image: torch.Tensor, row: Any, rows: pd.DataFrame, panels: Panels, spec: Ball) -> dict[str, Any]:
    """Draw the clean image and the draws of lowest score; one that two networks share is there once."""
    found: dict[tuple[str, float, int], str] = {}
    draws: dict[str, dict[str, list[dict[str, Any]]]] = {}
    shown = rows[rows["probe"].isin(panels.probes) & rows["radius"].isin(panels.radii)]
    for at in shown.to_dict("records"):
        key = (SHOWN[at["probe"]], float(at["radius"]), int(at["draw_min"]))
        if key not in found:
            found[key] = _picture(key[0], image, int(row.seed), key[1], key[2], spec)
        draw = {
            "radius": key[1],
            "draw": key[2],
            "score": significant([at["score_min"]])[0],
            "prediction": int(at["prediction_min"]),
            "wrong": int(at["prediction_min"]) != int(row.label),
            "picture": list(found).index(key),
        }
        draws.setdefault(at["network"], {}).setdefault(at["probe"], []).append(draw)
    return {"clean": _webp(image), "lossless": _is_small(image), "pictures": list(found.values()), "draws": draws}


def _picture(family: str, image: torch.Tensor, seed: int, radius: float, draw: int, spec: Ball) -> str:
    [perturbed] = perturbed_images(family, image, seed, radius, range(draw, draw + 1), spec)
    return _webp(perturbed.permute(1, 2, 0))


def _is_small(image: torch.Tensor) -> bool:
    return max(image.shape[:2]) <= _LOSSLESS


def _webp(image: torch.Tensor) -> str:
    """Encode an image (height, width, 3) in [0, 1]; what is outside is clipped."""
    # For lossless WebP, `quality` is the effort: 0 is quick, and more does not make noise smaller.
    options = {"lossless": True, "quality": 0} if _is_small(image) else {"quality": _QUALITY}
    return _encode(_picture_of(image), **options)


def _thumbnail(image: torch.Tensor) -> str:
    picture = _picture_of(image)
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return _encode(picture, quality=_QUALITY)


def _picture_of(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(np.rint(image.numpy() * 255).clip(0, 255).astype(np.uint8))


def _encode(picture: Image.Image, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", method=2, **options)
    return data_uri("webp", buffer.getvalue())
