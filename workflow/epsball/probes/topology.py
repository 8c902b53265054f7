"""Topology preservation (section 2.3, Fig. 4): Mantel's correlation of distances before and after Φ_L."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from epsball.probes import Context, table
from epsball.probes.mantel import feature_distances, mantel, square


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """Compute Mantel's ρ between the distances of the perturbed images and those of their features.

    At each radius there are two distance matrices: one of the T perturbed images, one of their features.

    Returns:
        Columns sample, radius, rho, p_value (two-sided, by permutation; the seed of a test is its sample's seed);
        rho_half1 and rho_half2, from the first and the second half of the draws alone: how alike they are over samples
        is how far ρ can be relied on. Not a number where all distances on one side are equal, as at radius 0: a
        correlation is not defined there.
    """
    shape = (activations.sizes["sample"], activations.sizes["radius"])
    columns = {name: np.full(shape, np.nan) for name in ("rho", "p_value", "rho_half1", "rho_half2")}
    half = activations.sizes["draw"] // 2
    for at in np.ndindex(shape):
        before, after = square(perturbations["distance"].values[at]), feature_distances(activations["features"][at])
        seed = int(activations["seed"].values[at[0]])
        columns["rho"][at], columns["p_value"][at] = mantel(before, after, context.mantel_permutations, seed)
        columns["rho_half1"][at], _ = mantel(before[:half, :half], after[:half, :half])
        columns["rho_half2"][at], _ = mantel(before[half:, half:], after[half:, half:])
    return table(columns, activations, "sample", "radius")
