"""Not in the paper: symmetry where it can differ from isotropy at all, under permutations that keep some structure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.claims import log_ratio, wide
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = (
    "isotropy", "symmetry", "symmetry_pixels", "symmetry_channels", "symmetry_patches", "isotropy_low_frequency",
    "symmetry_low_frequency",
)  # fmt: skip

_COLUMNS = (
    ("symmetry", "isotropy", "all elements"),
    ("symmetry_pixels", "isotropy", "whole pixels"),
    ("symmetry_channels", "isotropy", "in a channel"),
    ("symmetry_patches", "isotropy", "in a patch"),
    ("symmetry_low_frequency", "isotropy_low_frequency", "low frequencies"),
)


def draw(results: Run) -> Figure:
    """A panel a network, a point a sample: ranges under permutation over those of fresh draws of the same kind."""
    figure, axes = style.panels(results.config, height=2.5)
    for network, ax in axes.items():
        _panel(ax, results, network)
    return figure


def _panel(ax: Axes, results: Run, network: str) -> None:
    style.title(ax, results.config, network, results.metrics("isotropy", network)["sample"].nunique())
    for place, (permuted, redrawn, _) in enumerate(_COLUMNS):
        upper, lower = (wide(results.metrics(probe, network), "margin_range") for probe in (permuted, redrawn))
        radii = [radius for radius in results.config.ball.radii if radius >= 1]
        doublings = sum(log_ratio(upper[radius], lower[radius]) for radius in radii) / len(radii) / np.log(2)
        style.column(ax, place, doublings, "#0072b2")
    ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
    ax.axvline(len(_COLUMNS) - 1.5, color=style.GREY, lw=0.6)
    style.slanted(ax, [label for _, _, label in _COLUMNS])
    ax.grid(False, axis="x")
    ax.set(xlim=(-0.6, len(_COLUMNS) - 0.4), ylabel="log2 range of the margin,\npermuted over redrawn")
