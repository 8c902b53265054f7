"""One style for all figures: legible at the width of a page of two columns, safe for colour-blind readers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from epsball.config import Config

WIDTH = 7.0  # inches, both columns
DPI = 200
SEQUENTIAL = "viridis"
GREY = "0.55"
FLOOR = "0.88"

# No dates inside: the same tables give the same files.
METADATA: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}


@contextlib.contextmanager
def paper() -> Iterator[None]:
    """Settings of all figures, while the block lasts."""
    settings: Any = {
        "font.family": "sans-serif",
        "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif"],
        **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize", "legend.title_fontsize"), 8.16),
        **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7.48),
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), "0.15"),
        **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 1.0),
        **dict.fromkeys(("patch.linewidth", "xtick.minor.width", "ytick.minor.width"), 0.8),
        **dict.fromkeys(("xtick.major.size", "ytick.major.size", "lines.markersize"), 4.8),
        **dict.fromkeys(("xtick.minor.size", "ytick.minor.size"), 3.2),
        "lines.linewidth": 1.2,
        "lines.solid_capstyle": "round",
        "patch.edgecolor": "w",
        "patch.force_edgecolor": True,
        "axes.axisbelow": True,
        "svg.hashsalt": "epsball",
        "pdf.fonttype": 42,
        "axes.grid": True,
        "grid.color": "0.93",
        "grid.linewidth": 0.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.constrained_layout.use": True,
    }
    with mpl.rc_context(settings):
        yield


def panels(config: Config, height: float = 2.3, sharey: bool = True) -> tuple[Figure, dict[str, Axes]]:
    """A panel for each network, two or three in a row."""
    count = len(config.networks)
    columns = min(count, 2 if count in {1, 2, 4} else 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, height * rows + 0.35))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    axes = dict(zip(config.networks, grid.flat, strict=False))
    for unused in list(grid.flat)[count:]:
        unused.remove()
    for ax in axes.values():
        ax.tick_params(labelleft=True)
    return figure, axes


def rows(
    config: Config, columns: int = 2, height: float = 1.9, sharey: bool = False
) -> tuple[Figure, dict[str, np.ndarray]]:
    """A row of panels for each network."""
    figure = Figure(figsize=(WIDTH, height * len(config.networks) + 0.5))
    grid = figure.subplots(len(config.networks), columns, squeeze=False, sharey=sharey)
    return figure, dict(zip(config.networks, grid, strict=True))


def legend(figure: Figure, ax: Axes) -> None:
    """What the colours of a panel are, below all of them."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)


def title(ax: Axes, config: Config, network: str, samples: int) -> None:
    """Name of the network, and what its samples are: also a threshold that is not the paper's."""
    dataset = config.datasets[config.networks[network].dataset]
    ax.set_title(network, fontweight="bold", pad=14)
    facts = f"{dataset.name}, {samples} {'sample' if samples == 1 else 'samples'}, score > {dataset.threshold:g}"
    write(ax, 0, 1.02, facts, color="0.35")


def write(ax: Axes, x: float, y: float, text: str, **how: Any) -> Text:
    """Small text at a place of the panel, 0 to 1, for which the layout does not make room: it would shrink panels."""
    written: Text = ax.text(x, y, text, transform=ax.transAxes, fontsize="small", **how)
    written.set_in_layout(False)
    return written


def shown(config: Config) -> list[float]:
    """Radii that an axis labels: all of a few, or else ε, 1 and every fifth from there."""
    radii = [radius for radius in config.ball.radii if radius > 0]
    return [radius for place, radius in enumerate(radii) if len(radii) <= 8 or place <= 1 or place % 5 == 0]


def radius_axis(ax: Axes, config: Config) -> dict[float, int]:
    """Evenly spaced places for the radii beyond 0, labelled; returns the place of each."""
    radii = [radius for radius in config.ball.radii if radius > 0]
    labels = ["ε" if radius == config.ball.epsilon else f"{radius:g}" for radius in radii]
    places = list(range(len(radii)))
    labelled = [radii.index(radius) for radius in shown(config)]
    ax.set_xticks(labelled, [labels[place] for place in labelled])
    ax.set_xlim(-0.6, len(radii) - 0.4)
    ax.grid(False, axis="x")
    unit = "L2" if config.ball.norm == "l2" else "L∞, 8-bit levels"
    ax.set_xlabel(f"radius r ({unit}; ε = {config.ball.epsilon:g})")
    return dict(zip(radii, places, strict=True))


def band(ax: Axes, x: Sequence[float], samples: pd.DataFrame, colour: str, label: str = "") -> None:
    """The median over samples, and where the middle half of them lie.

    Args:
        ax: where.
        x: place of each column.
        samples: a row a sample.
        colour: of line and band.
        label: for the legend.
    """
    low, middle, high = (samples.quantile(share).to_numpy(float) for share in (0.25, 0.5, 0.75))
    ax.fill_between(x, low, high, color=colour, alpha=0.18, lw=0)
    ax.plot(x, middle, color=colour, marker="o", ms=2.5, lw=1.1, label=label)


def column(ax: Axes, place: int, values: pd.Series | np.ndarray, colour: str) -> None:
    """A point a sample at a place of an axis, and their median; none of those that are infinite."""
    met = np.asarray(values, float)[~np.isinf(values)]
    ax.scatter(place + spread(len(met)), met, s=10, color=colour, alpha=0.55, lw=0, zorder=2)
    if len(met) > len(values) / 2:
        ax.plot([place - 0.36, place + 0.36], [np.nanmedian(values)] * 2, color="black", lw=1.2, zorder=3)


def slanted(ax: Axes, labels: Sequence[str]) -> None:
    """Labels at the places 0, 1, … of an axis that are too long to stand side by side."""
    ax.set_xticks(range(len(labels)), labels, fontsize=6, rotation=35, ha="right", rotation_mode="anchor")


def spread(count: int) -> np.ndarray:
    """Sidewards offsets of samples at one radius, so that they do not hide each other."""
    return np.linspace(-0.32, 0.32, count) if count > 1 else np.zeros(count)
