"""What all figures share: a style legible at the width of two columns and safe for colour-blind readers, and panels."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator

from epsball import controls
from epsball.analysis.claims import Verdict
from epsball.analysis.run import Run
from epsball.config import NORMS, Config
from epsball.reporting.places import beyond_zero, radius_name, side_by_side

WIDTH = 7.0  # inches, both columns
DPI = 200
SEQUENTIAL = "viridis"
PALETTE = sns.color_palette("colorblind").as_hex()
BLUE, AMBER, GREEN, VERMILION, PINK, BROWN, SKY = (PALETTE[number] for number in (0, 1, 2, 3, 4, 5, 9))
CONTROLS = dict(zip(controls.CONTROLS, (VERMILION, PINK, BLUE, GREEN, AMBER), strict=False))  # their colours
VERDICTS = {  # as different in lightness as in hue: they are read in grey as well
    Verdict.HOLDS: BLUE,
    Verdict.DOES_NOT_HOLD: "#e69f00",
    Verdict.UNDECIDED: "0.85",
    Verdict.TOO_FEW_SAMPLES: "0.95",
    Verdict.NOT_AVAILABLE: "0.95",
    Verdict.NOT_MEASURED: "white",
}
GREY = "0.55"
FLOOR = "0.88"

# No dates inside: the same tables give the same files.
METADATA: dict[str, dict[str, Any]] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}


@contextlib.contextmanager
def paper() -> Iterator[None]:
    """Apply the settings of all figures while the block lasts."""
    settings = {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper", font_scale=0.85),
        "axes.grid": True,
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "figure.constrained_layout.use": True,
        "grid.color": "0.93",
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "pdf.fonttype": 42,
        "svg.hashsalt": "epsball",
    }
    with mpl.rc_context(settings):
        yield


def panels(
    run: Run, probe: str, columns: int = 1, height: float = 2.2, sharex: bool = True, sharey: bool = True
) -> tuple[Figure, dict[str, list[Axes]]]:
    """Open a figure with a panel for each network, two or three side by side, or with a row of panels for each.

    Titles have the network, its dataset, the number of samples in the probe's table and the score that they exceed.

    Args:
        run: the run.
        probe: the probe whose samples are counted.
        columns: number of panels of a network.
        height: height of a panel in inches.
        sharex: whether panels have one x axis, labelled below the lowest ones.
        sharey: whether networks have one y axis.
    """
    networks = list(run.config.networks)
    across = columns if columns > 1 else min(len(networks), 2 if len(networks) in {1, 2, 4} else 3)
    down = -(-len(networks) * columns // across)
    figure = Figure(figsize=(WIDTH, height * down + 0.35))
    alike: Literal["col"] | bool = "col" if columns > 1 and sharey else sharey
    grid = figure.subplots(down, across, squeeze=False, sharex="col" if sharex else False, sharey=alike).ravel()
    shown, unused = np.split(grid, [len(networks) * columns])
    for number, ax in enumerate(shown):
        lowest = not sharex or number + across >= len(shown)
        ax.tick_params(labelbottom=lowest)
        ax.xaxis.label.set_visible(lowest)
        ax.yaxis.label.set_visible(alike is not True or number % across == 0)
    for ax in unused:
        ax.remove()
    axes = dict(zip(networks, shown.reshape(-1, columns).tolist(), strict=True))
    for network, (first, *_) in axes.items():
        dataset = run.config.datasets[run.config.networks[network].dataset]
        facts = dataset.name
        if not run.unavailable(network, probe):
            samples = run.metrics(probe, network)["sample"].nunique()
            facts += f", {samples} {'sample' if samples == 1 else 'samples'}, score > {dataset.threshold:g}"
        first.set_title(network, fontweight="bold", pad=14)
        write(first, 0, 1.02, facts, color="0.35")
    return figure, axes


def available(run: Run, axes: Mapping[str, list[Axes]], probes: Sequence[str]) -> Iterator[tuple[str, list[Axes]]]:
    """Yield the networks that have the tables of these probes, with their panels; of the others, write why not."""
    for network, row in axes.items():
        why = run.unavailable(network, *probes)
        if not why:
            yield network, row
            continue
        for ax in row:
            ax.grid(False)
            if len(ax.get_shared_x_axes().get_siblings(ax)) == 1:
                ax.set_xticks([])
            words = textwrap.fill(f"not available: {why}", 34, max_lines=9, placeholder=" …")
            write(ax, 0.5, 0.5, words, ha="center", va="center", color="0.35")


def on_one_scale(pages: Iterable[Figure]) -> Iterator[tuple[int, Figure]]:
    """Number the pages of a figure from 0, and give them one y axis where the panels of a page, or a column, have one.

    Pages whose panels share nothing come at once: the points of all draws are many. The others wait for the last one.
    """
    waiting = {}
    for number, page in enumerate(pages):
        if _shared(page):
            waiting[number] = page
        else:
            yield number, page
    for alike in zip(*map(_shared, waiting.values()), strict=True) if len(waiting) > 1 else ():
        lows, highs = zip(*(ax.get_ylim() for ax in alike), strict=True)
        for ax in alike:
            ax.set_ylim(min(lows), max(highs))
            if ax.get_yscale() == "log":
                log_scale(ax)
    yield from waiting.items()


def _shared(figure: Figure) -> list[Axes]:
    """Return one of the axes of each set that has one y axis, from left to right."""
    found: list[Axes] = []
    for ax in figure.axes:
        siblings = ax.get_shared_y_axes().get_siblings(ax)
        if len(siblings) > 1 and not any(other in siblings for other in found):
            found.append(ax)
    return found


def many(count: int) -> list[str]:
    """Return that many colours, those of the palette as far as they go."""
    found: list[str] = sns.color_palette("colorblind" if count <= len(PALETTE) else "husl", count).as_hex()
    return found


def empty(run: Run, probes: Sequence[str]) -> Figure:
    """Draw what stands in for a figure of which no network has the tables: why not, in the panel of each."""
    figure, axes = panels(run, probes[0], sharey=False)
    for _ in available(run, axes, probes):
        pass
    for ax in figure.axes:
        ax.set_yticks([])
    return figure


def words(text: str) -> Figure:
    """Draw a sentence that stands in for a figure."""
    figure = Figure(figsize=(WIDTH, 0.8))
    figure.text(0.5, 0.5, text, ha="center", va="center", color="0.35")
    return figure


def write(ax: Axes, x: float, y: float, text: str, **how: Any) -> Text:
    """Write small text at a place of the panel, 0 to 1, without making room for it: that would shrink the panels."""
    written: Text = ax.text(x, y, text, transform=ax.transAxes, fontsize="small", **how)
    written.set_in_layout(False)
    return written


def legend(figure: Figure, colours: Mapping[str, str], ls: str = "-") -> None:
    """Explain colours by name below all panels."""
    handles = [Line2D([], [], color=colour, ls=ls, marker="o", ms=3, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))


def labelled_radii(config: Config) -> list[float]:
    """Return the radii that an axis labels: all of a few, or else ε, 1 and every fifth from there."""
    radii = [radius for radius in config.ball.radii if radius > 0]
    return [radius for place, radius in enumerate(radii) if len(radii) <= 8 or place <= 1 or place % 5 == 0]


def radius_axis(ax: Axes, config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Label an axis by radius, evenly spaced; return a table's rows beyond radius 0 with their `place` on it."""
    radii = [radius for radius in config.ball.radii if radius > 0]
    labelled = labelled_radii(config)
    ax.set_xticks([*map(radii.index, labelled)], [radius_name(radius, config.ball) for radius in labelled])
    ax.set_xlim(-0.6, len(radii) - 0.4)
    ax.grid(False, axis="x")
    ax.set_xlabel(f"radius r ({NORMS[config.ball.norm][0]}; ε = {config.ball.epsilon:g})")
    return beyond_zero(table, config.ball)


