"""Where figures and the charts of the report put things: radii evenly spaced, samples side by side, no range at 0."""

from __future__ import annotations

import numpy as np
import pandas as pd

from epsball.analysis.claims import NOISE_FLOOR_FACTOR
from epsball.config import Ball


def radius_name(radius: float, ball: Ball) -> str:
    """Write a radius for an axis."""
    return "ε" if radius == ball.epsilon else f"{radius:g}"


def beyond_zero(table: pd.DataFrame, ball: Ball) -> pd.DataFrame:
    """Return a table's rows beyond radius 0, with the number of their radius among these as `place`."""
    places = {radius: place for place, radius in enumerate(radius for radius in ball.radii if radius > 0)}
    return table[table["radius"] > 0].assign(place=lambda beyond: beyond["radius"].map(places))


def side_by_side(table: pd.DataFrame) -> pd.Series:
    """Return the `place` of each row moved sidewards, so that the samples at one place do not hide each other."""
    at = table.groupby("place")["place"]
    last = at.transform("size") - 1
    moved: pd.Series = table["place"] + 0.64 * (at.cumcount() - last / 2) / last.clip(lower=1)
    return moved


def smallest_range(table: pd.DataFrame, prefix: str = "") -> float:
    """Return the smallest positive value of ranges and tenfold noise floors: where a log axis has what is 0."""
    values = np.concatenate([table[f"{prefix}range"], NOISE_FLOOR_FACTOR * table[f"{prefix}noise_floor"]])
    bottom = float(values[values > 0].min(initial=np.inf))
    return bottom if np.isfinite(bottom) else float(np.finfo(np.float64).eps)


def ranges_for_log_axis(table: pd.DataFrame, prefix: str = "", bottom: float | None = None) -> pd.DataFrame:
    """Add to a table of isotropy or symmetry where its ranges are drawn on a log axis, which has no place for 0.

    Args:
        table: the table.
        prefix: that of the columns range and noise_floor: "margin_" for the margin.
        bottom: lowest place on the axis; by default that of the table alone.

    Returns:
        With `x`, side by side; `y`, the range, and `floor`, its tenfold noise floor, neither below the bottom;
        `level`, the tenfold floor itself; `kind`, what the marker says: right, wrong or noise.
    """
    ranges, level = table[f"{prefix}range"], NOISE_FLOOR_FACTOR * table[f"{prefix}noise_floor"]
    bottom = smallest_range(table, prefix) if bottom is None else bottom
    return table.assign(
        x=side_by_side(table),
        y=ranges.clip(lower=bottom),
        floor=level.clip(lower=bottom),
        level=level,
        kind=np.select([ranges <= level, table["misclassified"] > 0], ["noise", "wrong"], "right"),
    )
