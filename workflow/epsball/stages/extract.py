"""The extract stage: pass every perturbed image through a network. It is the only expensive stage."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
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
from epsball.stages.passes import passes_per_sample, pending_draws
from epsball.stages.perturb import coordinates, sample_images

Cell = Mapping[str, NDArray[Any]]  # arrays over the draws of one sample at one radius

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
    `clean_...`; and for the first draws, computed again in float64, `float64_logit`, `float64_runner_up_logit`,
    `float64_log_odds` and `float64_d_out`, the distance of their features from the clean image's.

    At radius 0 all draws are one image: one batch of it is computed, and repeated.

    Raises:
        EpsballError: the network is no fixed function of one image, or not the one that was surveyed.
    """
    previous = store.PreviousStore(path, attributes, samples)
    if previous.restore(samples, spec.radii, spec.draws):
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
            for key in cells[0]:
                variables[key] = (_dims(key)[:3], np.stack([cell[key] for cell in cells])[None])
            smallest = min(forward.size, int(previous.attributes.get("images_in_a_pass", forward.size)))
            made_by = {"family": name, "images_in_a_pass": str(smallest), **attributes}
            writer.append(xr.Dataset(variables, coordinates(row, spec), made_by))


def iterate_radii(
    name: str, forward: Forward, row: Any, image: Tensor, spec: Ball, compute: Compute, progress: Progress
) -> Iterator[xr.Dataset]:
    """Yield what `extract` stores of one sample, features included, a radius at a time; nothing is stored.

    Row and image come from `epsball.stages.perturb.sample_images`; the first radius is 0.
    """
    sample = _Sample(name, forward, row, image, spec, compute, progress)
    clean: dict[str, Any] = {}
    for radius, cell in zip(spec.radii, sample.cells(True, lambda radius: {}), strict=True):
        clean = clean or _clean(cell)
        variables = {key: (_dims(key)[: values.ndim + 2], values[None, None]) for key, values in cell.items()}
        yield xr.Dataset({**clean, **variables}, coordinates(row, replace(spec, radii=(radius,))), {"family": name})


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
    first = {f"clean_{key}": values[:1] for key, values in at_zero.items() if not key.startswith("float64")}
    return {key: (("sample", "unit")[: values.ndim], values) for key, values in first.items()}


def _dims(key: str) -> tuple[str, ...]:
    """Return the dimensions of a variable of a store; only features have the last."""
    return ("sample", "radius", "float64_draw" if key.startswith("float64") else "draw", "unit")


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
        float64: Passed | None = None
        for draws in (pending[start : start + batch] for start in range(0, len(pending), batch)):
            images = perturbed_images(self._name, self._image, seed, radius, draws, spec, device=self._forward.device)
            passes.append(self._forward.start(images))
            if not known and float64 is None:
                few = images[: self._compute.float64_draws]
                float64 = self._forward.start_float64(few) if radius > 0 else self._clean_float64
            self._progress.advance(len(images))

        def wait() -> Cell:
            cell = dict(known)
            if passes:
                logits, features = map(torch.cat, zip(*(each() for each in passes), strict=True))
                new = self._summary(logits) | ({"features": features.numpy()} if keeps else {})
                for key, values in new.items():  # the first of them may be known
                    cell[key] = np.concatenate([cell[key], values[there - pending.start :]]) if known else values
            return self._sized(radius, cell | (self._floor(float64) if float64 else {}))

        return wait

    @functools.cached_property
    def _clean_float64(self) -> Passed:
        return self._forward.start_float64(self._image.permute(2, 0, 1)[None])

    def _summary(self, logits: Tensor) -> dict[str, NDArray[Any]]:
        return scores.summarise(logits.numpy(), np.full(len(logits), self._label))._asdict()

    def _floor(self, float64: Passed) -> dict[str, NDArray[Any]]:
        """Return the arrays over the draws that are computed in float64."""
        logits, features = float64()
        arrays = {f"float64_{key}": values for key, values in self._summary(logits).items() if key != "prediction"}
        d_out = (features - self._clean_float64()[1]).square().sum(dim=1).sqrt()
        return {**arrays, "float64_d_out": d_out.numpy()}

    def _sized(self, radius: float, cell: Cell) -> Cell:
        """Return the arrays with the requested number of draws; at radius 0 one batch of them, repeated."""
        sizes = {key: self._compute.float64_draws if key.startswith("float64") else self._spec.draws for key in cell}
        if radius == 0:
            once = min(self._compute.batch, self._spec.draws)
            return {key: np.resize(values[:once], (sizes[key], *values.shape[1:])) for key, values in cell.items()}
        return {key: values[: sizes[key]] for key, values in cell.items()}
