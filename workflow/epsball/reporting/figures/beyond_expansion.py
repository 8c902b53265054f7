"""Not in the paper: Eq. 3 scored. How much of the change is gradient, how much Hessian, how much neither."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.claims import wide
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("expansion",)

_ORDERS = {"first": ("#d55e00", "gradient"), "second": ("#0072b2", "gradient and Hessian")}
_LOWEST = -0.25  # shown: below 0 an expansion is worse than none


def draw(results: Run) -> Figure:
    """A row a network, score beside margin: explained variance over the radius."""
    config = results.config
    figure, rows = style.rows(config, sharey=True)
    for network, row in rows.items():
        table = results.metrics("expansion", network)
        for ax, quantity in zip(row, ("score", "margin"), strict=True):
            places = style.radius_axis(ax, config)
            for order, (colour, label) in _ORDERS.items():
                samples = wide(table, f"{quantity}_{order}")
                x = [places[float(radius)] for radius in samples.columns]
                style.band(ax, x, samples.clip(lower=_LOWEST), colour, label)
            _frame(ax)
            ax.set_ylabel(f"explained: {quantity}")
        style.title(row[0], config, network, table["sample"].nunique())
    style.legend(figure, next(iter(rows.values()))[0])
    return figure


def _frame(ax: Axes) -> None:
    ax.set_ylim(_LOWEST - 0.02, 1.05)
    ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
    ax.axhline(1, color=style.GREY, lw=0.6, zorder=1)
