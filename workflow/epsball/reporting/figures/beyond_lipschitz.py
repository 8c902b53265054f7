"""Not in the paper: Lipschitz numbers of one function side by side, sampled, local and global."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("lipschitz_bounds",)

_FEATURES = {
    "sampled_rms": "sampled rms",
    "sampled_max": "sampled max",
    "jacobian_norm": "‖J‖",
    "global_bound": "global bound",
}
_MARGIN = {"margin_gradient": "‖∇m‖", "clever_largest": "largest ‖∇m‖", "clever_lipschitz": "CLEVER"}


def draw(results: Run) -> Figure:
    """A panel a network: a point a sample; of the features, and right of the line of the margin."""
    figure, axes = style.panels(results.config, height=2.6, sharey=False)
    for network, ax in axes.items():
        _panel(ax, results, network)
    return figure


def _panel(ax: Axes, results: Run, network: str) -> None:
    table = results.metrics("lipschitz_bounds", network)
    style.title(ax, results.config, network, len(table))
    columns = {**_FEATURES, **_MARGIN}
    for place, column in enumerate(columns):
        values = table[column].to_numpy(float)
        if np.isnan(values).all():
            ax.text(place, 0.5, "not available", rotation=90, ha="center", va="center", fontsize=6, color="0.35",
                    transform=ax.get_xaxis_transform())  # fmt: skip
            continue
        style.column(ax, place, values, "#0072b2" if column in _FEATURES else "#d55e00")
    ax.axvline(len(_FEATURES) - 0.5, color=style.GREY, lw=0.6)
    ax.axhline(1, color=style.GREY, lw=0.6, zorder=1)
    style.slanted(ax, list(columns.values()))
    ax.grid(False, axis="x")
    ax.set_yscale("log")
    ax.set(xlim=(-0.6, len(columns) - 0.4), ylabel="of Φ_L, of margin m")
