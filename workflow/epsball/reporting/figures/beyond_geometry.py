"""Not in the paper: what Mantel's ρ and Eq. 7 say at one radius and, where distances vary, at mixed ones."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("topology", "topology_mixed_radius", "alpha", "alpha_mixed_radius")

_OWN, _SHUFFLED = "#0072b2", "#d55e00"


def draw(results: Run) -> Figure:
    """A panel a network: a point a sample, at the largest radius and at norms mixed up to it."""
    figure, axes = style.panels(results.config)
    for network, ax in axes.items():
        _panel(ax, results, network)
    return figure


def _panel(ax: Axes, results: Run, network: str) -> None:
    largest = max(results.config.ball.radii)
    tables = {name: results.metrics(name, network) for name in READS}
    tables = {name: table[table["radius"] == largest] for name, table in tables.items()}
    style.title(ax, results.config, network, tables["topology"]["sample"].nunique())
    columns: list[tuple[str, pd.Series, str]] = [
        (f"ρ\nr = {largest:g}", tables["topology"]["rho"], _OWN),
        ("ρ\nmixed", tables["topology_mixed_radius"]["rho"], _OWN),
        (f"α\nr = {largest:g}", tables["alpha"]["distance"], _OWN),
        (f"shuffled\nr = {largest:g}", tables["alpha"]["shuffled"], _SHUFFLED),
        ("α\nmixed", tables["alpha_mixed_radius"]["distance"], _OWN),
        ("shuffled\nmixed", tables["alpha_mixed_radius"]["shuffled"], _SHUFFLED),
    ]
    for place, (_, values, colour) in enumerate(columns):
        style.column(ax, place, values, colour)
    ax.axvline(1.5, color=style.GREY, lw=0.6)
    ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
    ax.set_xticks(range(len(columns)), [label for label, _, _ in columns], fontsize=6)
    ax.grid(False, axis="x")
    ax.set(xlim=(-0.6, len(columns) - 0.4), ylim=(min(-0.1, ax.get_ylim()[0]), 1.05), ylabel="ρ; ‖α − cI‖ / ‖α‖")
