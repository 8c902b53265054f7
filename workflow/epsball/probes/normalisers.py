"""The min-max normalisers g and h of Eq. 9, one scalar minimum and maximum each."""

from __future__ import annotations

import numpy as np
import pandas as pd


def scales(table: pd.DataFrame) -> tuple[float, float]:
    """Return the factors of g and h, 1 / (maximum - minimum) of a survey's features and of its input.

    They are not a number where all values are equal. The survey has feature_min and _max, input_min and _max.
    """
    spans = (table[f"{name}_max"].max() - table[f"{name}_min"].min() for name in ("feature", "input"))
    scale_g, scale_h = (1 / float(span) if span > 0 else np.nan for span in spans)
    return scale_g, scale_h


def read_scales(survey: str) -> tuple[float, float]:
    """Return the factors of `scales` from the Parquet file of a survey."""
    return scales(pd.read_parquet(survey))
