"""The perturb stage: what is common to all networks of a dataset. Perturbations themselves are never stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from epsball.config import NORMS, Ball
from epsball.data import Pool, images
from epsball.errors import EpsballError
from epsball.networks.forward import inputs
from epsball.perturbations import ball
from epsball.perturbations.families import family
from epsball.runs import store
from epsball.runs.progress import Progress

_DRAWS = 10  # drawn at a time: intermediate noise takes several times the memory of the result

_UNITS = {"norm": "L2 norm, [0, 1] scale", "rms": "[0, 1] scale", "fraction_outside": "share of values"}


def sample_images(samples: pd.DataFrame, pool: Pool) -> Iterator[tuple[Any, Tensor]]:
    """Yield each row of a sample table with its image, float32 (height, width, 3) in [0, 1].

    Raises:
        EpsballError: an image has changed since it was surveyed, or is not there any more.
    """
    numbers = {name: number for number, name in enumerate(pool.names)}
    for row in samples.itertuples():
        if str(row.image) not in numbers:
            raise EpsballError(f"{row.image}: is not there any more; run again, which surveys what is")
        picture = pool.read(numbers[str(row.image)])
        if images.digest(picture) != row.digest:
            raise EpsballError(
                f"{row.image}: has other pixels than when it was surveyed; remove its dataset's survey, "
                "results/<run>/survey/<dataset>, and run again"
            )
        yield row, inputs(picture.copy()).permute(1, 2, 0)


def coordinates(row: Any, spec: Ball) -> dict[str, Any]:
    """Return the coordinates that say which sample and radii an array is of."""
    return {
        "sample": ("sample", np.array([row.sample], dtype=object)),
        "image": ("sample", np.array([str(row.image)], dtype=object)),
        "label": ("sample", np.array([row.label], dtype=np.int64)),
        "seed": ("sample", np.array([row.seed], dtype=np.uint64)),
        "radius": ("radius", np.array(spec.radii), {"units": NORMS[spec.norm][1]}),
    }


def perturb(
    name: str, samples: pd.DataFrame, pool: Pool, spec: Ball, path: Path, attributes: Mapping[str, str]
) -> None:
    """Measure the perturbations of a family on the samples of a shard and store their norms and distances.

    What a previous store with the same attributes, which decide its numbers, holds is reused: a sample at a radius with
    as many draws.

    Writes a store of, for each sample, radius and draw: `norm`, the L2 norm of the effective perturbation ``(x + v) -
    x``; `rms`, its root mean square; `fraction_outside`, the share of values of the image outside of [0, 1]; and for a
    family whose features are kept `distance`, between the perturbed images of each pair of draws, in the order of
    `epsball.perturbations.ball.distances`. All in float64.
    """
    earlier = store.PreviousStore(path, attributes, samples)
    if earlier.restore(samples, spec.radii, spec.draws):
        return
    label = f"perturb {path.stem}"
    with store.StoreWriter(path, len(spec.radii)) as writer, Progress(label, len(samples), "samples") as progress:
        for row, image in sample_images(samples, pool):
            seed, cells = int(row.seed), []
            for place, radius in enumerate(spec.radii):
                known = earlier.draws(seed, radius) == spec.draws
                cell = earlier.cell(seed, radius) if known else _measured(name, image, seed, radius, spec)
                if "distance" in cell:
                    distance = xr.DataArray(cell.pop("distance"), dims="pair", attrs={"units": _UNITS["norm"]})
                    writer.put("distance", place, distance)
                cells.append(cell)
            variables = {
                key: (("sample", "radius", "draw"), np.stack([cell[key] for cell in cells])[None], {"units": units})
                for key, units in _UNITS.items()
            }
            writer.append(xr.Dataset(variables, coordinates(row, spec), {"family": name, **attributes}))
            progress.advance(1)


def _measured(name: str, image: Tensor, seed: int, radius: float, spec: Ball) -> dict[str, NDArray[np.float64]]:
    """Return the variables of `perturb` over the draws of one sample at one radius."""
    norm = torch.empty(spec.draws, dtype=torch.float64)
    beyond = torch.empty(spec.draws, dtype=torch.int64)

    def vectors(draws: range) -> Tensor:
        """Return effective perturbations; note norms and what is outside on the way, as making them is the cost."""
        made = torch.empty(len(draws), image.numel(), dtype=torch.float64)
        for start in range(draws.start, draws.stop, _DRAWS):
            some = range(start, min(start + _DRAWS, draws.stop))
            images = ball.perturbed_images(name, image, seed, radius, some, spec)
            made[some.start - draws.start : some.stop - draws.start] = effective = ball.effective(image, images)
            norm[some.start : some.stop] = torch.linalg.vector_norm(effective, dim=1)
            for draw, seen in zip(some, images.numpy(), strict=True):
                beyond[draw] = int(np.count_nonzero((seen < 0) | (seen > 1)))  # a sixth of PyTorch's time
        return made

    measured = {}
    if family(name).KEEPS_FEATURES:
        measured["distance"] = ball.distances(vectors, spec.draws).numpy()
    else:
        for start in range(0, spec.draws, _DRAWS):
            vectors(range(spec.draws)[start : start + _DRAWS])
    measured |= {"norm": norm.numpy(), "rms": norm.numpy() / np.sqrt(image.numel())}
    return {**measured, "fraction_outside": beyond.double().numpy() / image.numel()}
