"""The measure stage: measure probes on the stores of a shard."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from epsball.config import Ball
from epsball.probes import Context, probe
from epsball.runs.gaps import explained
from epsball.runs.store import open_part


def measure(
    name: str, samples: pd.DataFrame, activations: Path, perturbations: Path, spec: Ball, context: Context
) -> pd.DataFrame:
    """Measure a probe on the requested samples, radii and draws; a store may hold more.

    Raises:
        EpsballError: a store is missing, not whole, or lacks a requested item.
        UnavailableError: the probe fails.
    """
    held = open_part(activations, samples, spec.radii, spec.draws)
    drawn = open_part(perturbations, samples, spec.radii, spec.draws)
    # One sample at a time: memory does not grow with the shard.
    one = ({"sample": [place]} for place in range(len(samples)))
    with explained(f"probe '{name}'", str(held.attrs.get("network", ""))):
        parts = [probe(name).measure(held.isel(place), drawn.isel(place), context) for place in one]
    return pd.concat(parts, ignore_index=True)
