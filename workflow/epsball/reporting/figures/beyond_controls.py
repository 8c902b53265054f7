"""Not in the paper: what each network does beside what its controls do, from the same perturbations."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

from epsball.analysis.run import Run
from epsball.controls import compared, name_of
from epsball.reporting.figures import style

READS = ("isotropy", "topology", "lipschitz", "controls")

_OWN = "black"
_COLOURS = {  # Okabe & Ito
    "linearised": "#d55e00",
    "rbf": "#cc79a7",
    "random-weights": "#0072b2",
    "random-projection": "#009e73",
    "identity": "#e69f00",
}
_COLUMNS = (
    ("isotropy", "range", "range of score"),
    ("topology", "rho", "Mantel's ρ"),
    ("lipschitz", "ratio", "normalised ratio"),
)


def draw(results: Run) -> Figure:
    """A row a network, a column a quantity: the median over samples, and where half of them lie."""
    config = results.config
    figure, rows = style.rows(config, len(_COLUMNS))
    for network, row in rows.items():
        for ax, (probe, column, label) in zip(row, _COLUMNS, strict=True):
            _panel(ax, results, network, probe, column)
            ax.set_ylabel(label)
        style.title(row[0], config, network, results.metrics("isotropy", network)["sample"].nunique())
    names = {"the network": _OWN} | {name: _COLOURS.get(name, style.GREY) for name in config.controls}
    handles = [Line2D([], [], color=colour, marker="o", ms=3, label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False)
    return figure


def _panel(ax: Axes, results: Run, network: str, probe: str, column: str) -> None:
    places = style.radius_axis(ax, results.config)
    shown = {name_of(network, name): _COLOURS.get(name, style.GREY) for name in compared(results.config, probe)}
    for name, colour in [*shown.items(), (network, _OWN)]:
        table = results.metrics(probe, name)
        table = table[table["radius"] > 0]
        samples = table.pivot_table(index="sample", columns="radius", values=column, aggfunc="median", dropna=False)
        style.band(ax, [places[float(radius)] for radius in samples.columns], samples, colour)
    if probe == "topology":
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
    else:
        ax.set_yscale("log")
        # Within a decade one label is none: a few between them, then.
        ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        ax.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2, 1)))
