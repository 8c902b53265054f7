"""Fig. 4: topology. Mantel's correlation of the distances between perturbed images before and after Φ_L."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.claims import RHO_BAND
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("topology",)

_COLOUR = "#0072b2"


def draw(results: Run) -> Figure:
    """A panel a network: ρ of each sample and radius, and the paper's band."""
    figure, axes = style.panels(results.config)
    for network, ax in axes.items():
        _panel(ax, results, network)
    largest = max(abs(limit) for ax in axes.values() for limit in ax.get_ylim())
    for ax in axes.values():
        ax.set_ylim(-max(largest, 0.2), max(largest, 0.2))
    return figure


def _panel(ax: Axes, results: Run, network: str) -> None:
    table = results.metrics("topology", network)
    table = table[table["radius"] > 0]
    style.title(ax, results.config, network, table["sample"].nunique())
    places = style.radius_axis(ax, results.config)
    ax.axhspan(-RHO_BAND, RHO_BAND, color=style.FLOOR, lw=0, zorder=0)
    ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
    for radius, rows in table.groupby("radius"):
        place = places[float(str(radius))]
        ax.scatter(place + style.spread(len(rows)), rows["rho"], s=10, color=_COLOUR, alpha=0.55, lw=0, zorder=2)
        ax.plot([place - 0.36, place + 0.36], [rows["rho"].median()] * 2, color="black", lw=1.2, zorder=3)
    ax.set_ylabel("Mantel's ρ")
    inside = (table["rho"].abs() < RHO_BAND).sum()
    defined = int(table["rho"].notna().sum())
    note = f"|ρ| < {RHO_BAND:g}: {inside} of {defined}"
    if undefined := len(table) - defined:
        note += f"; undefined: {undefined}"
    style.write(ax, 0.98, 0.04, note, ha="right", color="0.35")
