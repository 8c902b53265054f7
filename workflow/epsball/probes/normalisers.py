"""The min-max normalisers g and h of Eq. 9: one minimum and maximum each, or for g one of each feature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from epsball.runs import files

if TYPE_CHECKING:
    from epsball.networks.scores import Array

# With fewer images behind g, the span of the features is too small and ratios are too large; docs/pool.py measures it.
ENOUGH_IMAGES = 500


class Scales(NamedTuple):
    """Factors 1 / (maximum - minimum), and how many images are behind them."""

    g: float  #: for features; not a number where all are equal
    h: float  #: for images
    g_per_feature: Array | None = None  #: (unit,), 0 for a feature that is the same for all images; None: g for each
    images: int = 0


def scales(table: pd.DataFrame, features: pd.DataFrame) -> Scales:
    """Return the factors of g and h from a survey.

    Args:
        table: a row per image, with feature_min and _max, input_min and _max.
        features: a row per feature, with minimum and maximum.
    """
    spans = (table[f"{name}_max"].max() - table[f"{name}_min"].min() for name in ("feature", "input"))
    g, h = (1 / float(span) if span > 0 else np.nan for span in spans)
    span = (features["maximum"] - features["minimum"]).to_numpy(float)
    each = np.divide(1, span, out=np.zeros_like(span), where=span > 0)
    return Scales(g, h, each, len(table))


def features_path(survey: Path) -> Path:
    """Return where the extremes of each feature stand, beside the Parquet file of a survey."""
    return survey.with_suffix(".features.parquet")


def read_scales(survey: Path) -> Scales:
    """Return the factors of `scales` from the Parquet files of a survey."""
    return scales(files.read_table(survey), files.read_table(features_path(survey)))
