"""The range of score or margin against the radius: what figures 1 and 3 and their margin twins draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from epsball.analysis.claims import NOISE_FLOOR_FACTOR
from epsball.analysis.run import Run
from epsball.reporting.figures import style
from epsball.reporting.log_axis import lowest_drawn


class Quantity(NamedTuple):
    """What has a range: its name and its columns."""

    name: str
    range: str
    floor: str


SCORE = Quantity("score", "range", "noise_floor")
MARGIN = Quantity("margin (logits)", "margin_range", "margin_noise_floor")

_FLOOR = "0.65"


def draw_ranges(run: Run, probe: str, quantity: Quantity) -> Figure:
    """Draw a panel for each network: ranges on a log axis, coloured by mean score, with ten noise floors of each."""
    config = run.config
    tables = {network: run.metrics(probe, network) for network in config.networks}
    lowest = min(float(table["score_mean"].min()) for table in tables.values())
    colours = ScalarMappable(Normalize(min(lowest, 0.9), 1), style.SEQUENTIAL)
    figure, axes = style.panels(run, probe, sharey=False)
    for network, [ax] in axes.items():
        at_zero = tables[network].loc[tables[network]["radius"] == 0, quantity.range]
        table = style.radius_axis(ax, config, tables[network])
        ranges, floors = table[quantity.range], NOISE_FLOOR_FACTOR * table[quantity.floor]
        bottom = lowest_drawn(ranges, table[quantity.floor])
        table = table.assign(x=style.side_by_side(table), y=ranges.clip(lower=bottom), floor=floors.clip(lower=bottom))
        sns.scatterplot(
            table.dropna(subset="floor"), x="x", y="floor", color=_FLOOR, marker="_", s=8, lw=0.8, zorder=1, ax=ax
        )
        noise, wrong = ranges <= floors, table["misclassified"] > 0
        points: dict[str, Any] = {"x": "x", "y": "y", "s": 13, "zorder": 2, "ax": ax}
        shades = {"hue": "score_mean", "hue_norm": colours.norm, "palette": style.SEQUENTIAL, "legend": False}
        for chosen, marker in ((~noise & ~wrong, "o"), (~noise & wrong, "s")):
            if chosen.any():
                sns.scatterplot(table[chosen], marker=marker, lw=0.3, **points, **shades)
        sns.scatterplot(table[noise], marker="v", lw=0.6, fc="none", ec=style.GREY, **points)
        top = max(float(ranges.max()), bottom) * 3
        foot = bottom / 1.5 / (top / bottom) ** 0.15  # below all points there is room for a line of text
        ax.set(yscale="log", ylim=(foot, top), ylabel=f"range of {quantity.name}")
        ax.minorticks_off()
        check = "0" if (at_zero == 0).all() else f"up to {at_zero.max():.1e}: not 0"
        unknown = "noise floor not available\n" if floors.isna().all() else ""
        note = style.write(ax, 0.98, 0.04, f"{unknown}all ranges at r = 0: {check}", ha="right")
        note.set_bbox({"facecolor": "white", "alpha": 0.8, "pad": 1, "linewidth": 0})
    figure.colorbar(colours, ax=figure.axes, label="mean score of the right class", aspect=40, pad=0.01)
    key: dict[str, dict[str, Any]] = {
        "all draws classified right": {"marker": "o"},
        "at least one misclassified": {"marker": "s"},
        "at the floor": {"marker": "v", "mfc": "none"},
        f"{NOISE_FLOOR_FACTOR} rounding floors of the sample": {"marker": "_", "color": _FLOOR, "mew": 1.2},
        f"T = {config.ball.draws} {'draws' if probe == 'isotropy' else 'permutations'}": {},
    }
    handles = [Line2D([], [], label=label, **{"ls": "", "color": style.GREY, **how}) for label, how in key.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.5, handletextpad=0.4)
    return figure
