"""Topology preservation (section 2.3, Fig. 4): Mantel's correlation of distances before and after Φ_L."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from epsball.mantel import mantel
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
        before = np.stack([square(pairs) for pairs in perturbations["distance"].values[sample]])
        after = np.stack([_distances(activations["features"][sample, radius]) for radius in range(shape[1])])
        rho[sample], p_value[sample] = mantel(before, after, context.mantel_permutations, int(seed))
        half = before.shape[-1] // 2
        for found, part in ((first, slice(half)), (second, slice(half, None))):
            inner = np.tril_indices(before[0, part, part].shape[0], -1)
            for radius in range(shape[1]):
                found[sample, radius] = pearson(before[radius, part, part][inner], after[radius, part, part][inner])
    columns = {"rho": rho, "p_value": p_value, "rho_first": first, "rho_second": second}
    return table(columns, activations, "sample", "radius")


def _distances(features: xr.DataArray) -> Array:
    """The distance matrix of the draws' features."""
    matrix: Array = squareform(pdist(features.values.astype(np.float64)))
    return matrix


def square(pairs: Array) -> Array:
    """The distance matrix of pairs in the order of `epsball.ball.distances`."""
    points = round((1 + (1 + 8 * len(pairs)) ** 0.5) / 2)
    matrix = np.zeros((points, points))
    matrix[np.tril_indices(points, -1)] = pairs
    return matrix + matrix.T
