"""Eq. 7 as in `epsball.probes.alpha`, on draws of mixed norms, whose distances vary."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from epsball.probes import Context, alpha

FAMILY = "mixed"


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """See `epsball.probes.alpha.measure`."""
    return alpha.measure(activations, perturbations, context)
