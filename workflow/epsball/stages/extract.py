"""The extract stage: every perturbed image through a network. The only expensive one."""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from epsball.config import Ball, Compute
from epsball.data import Pool
from epsball.networks import scores
from epsball.networks.forward import Forward, Passed
from epsball.perturbations.ball import perturbed_images
from epsball.perturbations.families import family
from epsball.runs import files, store
from epsball.runs.progress import Progress
from epsball.stages.perturb import coordinates, sample_images

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Passed = Callable[[], dict[str, Any]]  # waits for the arrays of a radius

_AHEAD = 3


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

    What an earlier store of the same attributes holds is taken over: only further samples, radii and draws are
    computed, and one that holds all that is asked for is taken as it is.

    Writes a store of, for each sample, radius and draw: `logit`, `runner_up_logit`, `logsumexp` and `prediction` (see
    `epsball.networks.scores.Summary`), `features` where the family keeps them; the same of the clean image as
    `clean_...`; and of the first draws, computed again in float64, `float64_logit`, `float64_runner_up_logit`,
    `float64_logsumexp` and `float64_d_out`, the distance of their features from the clean image's.

    At radius 0 all draws are one image: one batch of it is computed, and repeated.

    Args:
        name: of the family.
        forward: the network.
        samples: rows of the shard.
        pool: where the images are.
        spec: radii, draws, norm, noise, clipping.
        compute: size of a batch, draws for the floor.
        path: of the store.
        attributes: what makes it; with the same ones the numbers are the same, but where passes had to be smaller.
    """
    earlier = store.PreviousStore(path, attributes)
    if earlier.covers(samples, spec.radii, spec.draws):
        _log.info("%s: the earlier one holds all that is asked for", path)
        files.restore(path)
        return
    keeps = family(name).KEEPS_FEATURES
    passes = sum(
        len(pending_draws(radius, earlier.draws(seed, radius), spec, compute))
        for seed in samples["seed"].tolist()
        for radius in spec.radii
    )
    label = f"extract {attributes.get('network', '')} {name}"
    ahead, radii = _prefetch_depth(forward), len(spec.radii)
    with store.StoreWriter(path, radii, behind=ahead) as writer, Progress(label, passes, "images") as progress:

        def started() -> Iterator[tuple[Any, int, _Passed]]:
            for row, image in sample_images(samples, pool):
                sample = _Sample(name, forward, image, int(row.seed), int(row.label), spec, compute, progress)
                for place, radius in enumerate(spec.radii):
                    yield row, place, sample.start(radius, keeps, earlier.cell(int(row.seed), radius))

        for row, place, passed in _prefetch(started(), ahead):
            at = passed()
            if place == 0:
                variables, per_radius = _clean(at), []
            if keeps:
                writer.put("features", place, xr.DataArray(at.pop("features"), dims=("draw", "unit")))
            per_radius.append(at)
            if len(per_radius) < radii:
                continue
            for key in per_radius[0]:
                variables[key] = (_dims(key)[:3], np.stack([at[key] for at in per_radius])[None])
            smallest = min(forward.size, int(earlier.attributes.get("images_in_a_pass", forward.size)))
            made = {"family": name, "images_in_a_pass": str(smallest), **attributes}
            writer.append(xr.Dataset(variables, coordinates(row, spec), made))


def iterate_radii(
    name: str, forward: Forward, row: Any, image: Tensor, spec: Ball, compute: Compute, progress: Progress
) -> Iterator[xr.Dataset]:
    """What `extract` stores of one sample, features included, a radius at a time and stored nowhere.

    Args:
        name: of the family.
        forward: the network.
        row: of the sample table.
        image: of the sample, as `epsball.stages.perturb.sample_images` gives both.
        spec: radii, draws, norm, noise, clipping; radius 0 first.
        compute: size of a batch, draws for the floor.
        progress: of images.
    """
    sample = _Sample(name, forward, image, int(row.seed), int(row.label), spec, compute, progress)
    clean: dict[str, Any] = {}
    started = ((radius, sample.start(radius, True, {})) for radius in spec.radii)
    for radius, passed in _prefetch(started, _prefetch_depth(forward)):
        at = passed()
        clean = clean or _clean(at)
        variables = {key: (_dims(key)[: values.ndim + 2], values[None, None]) for key, values in at.items()}
        one = replace(spec, radii=(radius,))
        yield xr.Dataset({**clean, **variables}, coordinates(row, one), {"family": name})


def _prefetch_depth(forward: Forward) -> int:
    """How many radii to start beside the one that is waited for: a GPU has work while the CPU stores what came out."""
    return 0 if forward.device == "cpu" else _AHEAD


def _prefetch(started: Iterable[_T], ahead: int) -> Iterator[_T]:
    """The same, of which as many more are always started."""
    waiting: deque[_T] = deque()
    for one in started:
        waiting.append(one)
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _clean(at_zero: dict[str, Any]) -> dict[str, Any]:
    """Variables of the clean image, which is every draw at radius 0."""
    first = {f"clean_{key}": values[:1] for key, values in at_zero.items() if not key.startswith("float64")}
    return {key: (("sample", "unit")[: values.ndim], values) for key, values in first.items()}


def _dims(key: str) -> tuple[str, ...]:
    """Dimensions of a variable of a store; only features have the last."""
    return ("sample", "radius", "float64_draw" if key.startswith("float64") else "draw", "unit")


def pending_draws(radius: float, known: int, spec: Ball, compute: Compute) -> range:
    """The draws of a sample and radius that go through the network, where the first `known` are there.

    Whole batches, counted from draw 0: a draw has the same place in its batch whenever it is computed.
    """
    if radius == 0:
        once = min(compute.batch, spec.draws)
        return range(0 if known >= once else once)
    return range(known // compute.batch * compute.batch, spec.draws) if known < spec.draws else range(0)


def passes_per_sample(spec: Ball, compute: Compute) -> int:
    """Images through the network for a sample in float32, from nothing."""
    return sum(len(pending_draws(radius, 0, spec, compute)) for radius in spec.radii)


def float64_passes_per_sample(spec: Ball, compute: Compute) -> int:
    """Images through the network for a sample in float64, the clean one among them."""
    return (len(spec.radii) - 1) * compute.float64_draws + 1


class _Sample:
    """One sample on its way through the network."""

    def __init__(
        self,
        name: str,
        forward: Forward,
        image: Tensor,
        seed: int,
        label: int,
        spec: Ball,
        compute: Compute,
        progress: Progress,
    ) -> None:
        self._name, self._forward, self._seed, self._label = name, forward, seed, label
        self._spec, self._compute, self._progress = spec, compute, progress
        self._image = image.to(forward.device, non_blocking=True)
        forward.refit_at(self._image.permute(2, 0, 1), label)

    @functools.cached_property
    def _clean_float64(self) -> Passed:
        return self._forward.start_float64(self._image.permute(2, 0, 1)[None])

    def _images(self, radius: float, draws: range) -> Tensor:
        return perturbed_images(
            self._name, self._image, self._seed, radius, draws, self._spec, device=self._forward.device
        )

    def _summary(self, logits: Tensor, prefix: str = "") -> dict[str, Any]:
        summary = scores.summarise(logits.numpy(), np.full(len(logits), self._label))
        return {prefix + key: value for key, value in summary._asdict().items()}

    def start(self, radius: float, keeps: bool, known: Mapping[str, Any]) -> _Passed:
        """Start the passes at a radius, where any are left to do; `known` are arrays of the first draws, from a store.

        Returns:
            What waits for the arrays over all draws.
        """
        there, batch = len(known["logit"]) if known else 0, self._compute.batch
        passing = pending_draws(radius, there, self._spec, self._compute)
        passed: list[Passed] = []
        float64: Passed | None = None
        for draws in (passing[start : start + batch] for start in range(0, len(passing), batch)):
            images = self._images(radius, draws)
            passed.append(self._forward.start(images))
            if not known and not float64:
                few = images[: self._compute.float64_draws]
                float64 = self._forward.start_float64(few) if radius > 0 else self._clean_float64
            self._progress.advance(len(images))
        return functools.partial(self._arrays, radius, keeps, known, passing, passed, float64)

    def _arrays(
        self,
        radius: float,
        keeps: bool,
        known: Mapping[str, Any],
        passing: range,
        passed: Sequence[Passed],
        float64: Passed | None,
    ) -> dict[str, Any]:
        """Arrays over the draws at a radius, of what is known and what has passed."""
        arrays = dict(known) | (self._floor(float64) if float64 else {})
        if passed:
            logits, features = map(torch.cat, zip(*(each() for each in passed), strict=True))
            new = self._summary(logits) | ({"features": features.numpy()} if keeps else {})
            for key, values in new.items():
                further = values[(len(known["logit"]) if known else 0) - passing.start :]
                arrays[key] = np.concatenate([known[key], further]) if known else further
        sizes = {key: self._compute.float64_draws if key.startswith("float64") else self._spec.draws for key in arrays}
        if radius == 0:
            once = min(self._compute.batch, self._spec.draws)
            return {key: np.resize(values[:once], (sizes[key], *values.shape[1:])) for key, values in arrays.items()}
        return {key: values[: sizes[key]] for key, values in arrays.items()}

    def _floor(self, float64: Passed) -> dict[str, Any]:
        """Arrays over the draws that are computed in float64."""
        logits, features = float64()
        arrays = self._summary(logits, "float64_")
        del arrays["float64_prediction"]
        return arrays | {"float64_d_out": (features - self._clean_float64()[1]).square().sum(dim=1).sqrt().numpy()}
