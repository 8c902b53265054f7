"""The measure stage: a probe on the stores of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from epsball.config import Ball
from epsball.probes import Context, probe
from epsball.runs.store import open_part


def measure(
    name: str, samples: pd.DataFrame, activations: Path, perturbations: Path, spec: Ball, context: Context
) -> pd.DataFrame:
    """Measure a probe on the samples, radii and draws that are asked for; a store may hold more.

    Args:
        name: of the probe.
        samples: rows of the shard.
        activations: store of the network.
        perturbations: store of the dataset.
        spec: radii and draws.
        context: see `epsball.probes.Context`.

    Raises:
        EpsballError: a store is missing, not whole, or lacks some of it.
    """
    held = open_part(activations, samples, spec.radii, spec.draws)
    drawn = open_part(perturbations, samples, spec.radii, spec.draws)
    # One sample at a time: memory does not grow with the shard.
    one = ({"sample": [place]} for place in range(len(samples)))
    parts = [probe(name).measure(held.isel(place), drawn.isel(place), context) for place in one]
    return pd.concat(parts, ignore_index=True)


def gather(parts: Sequence[Path], samples: pd.DataFrame) -> pd.DataFrame:
    """The table of a network from those of its shards, in the order of the samples."""
    table = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    place = {sample: number for number, sample in enumerate(samples["sample"])}
    return table.sort_values("sample", key=lambda column: column.map(place), kind="stable", ignore_index=True)
