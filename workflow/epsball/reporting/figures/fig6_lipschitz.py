"""Fig. 6: distance from the clean image after Φ_L against before, normalised, with both fits and the line L = 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("lipschitz",)

_LINES: dict[str, dict[str, Any]] = {
    "linear fit": {"color": "black", "lw": 1.0},
    "quadratic fit": {"color": style.BLUE, "lw": 2.4},
    "L = 1": {"color": style.RED, "lw": 1.0, "ls": "--"},
}


def draw(run: Run) -> Figure:
    """Draw a panel for each network: a point for each draw, coloured by radius."""
    config = run.config
    radii = np.array(config.ball.radii)
    edges = np.concatenate([radii[:1] - 0.01, (radii[1:] + radii[:-1]) / 2, radii[-1:] + 1])
    colours = ScalarMappable(BoundaryNorm(edges, 256), style.SEQUENTIAL)
    figure, axes = style.panels(run, "lipschitz", sharex=False, sharey=False)
    for network, [ax] in axes.items():
        table = run.metrics("lipschitz", network).dropna(subset=["d_in", "d_out"])
        if table.empty:
            style.write(ax, 0.5, 0.5, "not defined: all features are equal", ha="center")
            continue
        shades = colours.to_rgba(table["radius"].to_numpy())
        ax.scatter(table["d_in"], table["d_out"], c=shades, s=2.5, lw=0, alpha=0.6, rasterized=True, zorder=2)
        for label, order in (("quadratic fit", 2), ("linear fit", 1)):
            how = {**_LINES[label], "zorder": 3}
            sns.regplot(table, x="d_in", y="d_out", order=order, ci=None, scatter=False, line_kws=how, ax=ax)
        top = float(table["d_out"].max()) * 1.05
        ax.plot(*[[0, min(float(table["d_in"].max()), top)]] * 2, zorder=3, **_LINES["L = 1"])
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), max(top, 1e-12))
        ax.set(xlabel="‖h(x + v) − h(x)‖", ylabel="‖g(Φ$_L$(x + v))\n− g(Φ$_L$(x))‖")
        below = (table["ratio"].dropna() < 1).mean()
        style.write(ax, 0.98, 0.04, f"ratio < 1: {below:.0%}", ha="right", color="0.2", zorder=4)
    # The bar is even: of many radii, ε would be written into 0 and 1.
    ticks = [0.0, *(r for r in style.labelled_radii(config) if len(radii) <= 9 or r != config.ball.epsilon)]
    bar = figure.colorbar(colours, ax=figure.axes, aspect=40, pad=0.01, spacing="uniform", label="radius r")
    bar.set_ticks(ticks, labels=["ε" if r == config.ball.epsilon else f"{r:g}" for r in ticks])
    bar.minorticks_off()
    handles = [Line2D([], [], label=label, **how) for label, how in _LINES.items()]
    handles.append(Line2D([], [], ls="", label=f"T = {config.ball.draws} draws"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure
