"""Not in the paper: topology and the local Lipschitz ratio layer by layer, from the image to the classifier."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("depth",)

_MIXED, _ONE = "#0072b2", "#d55e00"
_LABELLED = 12  # layers, at most


def draw(results: Run) -> Figure:
    """A row a network: ρ at mixed norms and at the largest radius, and the relative ratio, over depth."""
    config = results.config
    figure, rows = style.rows(config, height=2.5)
    for network, row in rows.items():
        table = results.metrics("depth", network)
        largest = table["radius"].max()
        at = table[table["radius"] == largest]
        cells = {
            f"norms mixed up to {largest:g}": (at[at["family"] == "mixed_radius"], _MIXED),
            f"r = {largest:g}": (at[at["family"] == "uniform"], _ONE),
        }
        for ax, column, label in zip(row, ("rho", "relative"), ("Mantel's ρ", "relative ratio"), strict=True):
            for name, (cell, colour) in cells.items():
                samples = cell.pivot_table(index="sample", columns="depth", values=column, dropna=False)
                style.band(ax, list(samples.columns), samples, colour, name)
            _layers(ax, at)
            ax.set_ylabel(label)
        row[0].axhline(0, color=style.GREY, lw=0.6, zorder=1)
        row[0].set_ylim(top=1.05)
        row[1].set_yscale("log")
        row[1].axhline(1, color=style.GREY, lw=0.6, zorder=1)
        row[1].legend(loc="best", frameon=False, fontsize="small")
        style.title(row[0], config, network, table["sample"].nunique())
    return figure


def _layers(ax: Axes, table: pd.DataFrame) -> None:
    names = table.drop_duplicates("depth").set_index("depth")
    step = -(-len(names) // _LABELLED)
    shown = [place for place in names.index if place % step == 0 and place + step <= names.index[-1]]
    shown.append(names.index[-1])
    labels = [_label(str(names["layer"][place]), str(names["kind"][place])) for place in shown]
    ax.set_xticks(shown, labels, rotation=55, ha="right", rotation_mode="anchor", fontsize=5)
    ax.grid(False, axis="x")


def _label(layer: str, kind: str) -> str:
    """The last parts of a layer's name; where they are numbers alone, its kind."""
    parts = layer.split(".")
    return kind or layer if parts[-1].isdigit() and len(parts) == 1 else ".".join(parts[-2:])
