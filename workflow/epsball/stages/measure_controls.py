"""The control stage: a control of a network through the probes that it means something for, and nothing stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from epsball.config import Ball, Compute
from epsball.data import Pool
from epsball.networks.forward import Forward
from epsball.perturbations import families
from epsball.probes import Context, family_of, probe
from epsball.runs.progress import Progress
from epsball.runs.store import open_part
from epsball.stages.extract import iterate_radii, passes_per_sample
from epsball.stages.perturb import sample_images


def measure_control(
    forward: Forward,
    probes: Sequence[str],
    samples: pd.DataFrame,
    pool: Pool,
    perturbations: Mapping[str, Path],
    spec: Ball,
    compute: Compute,
    context: Context,
    label: str,
) -> dict[str, pd.DataFrame]:
    """Measure a control on the samples of a shard, by the same perturbations and probes as its network.

    Args:
        forward: the control.
        probes: names.
        samples: rows of the shard.
        pool: where the images are.
        perturbations: by family, the store of the shard.
        spec: radii, draws, norm, noise, clipping.
        compute: size of a batch, draws for the floor.
        context: see `epsball.probes.Context`.
        label: for the progress.

    Returns:
        The table of each probe, as `epsball.stages.measure.measure` makes a network's.
    """
    balls = {name: families.ball(spec, name) for name in perturbations}
    drawn = {name: open_part(path, samples, balls[name].radii, spec.draws) for name, path in perturbations.items()}
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in probes}
    passes = len(samples) * sum(passes_per_sample(ball, compute) for ball in balls.values())
    with Progress(f"control {label}", passes, "images") as progress:
        for place, (row, image) in enumerate(sample_images(samples, pool)):
            for family, ball in balls.items():
                found = iterate_radii(family, forward, row, image, ball, compute, progress)
                for cell, beside in zip(found, _radii(drawn[family], place), strict=True):
                    for name in probes:
                        if family_of(name) == family:
                            parts[name].append(probe(name).measure(cell, beside, context))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def _radii(drawn: xr.Dataset, sample: int) -> Iterator[xr.Dataset]:
    """A sample's perturbations, a radius at a time."""
    for radius in range(drawn.sizes["radius"]):
        yield drawn.isel(sample=[sample], radius=[radius])
