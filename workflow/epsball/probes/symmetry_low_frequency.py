"""Not in the paper: the range of the score over permutations of one perturbation that is low in frequency."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from epsball.probes import Context
from epsball.probes.ranges import measure_ranges

FAMILY = "permuted_low_frequency"


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """See `epsball.probes.ranges.measure_ranges`."""
    return measure_ranges(activations, perturbations)
