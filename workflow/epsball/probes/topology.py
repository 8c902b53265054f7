"""Topology preservation (section 2.3, Fig. 4): Mantel's correlation of distances before and after Φ_L."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from epsball.probes import Context, table
from epsball.scores import Array
from epsball.stats import pearson

FAMILY = "uniform"


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """Mantel's ρ (Pearson) of the distance matrices of the perturbed images and of their features.

    Returns:
        Columns sample, radius, rho, p_value (two-sided, by permutation; the seed of a test is its sample's seed);
        rho_first and rho_second, from the first and the second half of the draws alone: how alike they are over samples
        is how far ρ can be relied on. Not a number where all distances on one side are equal, as at radius 0: a
        correlation is not defined there.
    """
    shape = (activations.sizes["sample"], activations.sizes["radius"])
    rho, p_value, first, second = (np.full(shape, np.nan) for _ in range(4))
    for sample, seed in enumerate(activations["seed"].values):
        inputs = perturbations["distance"].values[sample]
        for radius in range(shape[1]):
            features = activations["features"][sample, radius].values.astype(np.float64)
            before, after = square(inputs[radius]), squareform(pdist(features))
            permutations, half = context.mantel_permutations, len(features) // 2
            rho[sample, radius], p_value[sample, radius] = correlation(before, after, permutations, int(seed))
            for found, part in ((first, slice(half)), (second, slice(half, None))):
                inner = np.tril_indices(len(before[part]), -1)
                found[sample, radius] = pearson(before[part, part][inner], after[part, part][inner])
    columns = {"rho": rho, "p_value": p_value, "rho_first": first, "rho_second": second}
    return table(columns, activations, "sample", "radius")


def correlation(before: Array, after: Array, permutations: int, seed: int) -> tuple[float, float]:
    """Mantel's test of two distance matrices.

    Returns:
        ρ and its two-sided p value; both not a number where one side is constant.
    """
    from skbio.stats.distance import mantel  # takes seconds to import: not before it is needed

    pairs = np.tril_indices(len(before), -1)
    if np.ptp(before[pairs]) == 0 or np.ptp(after[pairs]) == 0:
        return np.nan, np.nan
    rho, p_value, _ = mantel(before, after, permutations=permutations, seed=np.random.default_rng(seed))
    return float(rho), float(p_value)


def square(pairs: Array) -> Array:
    """The distance matrix of pairs in the order of `epsball.ball.distances`."""
    points = round((1 + (1 + 8 * len(pairs)) ** 0.5) / 2)
    matrix = np.zeros((points, points))
    matrix[np.tril_indices(points, -1)] = pairs
    return matrix + matrix.T
