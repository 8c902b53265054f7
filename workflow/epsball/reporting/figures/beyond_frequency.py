"""Not in the paper: the frequency argument of section 2.2, filter by filter of the first layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("frequency",)

_FAMILIES = {
    "permuted": ("#0072b2", "permuted noise"),
    "low_frequency": ("#d55e00", "low-frequency noise"),
    "permuted_low_frequency": ("#009e73", "the same, permuted"),
}

_DEAD = 1e-8  # of the strongest filter's energy: what answers less has no weights to speak of


def draw(results: Run) -> Figure:
    """A row a network, a point a filter: measured energy against a flat spectrum's, and against Parseval's."""
    config = results.config
    figure, rows = style.rows(config, height=2.4)
    for network, row in rows.items():
        table = results.metrics("frequency", network)
        style.title(row[0], config, network, table["sample"].nunique())
        means = table.groupby(["family", "filter"], sort=False)[["measured", "white", "parseval"]].mean()
        means = means[means["white"] > _DEAD * means["white"].max()]
        for ax, column, label in zip(
            row, ("white", "parseval"), ("a flat spectrum", "the spectra, by Parseval"), strict=True
        ):
            for family, (colour, name) in _FAMILIES.items():
                points = means.loc[family]
                ax.scatter(points[column], points["measured"], label=name, alpha=0.7, **_marker(family, colour))
            _frame(ax, means["measured"].to_numpy(float))
            ax.set(xlabel=f"mean square predicted by {label}", ylabel="measured")
    style.legend(figure, next(iter(rows.values()))[0])
    return figure


def _marker(family: str, colour: str) -> dict[str, Any]:
    """Permuted noise lies where permuted low frequencies do: its points are rings around theirs."""
    if family == "permuted":
        return {"s": 18, "facecolors": "none", "edgecolors": colour, "lw": 0.8}
    return {"s": 7, "color": colour, "lw": 0}


def _frame(ax: Axes, measured: np.ndarray) -> None:
    ends = [measured[measured > 0].min(), measured.max()]
    ax.plot(ends, ends, color=style.GREY, lw=0.7, zorder=1)
    ax.set(xscale="log", yscale="log")
    if ends[1] < 100 * ends[0]:  # too few powers of ten to label an axis by
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(9, 9)))
    ax.minorticks_off()
