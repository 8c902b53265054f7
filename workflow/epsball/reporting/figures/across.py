"""Figures of many networks of a dataset: what goes with their smallest adversarial distance."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from epsball.analysis.across_networks import NOTHING
from epsball.analysis.intervals import LEVEL
from epsball.analysis.properties import ACCURACY, DISTANCE, FACTOR, PROPERTIES, factors
from epsball.analysis.run import Run
from epsball.reporting.figures import style

#: Statistics of `epsball.analysis.across_networks`, and what an axis calls them.
STATISTICS = {
    "correlation": "rank correlation",
    "partial correlation": "the same beyond\nmargin and accuracy",
    "mixed model": "coefficient of\na mixed model",
    "gain": "squared error taken\nfrom a baseline",
}

_LINE = 26  # characters of a property's words
_NARROW = 3  # a logarithmic axis of less than that has no ticks to speak of, and needs none


def across_networks(run: Run) -> Figure:
    """Draw `against_distance` of the dataset that the page is of."""
    return against_distance(_of_dataset(run, run.properties), _of_dataset(run, run.across_networks))


def across_correlations(run: Run) -> Figure:
    """Draw `correlations` of the dataset that the page is of."""
    return correlations(_of_dataset(run, run.across_networks))


def against_distance(table: pd.DataFrame, related: pd.DataFrame) -> Figure:
    """Draw each property against the smallest adversarial distance, a point for each network, its factors as colours.

    Points are medians over a network's samples; the title has Spearman's correlation with its interval.

    Args:
        table: see `epsball.analysis.properties.properties`.
        related: see `epsball.analysis.across_networks.across_networks`.
    """
    if related.empty:
        return style.words(NOTHING)
    ranked = related[related["statistic"] == "correlation"].set_index("property")
    shown = [name for name in PROPERTIES if name in ranked.index]
    levels = {column: table.groupby("network", sort=False)[column].first().fillna("none") for column in factors(table)}
    medians = table.groupby("network", sort=False)[[DISTANCE, *shown, ACCURACY]].median()
    medians = medians.assign(**{column.removeprefix(FACTOR): level for column, level in levels.items()})
    how: dict[str, Any] = dict(zip(("hue", "style"), (column.removeprefix(FACTOR) for column in levels), strict=False))
    if how:
        how["palette"] = style.many(medians[how["hue"]].nunique())
    panels = [*shown, ACCURACY]
    down = -(-len(panels) // 3)
    figure = Figure(figsize=(style.WIDTH, 1.9 * down + 0.9))
    grid = figure.subplots(down, 3, sharey=True, squeeze=False).ravel()
    for number, (ax, name) in enumerate(zip(grid, panels, strict=False)):
        sns.scatterplot(medians, x=name, y=DISTANCE, s=22, lw=0.3, legend=bool(how) and number == 0, ax=ax, **how)
        words = PROPERTIES[name].words if name in PROPERTIES else "accuracy"
        ax.set(xlabel=textwrap.fill(words, _LINE), ylabel="adversarial distance (L2)")
        if name in PROPERTIES and PROPERTIES[name].log and medians[name].max() > _NARROW * medians[name].min():
            style.log_scale(ax, "x")
        if name in ranked.index:
            row = ranked.loc[name]
            ax.set_title(f"{row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f})", fontsize="small")
    style.log_scale(ax)
    for ax in grid[len(panels) :]:
        ax.remove()
    if how:
        handles, labels = grid[0].get_legend_handles_labels()
        grid[0].get_legend().remove()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize="small")
    return figure


def correlations(related: pd.DataFrame) -> Figure:
    """Draw a column for each statistic, a row for each property: the estimate with its interval.

    Args:
        related: see `epsball.analysis.across_networks.across_networks`.
    """
    if related.empty:
        return style.words(NOTHING)
    shown = [name for name in STATISTICS if (related["statistic"] == name).any()]
    names = list(related["property"].unique())[::-1]
    figure = Figure(figsize=(style.WIDTH, 0.28 * len(names) + 1.0))
    for ax, statistic in zip(figure.subplots(1, len(shown), sharey=True, squeeze=False)[0], shown, strict=True):
        rows = related[(related["statistic"] == statistic) & related["estimate"].notna()]
        places, sure = rows["property"].map(names.index), rows["p_adjusted"] < 1 - LEVEL
        colours = np.where(sure, style.BLUE, style.GREY)
        ax.hlines(places, rows["low"], rows["high"], color=colours, lw=1.2)
        points: dict[str, Any] = {"s": 22, "lw": 1, "ec": colours, "zorder": 3}
        sns.scatterplot(x=rows["estimate"], y=places, fc=np.where(sure, colours, "white"), ax=ax, **points)
        ax.axvline(0, color="black", lw=0.8, zorder=1)
        ax.set_xlabel(STATISTICS[statistic], fontsize="small")
        ax.set(ylabel="", ylim=(-0.6, len(names) - 0.4))
        low, high = rows["low"].min(), rows["high"].max()
        ax.set_xlim((-1.12, 1.12) if "correlation" in statistic else (max(low, -2.0) - 0.1, min(high, 2.0) + 0.1))
        ax.set_yticks(range(len(names)), [textwrap.fill(PROPERTIES[name].words, _LINE) for name in names])
        ax.grid(False, axis="y")
    key: dict[str, dict[str, Any]] = {
        "not 0, of all properties together (Holm)": {"color": style.BLUE},
        "may be 0": {"color": style.GREY, "mfc": "white"},
    }
    handles = [Line2D([], [], label=label, marker="o", ms=4.5, lw=1.2, **how) for label, how in key.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _of_dataset(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    return table[table["dataset"] == run.config.networks[run.networks[0]].dataset]
