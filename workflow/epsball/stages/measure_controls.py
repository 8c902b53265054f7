"""The measure_controls stage: measure controls of a network on a shard; their passes are not stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from epsball.config import Ball, Compute
from epsball.data import Pool
from epsball.networks.forward import Forward
from epsball.perturbations import families
from epsball.probes import Context, family_of, probe
from epsball.runs.gaps import explained
from epsball.runs.progress import Progress
from epsball.runs.store import open_part
from epsball.stages.extract import extract_sample
from epsball.stages.passes import passes_per_sample
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

    The perturbations are the shard's store of each family, by the family's name; `label` names the control,
    ``<network>~<control>``, in the progress. Return the table of each probe, as `epsball.stages.measure.measure` makes
    it for a network.

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
                    found = extract_sample(family, forward, row, image, ball, compute, progress)
                    beside = drawn[family].isel(sample=[place])
                    for name in probes:
                        if family_of(name) == family:
                            parts[name].append(probe(name).measure(found, beside, context))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
