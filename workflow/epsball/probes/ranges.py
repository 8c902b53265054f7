"""Isotropy (Eq. 4, Fig. 1) and symmetry (Eq. 6, Fig. 3): the range of the score over perturbations of one norm.

Isotropy is measured on the family `uniform`: the range is zero where Φ is isotropic. Symmetry is measured on
`permuted`, permutations of one perturbation: the range is zero where Φ is symmetric. Other families are not in the
paper.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from epsball.networks import scores
from epsball.probes import Context, rounding, table

_LOGITS = ("logit", "runner_up_logit", "log_odds")


def measure(activations: xr.Dataset, perturbations: xr.Dataset, context: Context) -> pd.DataFrame:
    """Summarise score and margin over the draws, for each sample and radius.

    Returns:
        Columns sample, radius, draws; of the score of the right class score_min, score_max, score_mean, score_sd and
        range (of Eq. 4: maximum less minimum) and noise_floor, the range that rounding to float32 alone gives; of the
        margin margin_min, margin_max, margin_sd, margin_range and margin_noise_floor, see `epsball.probes.rounding`;
        rms and fraction_outside, means of the perturbations'; misclassified, the share of draws; draw_min and draw_max,
        numbers of the draws with the lowest and the highest score (the first of equal ones), and prediction_min, the
        class that the network takes draw_min for.
    """
    prediction = activations["prediction"].values
    logit, other, log_odds = (activations[name].values for name in _LOGITS)
    shortfall, margin = scores.shortfall(log_odds), scores.margin(logit, other)
    floor = rounding.margin_floor(activations)
    slope = (scores.score(log_odds) * shortfall).max(axis=2)  # of the score by the log-odds
    lowest = shortfall.argmax(axis=2)
    columns = {
        "draws": np.full(margin.shape[:2], margin.shape[2]),
        "score_min": 1 - shortfall.max(axis=2),
        "score_max": 1 - shortfall.min(axis=2),
        "score_mean": 1 - shortfall.mean(axis=2),
        "score_sd": _sd(shortfall),
        "range": np.ptp(shortfall, axis=2),
        "noise_floor": floor * slope,
        "margin_min": margin.min(axis=2),
        "margin_max": margin.max(axis=2),
        "margin_sd": _sd(margin),
        "margin_range": np.ptp(margin, axis=2),
        "margin_noise_floor": floor,
        "rms": perturbations["rms"].values.mean(axis=2),
        "fraction_outside": perturbations["fraction_outside"].values.mean(axis=2),
        "misclassified": (prediction != activations["label"].values[:, None, None]).mean(axis=2),
        "draw_min": lowest,
        "draw_max": shortfall.argmin(axis=2),
        "prediction_min": np.take_along_axis(prediction, lowest[:, :, None], axis=2)[:, :, 0],
    }
    return table(columns, activations, "sample", "radius")


def _sd(values: scores.Array) -> scores.Array:
    """Return the standard deviation over draws; exactly 0 where all are equal, which a rounded mean would hide."""
    spread: scores.Array = np.where(np.ptp(values, axis=2) == 0, 0.0, values.std(axis=2, ddof=1))
    return spread
