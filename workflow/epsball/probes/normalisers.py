"""The min-max normalisers g and h of Eq. 9, one scalar minimum and maximum each, from a survey."""

from __future__ import annotations

import numpy as np
import pandas as pd


def scales(table: pd.DataFrame) -> tuple[float, float]:
    """Factors of the min-max normalisers g and h of Eq. 9: 1 / (maximum - minimum) of features and of input.

    Returns:
        scale of g, scale of h; not a number where all values are equal.
    """
    spans = (
        table["feature_max"].max() - table["feature_min"].min(),
        table["input_max"].max() - table["input_min"].min(),
    )
    scale_g, scale_h = (1 / float(span) if span > 0 else np.nan for span in spans)
    return scale_g, scale_h
