"""Eq. 7, which the paper writes down and does not score: α with D_in α = D_out.

Were distances kept up to one scale, α would be c I. How far it is from that says something only beside the same of
shuffled features, which keep nothing: at one radius both matrices are nearly c (11ᵀ - I), and so is α whatever the
network.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.linalg import lstsq

from epsball.networks.scores import Array
from epsball.probes import Context, table
from epsball.probes.mantel import feature_distances, square


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """Compute the distance of α from the nearest multiple of the identity.

    Returns:
        Columns sample, radius; distance, ‖α - cI‖ / ‖α‖ in Frobenius norms with the best c, 0 to 1; shuffled, the same
        after shuffling the points of the output by the sample's seed; condition, the condition number of D_in. Not a
        number where all distances on one side are 0.
    """
    shape = (activations.sizes["sample"], activations.sizes["radius"])
    columns = {name: np.full(shape, np.nan) for name in ("distance", "shuffled", "condition")}
    for at in np.ndindex(shape):
        before, after = square(perturbations["distance"].values[at]), feature_distances(activations["features"][at])
        order = np.random.default_rng(int(activations["seed"].values[at[0]])).permutation(len(after))
        if before.any() and after.any():
            columns["distance"][at], columns["condition"][at] = from_identity(before, after)
            columns["shuffled"][at], _ = from_identity(before, after[np.ix_(order, order)])
    return table(columns, activations, "sample", "radius")


def from_identity(before: Array, after: Array) -> tuple[float, float]:
    """Compute ‖α - cI‖ / ‖α‖ of α = D_in⁺ D_out with the nearest c, and the condition number of D_in."""
    # The least-squares solution of least norm, by singular values: two draws may be one point, or nearly.
    alpha, _, _, values = lstsq(before, after)
    norm = float(np.square(alpha).sum())
    # The nearest c is the mean of the diagonal, and what it leaves is Pythagoras.
    left = norm - np.trace(alpha) ** 2 / len(alpha)
    return float(np.sqrt(max(left, 0.0) / norm)), float(values[0] / values[-1]) if values[-1] > 0 else np.inf
