"""Not in the paper, though its title says so: does any of it explain adversarial examples?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.adversarial_correlates import QUANTITIES, correlates
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("boundary", "gradient", "topology_mixed_radius", "isotropy", "lipschitz")

_LABELS = {
    "range": "range of score",
    "rho": "ρ, mixed norms",
    "ratio": "local ratio",
    "gradient": "‖∇ margin‖",
    "margin": "clean margin",
}
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "black")


def draw(results: Run) -> Figure:
    """A panel a quantity: a point a sample against its smallest adversarial distance; squares are networks' medians."""
    config = results.config
    figure = Figure(figsize=(style.WIDTH, 4.6))
    grid = figure.subplots(2, 3, squeeze=False, sharey=True)
    tables = {network: correlates(results, network) for network in config.networks}
    for ax, quantity in zip(grid.flat, QUANTITIES, strict=False):
        for place, (network, table) in enumerate(tables.items()):
            _points(ax, table, quantity, _COLOURS[place % len(_COLOURS)], network)
        ax.set(yscale="log", xlabel=_LABELS[quantity])
        if quantity in {"range", "gradient"}:
            ax.set_xscale("log")
        ax.minorticks_off()
    for row in grid:
        row[0].set_ylabel("smallest adversarial\ndistance (L2)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    last = grid[1, 2]
    last.axis("off")
    last.legend(handles, labels, loc="center", frameon=False)
    return figure


def _points(ax: Axes, table: pd.DataFrame, quantity: str, colour: str, name: str) -> None:
    met = table[np.isfinite(table["distance"])]
    ax.scatter(met[quantity], met["distance"], s=9, color=colour, alpha=0.5, lw=0, label=name)
    ax.scatter(
        met[quantity].median(),
        met["distance"].median(),
        s=34,
        color=colour,
        marker="s",
        edgecolor="white",
        lw=0.8,
        zorder=3,
    )
