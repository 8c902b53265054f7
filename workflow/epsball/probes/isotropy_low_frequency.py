"""Not in the paper: the range of the score over perturbations of one norm that are constant over 8 × 8 pixels."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from epsball.probes import Context
from epsball.probes.ranges import measure_ranges

FAMILY = "low_frequency"


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """See `epsball.probes.ranges.measure_ranges`."""
    return measure_ranges(activations, perturbations)
