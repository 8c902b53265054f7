"""Not in the paper: symmetry where it can differ from isotropy at all, under permutations that keep some structure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from epsball.analysis.claims import log_ratio, wide
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = (
    "isotropy", "symmetry", "symmetry_pixels", "symmetry_channels", "symmetry_patches", "isotropy_low_frequency",
    "symmetry_low_frequency",
)  # fmt: skip

_COLUMNS = {
    "all elements": ("symmetry", "isotropy"),
    "whole pixels": ("symmetry_pixels", "isotropy"),
    "in a channel": ("symmetry_channels", "isotropy"),
    "in a patch": ("symmetry_patches", "isotropy"),
    "low frequencies": ("symmetry_low_frequency", "isotropy_low_frequency"),
}


def draw(run: Run) -> Figure:
    """Draw a panel for each network, one point per sample: ranges under permutation over those of fresh draws."""
    figure, axes = style.panels(run, "isotropy", height=2.5)
    radii = [radius for radius in run.config.ball.radii if radius >= 1]
    for network, [ax] in style.available(run, axes, READS):
        values = {}
        for label, probes in _COLUMNS.items():
            permuted, redrawn = (wide(run.metrics(probe, network), "margin_range")[radii] for probe in probes)
            values[label] = sum(log_ratio(permuted[r], redrawn[r]) for r in radii) / len(radii) / np.log(2)
        style.columns(ax, values, [style.BLUE] * len(values), slanted=True)
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
        ax.axvline(len(values) - 1.5, color=style.GREY, lw=0.6)
        ax.set_ylabel("log2 range of the margin,\npermuted over redrawn")
    return figure
