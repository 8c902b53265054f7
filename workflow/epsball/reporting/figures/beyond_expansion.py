"""Not in the paper: Eq. 3 scored. How much of the change is gradient, how much Hessian, how much neither."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("expansion",)

_COLOURS = {"gradient": style.RED, "gradient and Hessian": style.BLUE}
_LOWEST = -0.25  # shown: below 0 an expansion is worse than none


def draw(run: Run) -> Figure:
    """Draw a row for each network, score beside margin: explained variance over the radius."""
    figure, rows = style.panels(run, "expansion", 2, height=1.9)
    for network, row in style.available(run, rows, READS):
        table = run.metrics("expansion", network)
        for ax, quantity in zip(row, ("score", "margin"), strict=True):
            orders = {f"{quantity}_first": "gradient", f"{quantity}_second": "gradient and Hessian"}
            shares = table.rename(columns=orders).melt(["sample", "radius"], list(_COLOURS), "order", "share")
            shares["share"] = shares["share"].clip(lower=_LOWEST)
            style.bands(ax, style.radius_axis(ax, run.config, shares), "place", "share", "order", _COLOURS)
            for level in (0, 1):
                ax.axhline(level, color=style.GREY, lw=0.6, zorder=1)
            ax.set(ylim=(_LOWEST - 0.02, 1.05), ylabel=f"explained: {quantity}")
    style.legend(figure, _COLOURS)
    return figure
