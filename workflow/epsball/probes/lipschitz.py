"""The local Lipschitz ratio (Eq. 9, Fig. 6), sampled in random directions.

Such a ratio estimates the Frobenius norm of the Jacobian over the square root of the input's dimension; it is no
Lipschitz constant, which is the largest ratio over all directions.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from epsball.networks.scores import Array
from epsball.probes import Context, rounding, table


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """Compute distances from the clean image, before and after Φ_L.

    Returns:
        A row a draw, columns sample, radius, draw; d_in = ‖h(x+v) - h(x)‖ and d_out = ‖g(Φ_L(x+v)) - g(Φ_L(x))‖; ratio
        d_out / d_in; ratio_per_feature, the same with a g for each feature; ratio_raw, without g and h; scale_g and
        scale_h, the factors that they are, and scale_images, from how many images; and noise_floor, the range over
        draws that rounding to float32 alone gives d_out, see `epsball.probes.rounding`. Ratios are not a number at
        radius 0.
    """
    raw_in = perturbations["norm"].values
    raw_out = distances(activations["features"], activations["clean_features"])
    scales = context.scales
    each = scales.g if scales.g_per_feature is None else scales.g_per_feature
    floor = rounding.distance_floor(activations) * scales.g
    d_in, d_out = raw_in * scales.h, raw_out * scales.g
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio, ratio_raw = d_out / d_in, raw_out / raw_in
        per_feature = distances(activations["features"], activations["clean_features"], each) / d_in
    columns = {
        "d_in": d_in,
        "d_out": d_out,
        "ratio": ratio,
        "ratio_per_feature": per_feature,
        "ratio_raw": ratio_raw,
        "scale_g": np.full(d_in.shape, scales.g),
        "scale_h": np.full(d_in.shape, scales.h),
        "scale_images": np.full(d_in.shape, scales.images),
        "noise_floor": np.repeat(floor[:, :, None], d_in.shape[2], axis=2),
    }
    return table(columns, activations, "sample", "radius", "draw")


def distances(features: xr.DataArray, clean: xr.DataArray, weights: Array | float = 1.0) -> Array:
    """Compute ‖w · (Φ_L(x+v) - Φ_L(x))‖ (sample, radius, draw) in float64; features are read one radius at a time.

    Features of the perturbed images are (sample, radius, draw, unit), of the clean ones (sample, unit), and weights
    (unit,).
    """
    out, references = np.empty(features.shape[:3]), clean.values.astype(np.float64)
    for sample, radius in np.ndindex(out.shape[:2]):
        changes = features[sample, radius].values - references[sample]
        out[sample, radius] = np.sqrt(np.square(changes * weights).sum(axis=1))
    return out
