"""Topology preservation (section 2.3, Fig. 4): Mantel's correlation of distances before and after Φ_L."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from epsball.networks.scores import Array
from epsball.probes import Context, table
from epsball.probes.mantel import mantel, pearson

FAMILY = "uniform"

_ENTRIES = 2**20  # of distance matrices that are looked at together: memory does not grow with the radii


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """Mantel's ρ (Pearson) of the distance matrices of the perturbed images and of their features.

    Returns:
        Columns sample, radius, rho, p_value (two-sided, by permutation; the seed of a test is its sample's seed);
        rho_half1 and rho_half2, from the first and the second half of the draws alone: how alike they are over samples
        is how far ρ can be relied on. Not a number where all distances on one side are equal, as at radius 0: a
        correlation is not defined there.
    """
    shape = (activations.sizes["sample"], activations.sizes["radius"])
    rho, p_value, first, second = (np.full(shape, np.nan) for _ in range(4))
    draws = activations.sizes["draw"]
    step, half = max(1, _ENTRIES // draws**2), draws // 2
    for sample, seed in enumerate(activations["seed"].values):
        inputs = perturbations["distance"].values[sample]
        for start in range(0, shape[1], step):
            radii = range(start, min(start + step, shape[1]))
            before = np.stack([square(inputs[radius]) for radius in radii])
            after = np.stack([distances(activations["features"][sample, radius]) for radius in radii])
            found = mantel(before, after, context.mantel_permutations, int(seed))
            rho[sample, radii], p_value[sample, radii] = found
            for place, radius in enumerate(radii):
                first[sample, radius] = _correlation(before[place, :half, :half], after[place, :half, :half])
                second[sample, radius] = _correlation(before[place, half:, half:], after[place, half:, half:])
    columns = {"rho": rho, "p_value": p_value, "rho_half1": first, "rho_half2": second}
    return table(columns, activations, "sample", "radius")


def distances(features: xr.DataArray) -> Array:
    """The distance matrix of the features (draws, units), in float64."""
    matrix: Array = squareform(pdist(features.values.astype(np.float64)))
    return matrix


def _correlation(before: Array, after: Array) -> float:
    inner = np.tril_indices(len(before), -1)
    return pearson(before[inner], after[inner])


def square(pairs: Array) -> Array:
    """The distance matrix of pairs in the order of `epsball.perturbations.ball.distances`."""
    points = round((1 + (1 + 8 * len(pairs)) ** 0.5) / 2)
    matrix = np.zeros((points, points))
    matrix[np.tril_indices(points, -1)] = pairs
    return matrix + matrix.T
