"""The measure_controls stage: measure controls of a network on a shard; their passes are not stored."""

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
from epsball.runs.gaps import explained
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
        forward: control to pass the images through.
        probes: names of the probes.
        samples: sample table of the shard.
        pool: pool that holds the images.
        perturbations: the shard's store of each family, by the family's name.
        spec: radii, draws, norm, noise and clipping.
        compute: batch size, and number of draws in float64.
        context: see `epsball.probes.Context`.
        label: name of the control, ``<network>~<control>``, in the progress.

    Returns:
        The table of each probe, by its name, as `epsball.stages.measure.measure` makes it for a network.

    Raises:
        UnavailableError: the control, or a probe of it, fails.
    """
    balls = {name: families.ball(spec, name) for name in dict.fromkeys(map(family_of, probes))}
    drawn = {name: open_part(perturbations[name], samples, ball.radii, spec.draws) for name, ball in balls.items()}
    network, _, control = label.partition("~")
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in probes}
    passes = len(samples) * sum(passes_per_sample(ball, compute) for ball in balls.values())
    with Progress(f"control {label}", passes, "images") as progress:
        for place, (row, image) in enumerate(sample_images(samples, pool)):
            for family, ball in balls.items():
                with explained(f"control '{control}'", network):
                    found = iterate_radii(family, forward, row, image, ball, compute, progress)
                    for cell, beside in zip(found, _radii(drawn[family], place), strict=True):
                        for name in probes:
                            if family_of(name) == family:
                                parts[name].append(probe(name).measure(cell, beside, context))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}


def _radii(drawn: xr.Dataset, sample: int) -> Iterator[xr.Dataset]:
    """Yield a sample's perturbations, one radius at a time."""
    for radius in range(drawn.sizes["radius"]):
        yield drawn.isel(sample=[sample], radius=[radius])
