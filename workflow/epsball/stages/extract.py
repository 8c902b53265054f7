"""The extract stage: pass every perturbed image through a network. It is the only expensive stage."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from epsball.config import Ball, Compute
from epsball.data import Pool
from epsball.networks import scores
from epsball.networks.consistency import require_repeated, require_surveyed
from epsball.networks.forward import Forward, Passed
from epsball.perturbations.ball import perturbed_images
from epsball.perturbations.families import family
from epsball.runs import store
from epsball.runs.progress import Progress
from epsball.stages.passes import float64_radii, passes_per_sample, pending_draws
from epsball.stages.perturb import coordinates, sample_images

Cell = Mapping[str, NDArray[Any]]  # arrays over the draws of one sample at one radius

_DIMS = {  # of the variables that have no draws
    "first_logits": ("sample", "radius", "class"),
    "float64_logits": ("sample", "float64_radius", "class"),
    "float64_features": ("sample", "float64_radius", "unit"),
}
_PREFETCHED = 3  # radii that a GPU works on while the CPU stores the one before


def extract(
    name: str,
    forward: Forward,
    samples: pd.DataFrame,
    pool: Pool,
    spec: Ball,
    compute: Compute,
    path: Path,
    attributes: Mapping[str, str],
) -> None:
    """Pass the perturbed images of a family through a network and store what comes out.

    What a previous store with the same attributes holds is reused: only further samples, radii and draws are computed,
    and a store that holds everything is kept as it is. Attributes decide numbers, unless memory forced smaller passes.

    The store has, for each sample, radius and draw: `logit`, `runner_up_logit`, `log_odds` and `prediction` (see
    `epsball.networks.scores.Summary`), and `features` if the family keeps them; the same of the clean image as
    `clean_...`; `first_logits` (sample, radius, class), all logits of draw 0; and of draw 0 at a few radii
    (`epsball.stages.passes.float64_radii`), computed again in float64, `float64_logits` (sample, float64_radius, class)
    and, if the family keeps features, `float64_features` (sample, float64_radius, unit).

    At radius 0 all draws are one image: one batch of it is computed, and repeated.

    Raises:
        EpsballError: the network is no fixed function of one image, or not the one that was surveyed.
    """
    previous = store.PreviousStore(path, attributes, samples)
    exactly = {"float64_radius": float64_radii(spec, compute)}
    if previous.restore(samples, spec.radii, spec.draws, exactly):
        return
    keeps = family(name).KEEPS_FEATURES
    known = [functools.partial(previous.draws, seed) for seed in samples["seed"].tolist()]
    passes = sum(passes_per_sample(spec, compute, draws) for draws in known)
    network = attributes.get("network", "")
    surveyed = samples.set_index("sample").get(f"score_{network}")
    label = f"extract {network} {name}"
    writer = store.StoreWriter(path, len(spec.radii), behind=_prefetch_depth(forward))
    with writer, Progress(label, passes, "images") as progress:
        for row, image in sample_images(samples, pool):
            sample = _Sample(name, forward, row, image, spec, compute, progress)
            cells = []
            for place, cell in enumerate(sample.cells(keeps, functools.partial(previous.cell, sample.seed))):
                if keeps:
                    writer.put("features", place, xr.DataArray(cell["features"], dims=("draw", "unit")))
                cells.append({key: values for key, values in cell.items() if key != "features"})
                if place == 0:
                    variables = _clean(cell)
                    require_repeated(cell["logit"])
                    if surveyed is not None:
                        score = float(scores.score(cell["log_odds"])[0])
                        require_surveyed(network, row.image, score, surveyed[row.sample])
            exact = previous.whole(sample.seed, exactly) or sample.float64(keeps)
            variables |= _variables(cells, exact)
            smallest = min(forward.size, int(previous.attributes.get("images_in_a_pass", forward.size)))
            made_by = {"family": name, "images_in_a_pass": str(smallest), **attributes}
            writer.append(xr.Dataset(variables, _coordinates(row, spec, compute), made_by))


def extract_sample(
    name: str, forward: Forward, row: Any, image: Tensor, spec: Ball, compute: Compute, progress: Progress
) -> xr.Dataset:
    """Return what `extract` stores of one sample, features included; nothing is stored.

    Row and image come from `epsball.stages.perturb.sample_images`.
    """
    sample = _Sample(name, forward, row, image, spec, compute, progress)
    cells = list(sample.cells(True, lambda radius: {}))
    variables = _clean(cells[0]) | _variables(cells, sample.float64(True))
    return xr.Dataset(variables, _coordinates(row, spec, compute), {"family": name})


def _prefetch_depth(forward: Forward) -> int:
    return 0 if forward.device == "cpu" else _PREFETCHED


def _prefetch(started: Iterable[Callable[[], Cell]], depth: int) -> Iterator[Cell]:
    """Yield results in order, keeping `depth` further radii in flight."""
    waiting: deque[Callable[[], Cell]] = deque()
    for wait in started:
        waiting.append(wait)
        if len(waiting) > depth:
            yield waiting.popleft()()
    for wait in waiting:
        yield wait()


def _clean(at_zero: Cell) -> dict[str, Any]:
    """Return the variables of the clean image, which is every draw at radius 0."""
    first = {f"clean_{key}": values[:1] for key, values in at_zero.items() if key not in _DIMS}
    return {key: (("sample", "unit")[: values.ndim], values) for key, values in first.items()}


def _variables(cells: Sequence[Cell], exact: Cell) -> dict[str, Any]:
    """Return the variables of a sample from its arrays at each radius, and those of its passes in float64."""
    whole = {key: np.stack([cell[key] for cell in cells]) for key in cells[0]} | dict(exact)
    dims = ("sample", "radius", "draw", "unit")  # only features have the last
    return {key: (_DIMS.get(key, dims[: values.ndim + 1]), values[None]) for key, values in whole.items()}


def _coordinates(row: Any, spec: Ball, compute: Compute) -> dict[str, Any]:
    found = coordinates(row, spec)
    return {**found, "float64_radius": ("float64_radius", np.array(float64_radii(spec, compute)), found["radius"][2])}


class _Sample:
    """A sample on its way through a network."""

    def __init__(
        self, name: str, forward: Forward, row: Any, image: Tensor, spec: Ball, compute: Compute, progress: Progress
    ) -> None:
        self.seed = int(row.seed)
        self._name, self._forward, self._label = name, forward, int(row.label)
        self._spec, self._compute, self._progress = spec, compute, progress
        self._image = image.to(forward.device, non_blocking=True)
        forward.refit_at(self._image.permute(2, 0, 1), self._label)

    def cells(self, keeps: bool, known: Callable[[float], Cell]) -> Iterator[Cell]:
        """Yield the arrays at each radius, features among them if it `keeps` them.

        Of a radius's first draws, `known` returns the arrays from a store; empty if there are none.
        """
        started = (self._start(radius, keeps, known(radius)) for radius in self._spec.radii)
        return _prefetch(started, _prefetch_depth(self._forward))

    def _start(self, radius: float, keeps: bool, known: Cell) -> Callable[[], Cell]:
        """Start the passes of a radius; return what waits for its arrays."""
        batch, seed, spec = self._compute.batch, self.seed, self._spec
        there = len(known.get("logit", ()))
        pending = pending_draws(radius, there, spec, self._compute)
        passes: list[Passed] = []
        for draws in (pending[start : start + batch] for start in range(0, len(pending), batch)):
            images = perturbed_images(self._name, self._image, seed, radius, draws, spec, device=self._forward.device)
            passes.append(self._forward.start(images))
            self._progress.advance(len(images))

        def wait() -> Cell:
            cell = dict(known)
            if passes:
                logits, features = map(torch.cat, zip(*(each() for each in passes), strict=True))
                summary = scores.summarise(logits.numpy(), np.full(len(logits), self._label))
                new = summary._asdict() | ({"features": features.numpy()} if keeps else {})
                for key, values in new.items():  # the first of them may be known
                    cell[key] = np.concatenate([cell[key], values[there - pending.start :]]) if known else values
                if not known:
                    cell["first_logits"] = logits[0].clone().numpy()
            return {key: values if key in _DIMS else self._sized(radius, values) for key, values in cell.items()}

        return wait

    def float64(self, keeps: bool) -> Cell:
        """Return the arrays over the radii at which draw 0 passes in float64 too, features if it `keeps` them."""
        where, draw, device = (self._name, self._image, self.seed), range(1), self._forward.device
        radii = float64_radii(self._spec, self._compute)
        first = [perturbed_images(*where, radius, draw, self._spec, device=device) for radius in radii]
        logits, features = self._forward.float64(torch.cat(first))
        return {"float64_logits": logits.numpy()} | ({"float64_features": features.numpy()} if keeps else {})

    def _sized(self, radius: float, values: NDArray[Any]) -> NDArray[Any]:
        """Return an array with the requested number of draws; at radius 0 one batch of them, repeated."""
        count = self._spec.draws
        if radius == 0:
            return np.resize(values[: min(self._compute.batch, count)], (count, *values.shape[1:]))
        return values[:count]
