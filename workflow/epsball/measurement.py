"""The measure stage: a probe on the stores of a shard."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from epsball.errors import EpsballError
from epsball.probes import Context, probe
from epsball.store import open_store


def measure(name: str, samples: pd.DataFrame, activations: Path, perturbations: Path, context: Context) -> pd.DataFrame:
    """Measure a probe on the samples that are asked for; a store may hold more of them.

    Args:
        name: of the probe.
        samples: rows of the shard.
        activations: store of the network.
        perturbations: store of the dataset.
        context: see `epsball.probes.Context`.

    Raises:
        EpsballError: a store is missing, not whole, or lacks a sample.
    """
    stores = []
    for path in (activations, perturbations):
        held = open_store(path, verify=True)
        places = {str(sample): place for place, sample in enumerate(held["sample"].values)}
        missing = [sample for sample in samples["sample"] if sample not in places]
        if missing:
            raise EpsballError(f"{path}: lacks sample {missing[0]}; remove it and run again to make it anew")
        stores.append(held.isel(sample=[places[sample] for sample in samples["sample"]]))
    return probe(name).measure(stores[0], stores[1], context)
