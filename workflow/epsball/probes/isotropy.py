"""Isotropy (Eq. 4, Fig. 1): the range of the score over perturbations of one norm. Zero where Φ is isotropic."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from epsball.probes import Context
from epsball.probes.ranges import measure_ranges

FAMILY = "uniform"


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """See `epsball.probes.ranges.measure_ranges`."""
    return measure_ranges(activations, perturbations)
