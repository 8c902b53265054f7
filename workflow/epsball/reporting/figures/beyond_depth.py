"""Not in the paper: topology and the local Lipschitz ratio layer by layer, from the image to the classifier."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("depth",)

_COLUMNS = (("rho", "Mantel's ρ", 0), ("relative", "relative ratio", 1))  # and where a line is drawn
_LABELLED = 12  # layers, at most


def draw(run: Run) -> Figure:
    """Draw a row for each network: ρ and the relative ratio over depth, at mixed norms and at the largest radius."""
    figure, rows = style.panels(run, "depth", 2, height=2.5, sharex=False)
    for network, row in style.available(run, rows, READS):
        table = run.metrics("depth", network)
        largest = table["radius"].max()
        names = {"mixed_radius": f"norms mixed up to {largest:g}", "uniform": f"r = {largest:g}"}
        colours = dict(zip(names.values(), (style.BLUE, style.RED), strict=True))
        at = table[table["radius"] == largest].assign(norms=table["family"].map(names))
        for ax, (column, label, line) in zip(row, _COLUMNS, strict=True):
            style.bands(ax, at, "depth", column, "norms", colours)
            _label_layers(ax, at)
            ax.axhline(line, color=style.GREY, lw=0.6, zorder=1)
            ax.set(xlabel="", ylabel=label)
        row[0].set_ylim(top=1.05)
    style.log_scale(row[1])
    style.legend(figure, colours)
    return figure


def _label_layers(ax: Axes, table: pd.DataFrame) -> None:
    layers = table.drop_duplicates("depth").set_index("depth")
    step = -(-len(layers) // _LABELLED)
    last = layers.index[-1]
    shown = [depth for depth in layers.index if depth % step == 0 and depth + step <= last] + [last]
    labels = [_label(str(layers["layer"][depth]), str(layers["kind"][depth])) for depth in shown]
    ax.set_xticks(shown, labels, rotation=55, ha="right", rotation_mode="anchor", fontsize=6)
    ax.grid(False, axis="x")


def _label(layer: str, kind: str) -> str:
    """Return the last parts of a layer's name; where they are numbers alone, its kind."""
    parts = layer.split(".")
    return kind or layer if parts[-1].isdigit() and len(parts) == 1 else ".".join(parts[-2:])
