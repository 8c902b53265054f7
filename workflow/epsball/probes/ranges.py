"""The range of the score over perturbations of one norm: what isotropy and symmetry both measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from epsball.networks import scores
from epsball.probes import table


def measure_ranges(activations: xr.Dataset, perturbations: xr.Dataset) -> pd.DataFrame:
    """Summaries over the draws, for each sample and radius.

    Returns:
        Columns sample, radius, draws; of the score of the right class score_min, score_max, score_mean, score_sd and
        range (of Eq. 4: maximum less minimum); noise_floor, the range of (float32 score - float64 score) over the draws
        that were computed twice; of the margin margin_min, margin_max, margin_sd, margin_range and margin_noise_floor;
        rms and fraction_outside, means of the perturbations'; misclassified, the share of draws; draw_min and draw_max,
        numbers of the draws with the lowest and the highest score (the first of equal ones), and prediction_min, the
        class that the network takes draw_min for.
    """
    arrays = {name: activations[name].values for name in ("logit", "runner_up_logit", "logsumexp", "prediction")}
    shortfall = scores.shortfall(arrays["logit"], arrays["logsumexp"])
    margin = scores.margin(arrays["logit"], arrays["runner_up_logit"])
    float64 = {name: activations[f"float64_{name}"].values for name in ("logit", "runner_up_logit", "logsumexp")}
    twice = float64["logit"].shape[2]
    score_error = shortfall[:, :, :twice] - scores.shortfall(float64["logit"], float64["logsumexp"])
    margin_error = margin[:, :, :twice] - scores.margin(float64["logit"], float64["runner_up_logit"])
    draws = margin.shape[2]
    wrong = arrays["prediction"] != activations["label"].values[:, None, None]
    lowest = shortfall.argmax(axis=2)
    return table(
        {
            "draws": np.full(margin.shape[:2], draws),
            "score_min": 1 - shortfall.max(axis=2),
            "score_max": 1 - shortfall.min(axis=2),
            "score_mean": 1 - shortfall.mean(axis=2),
            "score_sd": _sd(shortfall),
            "range": np.ptp(shortfall, axis=2),
            "noise_floor": np.ptp(score_error, axis=2),
            "margin_min": margin.min(axis=2),
            "margin_max": margin.max(axis=2),
            "margin_sd": _sd(margin),
            "margin_range": np.ptp(margin, axis=2),
            "margin_noise_floor": np.ptp(margin_error, axis=2),
            "rms": perturbations["rms"].values.mean(axis=2),
            "fraction_outside": perturbations["fraction_outside"].values.mean(axis=2),
            "misclassified": wrong.mean(axis=2),
            "draw_min": lowest,
            "draw_max": shortfall.argmin(axis=2),
            "prediction_min": np.take_along_axis(arrays["prediction"], lowest[:, :, None], axis=2)[:, :, 0],
        },
        activations,
        "sample",
        "radius",
    )


def _sd(values: scores.Array) -> scores.Array:
    """Standard deviation over draws; exactly 0 where all are equal, which a rounded mean would hide."""
    spread: scores.Array = np.where(np.ptp(values, axis=2) == 0, 0.0, values.std(axis=2, ddof=1))
    return spread
