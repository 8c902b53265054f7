"""Fig. 6: distance from the clean image after Φ_L against before, normalised, with both fits and the line L = 1."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from epsball.analysis import intervals
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("lipschitz",)


def draw(results: Run) -> Figure:
    """A panel a network: a point a draw, colour its radius."""
    config = results.config
    radii = np.array(config.ball.radii)
    # The bar is even: of many radii, ε would be written into 0 and 1.
    ticks = [0.0, *(radius for radius in style.shown(config) if len(radii) <= 9 or radius != config.ball.epsilon)]
    edges = np.concatenate([radii[:1] - 0.01, (radii[1:] + radii[:-1]) / 2, radii[-1:] + 1])
    colours = ScalarMappable(BoundaryNorm(edges, 256), style.SEQUENTIAL)
    figure, axes = style.panels(config, sharey=False)
    for network, ax in axes.items():
        _panel(ax, results, network, colours)
    bar = figure.colorbar(
        colours, ax=list(axes.values()), label="radius r", aspect=40, pad=0.01, ticks=ticks, spacing="uniform"
    )
    bar.ax.set_yticklabels(["ε" if radius == config.ball.epsilon else f"{radius:g}" for radius in ticks])
    bar.ax.minorticks_off()
    figure.legend(
        handles=[
            Line2D([], [], color="black", lw=1.0, label="linear fit"),
            Line2D([], [], color="#2166ff", lw=2.4, label="quadratic fit"),
            Line2D([], [], color="#d55e00", lw=1, ls="--", label="L = 1"),
            Line2D([], [], ls="", label=f"T = {config.ball.draws} draws"),
        ],
        loc="outside lower center",
        ncols=4,
        frameon=False,
    )
    return figure


def _panel(ax: Axes, results: Run, network: str, colours: ScalarMappable) -> None:
    table = results.metrics("lipschitz", network)
    style.title(ax, results.config, network, table["sample"].nunique())
    shade = colours.to_rgba(table["radius"].to_numpy())
    ax.scatter(table["d_in"], table["d_out"], c=shade, s=2.5, lw=0, alpha=0.6, rasterized=True, zorder=2)
    known = table.dropna(subset=["d_in", "d_out"])
    ax.set_xlabel("‖h(x + v) − h(x)‖")
    ax.set_ylabel("‖g(Φ$_L$(x + v))\n− g(Φ$_L$(x))‖")
    if known.empty:
        ax.text(0.5, 0.5, "not defined: all features are equal", transform=ax.transAxes, ha="center")
        return
    x = np.linspace(0, known["d_in"].max(), 200)
    for degree, colour, width in ((2, "#2166ff", 2.4), (1, "black", 1.0)):
        fit = intervals.polynomial(known["d_in"].to_numpy(), known["d_out"].to_numpy(), degree)
        ax.plot(x, np.polyval(fit, x), color=colour, lw=width, zorder=3)
    top = float(known["d_out"].max()) * 1.05
    end = min(float(x[-1]), top)
    ax.plot([0, end], [0, end], color="#d55e00", lw=1, ls="--", zorder=3)
    ax.set_ylim(min(0.0, ax.get_ylim()[0]), max(top, 1e-12))
    below = (known["ratio"].dropna() < 1).mean()
    style.write(ax, 0.98, 0.04, f"ratio < 1: {below:.0%}", ha="right", color="0.2", zorder=4)
