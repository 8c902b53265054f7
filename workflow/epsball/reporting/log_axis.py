"""Ranges on a log axis, which has no place for 0: what the figures and the charts of the report share."""

from __future__ import annotations

import numpy as np
import pandas as pd

from epsball.analysis.claims import NOISE_FLOOR_FACTOR


def lowest_drawn(ranges: pd.Series, floors: pd.Series) -> float:
    """Return the lowest value to draw on a log axis; smaller ranges are drawn there.

    Args:
        ranges: ranges, at least 0.
        floors: noise floor of each range.

    Returns:
        The smallest positive value among the ranges and the tenfold floors.
    """
    values = np.concatenate([ranges, NOISE_FLOOR_FACTOR * floors])
    positive = values[values > 0]
    return float(positive.min()) if positive.size else float(np.finfo(np.float64).eps)
