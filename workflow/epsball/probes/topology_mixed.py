"""Topology preservation as in `epsball.probes.topology`, on draws of mixed norms, whose distances vary."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from epsball.probes import Context, topology

FAMILY = "mixed"


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """See `epsball.probes.topology.measure`."""
    return topology.measure(activations, perturbations, context)