def log_scale(ax: Axes, which: Literal["x", "y"] = "y") -> None:
    """Make an axis logarithmic, and label 1, 2 and 5 on one with few powers of ten; call when all is drawn."""
    (ax.set_xscale if which == "x" else ax.set_yscale)("log", nonpositive="mask")
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = axis.get_view_interval()
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def bands(ax: Axes, table: pd.DataFrame, x: str, y: str, hue: str, colours: Mapping[str, str]) -> None:
    """Draw the median over samples against x, and a band that holds the middle half of them, for each level of hue."""
    sns.lineplot(
        table, x=x, y=y, hue=hue, hue_order=list(colours), palette=dict(colours), estimator="median",
        errorbar=("pi", 50), err_kws={"alpha": 0.18, "lw": 0}, marker="o", ms=2.5, mew=0, lw=1.1, legend=False, ax=ax,
    )  # fmt: skip


def strip(ax: Axes, table: pd.DataFrame, y: str, **how: Any) -> None:
    """Draw a point for each row, side by side at each `place`, and medians, for which infinite values count too."""
    dots = {"s": 10, "alpha": 0.55, "lw": 0, **how}
    sns.scatterplot(table, x=side_by_side(table), y=y, legend=False, ax=ax, **dots)
    medians = table.groupby("place")[y].median()
    for place, median in medians[np.isfinite(medians)].items():
        ax.plot([place - 0.36, place + 0.36], [median] * 2, color="black", lw=1.2, zorder=3)


def columns(ax: Axes, values: Mapping[str, Any], colours: Sequence[str], slanted: bool = False) -> None:
    """Draw a column of points for each label, one a sample, and their medians; slant labels that are too long."""
    table = pd.concat([pd.DataFrame({"place": place, "value": list(of)}) for place, of in enumerate(values.values())])
    strip(ax, table.reset_index(drop=True), "value", hue="place", palette=dict(enumerate(colours)))
    rotation: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    ax.set_xticks(range(len(values)), list(values), fontsize=6, **rotation)
    ax.grid(False, axis="x")
    ax.set(xlim=(-0.6, len(values) - 0.4), xlabel="")
