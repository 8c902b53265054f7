"""The range of score or margin against the radius: what figures 1 and 3 and their margin twins draw."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from epsball.analysis.claims import NOISE_FLOOR_FACTOR, lowest_drawn
from epsball.analysis.run import Run
from epsball.reporting.figures import style


class Quantity(NamedTuple):
    """What has a range: its columns and its name."""

    name: str
    range: str
    floor: str


SCORE = Quantity("score", "range", "noise_floor")
MARGIN = Quantity("margin (logits)", "margin_range", "margin_noise_floor")

_FLOOR = "0.65"


def draw_ranges(results: Run, probe: str, quantity: Quantity) -> Figure:
    """A panel a network: range on a log axis against radius, colour the mean score, the noise floor shaded."""
    config = results.config
    tables = {network: results.metrics(probe, network) for network in config.networks}
    lowest = min(float(table["score_mean"].min()) for table in tables.values())
    colours = ScalarMappable(Normalize(min(lowest, 0.9), 1), style.SEQUENTIAL)
    figure, axes = style.panels(config, sharey=False)
    for network, ax in axes.items():
        _panel(ax, results, network, tables[network], quantity, colours)
    figure.colorbar(colours, ax=list(axes.values()), label="mean score of the right class", aspect=40, pad=0.01)
    kind = "draws" if probe == "isotropy" else "permutations"
    figure.legend(
        handles=[
            Line2D([], [], marker="o", ls="", color=style.GREY, label="all draws classified right"),
            Line2D([], [], marker="s", ls="", color=style.GREY, label="at least one misclassified"),
            Line2D([], [], marker="v", ls="", mfc="none", color=style.GREY, label="at the floor"),
            Line2D(
                [],
                [],
                marker="_",
                ls="",
                color=_FLOOR,
                mew=1.2,
                label=f"{NOISE_FLOOR_FACTOR} rounding floors of the sample",
            ),
            Line2D([], [], ls="", label=f"T = {config.ball.draws} {kind}"),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        columnspacing=1.5,
        handletextpad=0.4,
    )
    return figure


def _panel(
    ax: Axes, results: Run, network: str, table: pd.DataFrame, quantity: Quantity, colours: ScalarMappable
) -> None:
    config = results.config
    samples = table["sample"].nunique()
    style.title(ax, config, network, samples)
    places = style.radius_axis(ax, config)
    ax.set_yscale("log")
    ax.set_ylabel(f"range of {quantity.name}")
    beyond = table[table["radius"] > 0]
    at_floor = beyond[quantity.range] <= NOISE_FLOOR_FACTOR * beyond[quantity.floor]
    bottom = lowest_drawn(beyond[quantity.range], beyond[quantity.floor])
    top = max(float(beyond[quantity.range].max()), bottom) * 3
    ax.set_ylim(bottom / 1.5 / (top / bottom) ** 0.15, top)  # below all points there is room for a line of text
    for radius, rows in beyond.groupby("radius"):
        x = places[float(str(radius))] + style.spread(len(rows))
        y = rows[quantity.range].clip(lower=bottom).to_numpy()
        floors = (NOISE_FLOOR_FACTOR * rows[quantity.floor]).clip(lower=bottom).to_numpy()
        ax.scatter(x, floors, c=_FLOOR, marker="_", s=8, lw=0.8, zorder=1)
        noise, wrong = at_floor[rows.index].to_numpy(), (rows["misclassified"] > 0).to_numpy()
        shade = colours.to_rgba(rows["score_mean"].to_numpy())
        for chosen, marker in ((~noise & ~wrong, "o"), (~noise & wrong, "s")):
            ax.scatter(x[chosen], y[chosen], c=shade[chosen], marker=marker, s=13, lw=0.3, ec="white", zorder=2)
        ax.scatter(x[noise], y[noise], fc="none", ec=style.GREY, marker="v", s=13, lw=0.6, zorder=2)
    at_zero = table.loc[table["radius"] == 0, quantity.range]
    check = "0" if (at_zero == 0).all() else f"up to {at_zero.max():.1e}: not 0"
    note = style.write(ax, 0.98, 0.04, f"all ranges at r = 0: {check}", ha="right")
    note.set_bbox({"facecolor": "white", "alpha": 0.8, "pad": 1, "linewidth": 0})
    ax.minorticks_off()
