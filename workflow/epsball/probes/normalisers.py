"""The min-max normalisers g and h of Eq. 9, one scalar minimum and maximum each, from a survey."""

from __future__ import annotations

import numpy as np
import pandas as pd


def scales(table: pd.DataFrame) -> tuple[float, float]:
    """Return the factors of the min-max normalisers g and h of Eq. 9: 1 / (maximum - minimum) of features and of input.

    Args:
        table: a survey, with the columns feature_min, feature_max, input_min and input_max.

    Returns:
        scale of g, scale of h; not a number where all values are equal.
    """
    spans = (table[f"{name}_max"].max() - table[f"{name}_min"].min() for name in ("feature", "input"))
    scale_g, scale_h = (1 / float(span) if span > 0 else np.nan for span in spans)
    return scale_g, scale_h


def read_scales(survey: str) -> tuple[float, float]:
    """Return the factors of `scales` from the Parquet file of a survey."""
    return scales(pd.read_parquet(survey))
