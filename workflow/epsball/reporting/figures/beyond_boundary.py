"""Not in the paper: the worst direction against random ones, in score and in distance to the decision boundary."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.adversarial_correlates import boundary
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("boundary",)

_RANDOM, _FLAT = "#0072b2", "black"
_ATTACKS = ("#d55e00", "#e69f00", "#cc79a7", "#009e73")


def draw(results: Run) -> Figure:
    """A row a network: the score over the radius, and distances to the boundary, a point a sample."""
    config = results.config
    figure, rows = style.rows(config, height=2.3)
    for network, row in rows.items():
        table = results.metrics("boundary", network)
        style.title(row[0], config, network, table["sample"].nunique())
        _scores(row[0], results, network)
        _distances(row[1], results, network)
    style.legend(figure, next(iter(rows.values()))[0])
    return figure


def _colours(results: Run, network: str) -> dict[str, str]:
    table = results.metrics("boundary", network)
    attacks = table.loc[table["kind"] == "attack", "direction"].unique()
    return dict(zip(attacks, _ATTACKS, strict=False))


def _scores(ax: Axes, results: Run, network: str) -> None:
    table = results.metrics("boundary", network)
    places = style.radius_axis(ax, results.config)
    lines = {"random": (table[table["kind"] == "random"], _RANDOM)}
    lines |= {name: (table[table["direction"] == name], colour) for name, colour in _colours(results, network).items()}
    for name, (rows, colour) in lines.items():
        samples = rows.pivot_table(index="sample", columns="radius", values="score")
        style.band(ax, [places[float(radius)] for radius in samples.columns], samples, colour, name)
    ax.set(ylim=(-0.03, 1.05), ylabel="score of the right class")


def _distances(ax: Axes, results: Run, network: str) -> None:
    table = results.metrics("boundary", network).drop_duplicates(["sample", "kind", "direction"])
    found = boundary(results, network)
    columns = [
        ("random", found["random"], _RANDOM),
        ("flat\nboundary", found["worst"] * found["hyperplane_ratio"], _FLAT),
    ]
    for name, colour in _colours(results, network).items():
        columns.append((name, table[table["direction"] == name].set_index("sample")["distance"], colour))
    for place, (_, values, colour) in enumerate(columns):
        style.column(ax, place, values, colour)
        if missed := int(np.isinf(values).sum()):
            style.write(ax, (place + 0.5) / len(columns), 1.02, f"{missed} not met", ha="center", color="0.35")
    ax.set_yscale("log")
    ax.set_xticks(range(len(columns)), [name for name, _, _ in columns], fontsize=6)
    ax.grid(False, axis="x")
    ax.set(xlim=(-0.5, len(columns) - 0.5), ylabel="distance to the boundary (L2)")
