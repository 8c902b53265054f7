"""Distance matrices and Mantel's test of them (Mantel 1967), as scikit-bio computes it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from epsball.errors import require_docstrings
from epsball.networks.scores import Array

require_docstrings()

from skbio.stats import distance  # noqa: E402  # would fail without them

_MIN_POINTS = 3  # of scikit-bio's test: two points have one distance, which correlates with nothing


def mantel(before: Array, after: Array, permutations: int = 0, seed: int = 0) -> tuple[float, float]:
    """Correlate the distances in two matrices, and test the correlation by permuting the points of one.

    Args:
        before: distance matrix (n, n).
        after: distance matrix (n, n) of the same points elsewhere.
        permutations: number of permutations behind the p value; 0 for none.
        seed: seed of the permutations.

    Returns:
        Mantel's ρ (Pearson) and its two-sided p value. Both are not a number where one matrix has only equal
        distances, or fewer than three points: a correlation is not defined there. Without permutations the p value
        is not a number.
    """
    lower = np.tril_indices(len(before), -1)
    if len(before) < _MIN_POINTS or any(np.ptp(matrix[lower]) == 0 for matrix in (before, after)):
        return np.nan, np.nan
    # The other engine compiles itself in each process, which takes longer than a shard's tests.
    rho, p_value, _ = distance.mantel(before, after, permutations=permutations, seed=seed, engine="cython")
    return float(rho), float(p_value)


def square(pairs: Array) -> Array:
    """Return the distance matrix of pairs in the order of `epsball.perturbations.ball.distances`."""
    points = round((1 + (1 + 8 * len(pairs)) ** 0.5) / 2)
    matrix = np.zeros((points, points))
    matrix[np.tril_indices(points, -1)] = pairs
    return matrix + matrix.T


def feature_distances(features: xr.DataArray) -> Array:
    """Compute the matrix of Euclidean distances between features (draw, unit), in float64."""
    matrix: Array = squareform(pdist(features.values.astype(np.float64)))
    return matrix
