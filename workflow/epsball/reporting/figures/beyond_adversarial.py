"""Not in the paper, though its title says so: does any of it explain adversarial examples?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from epsball.analysis.comparisons import correlates
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("boundary", "gradient", "topology_mixed_radius", "isotropy", "lipschitz")

_QUANTITIES = {  # of `correlates`: what its axis is called, and whether it is logarithmic
    "range": ("range of score", True),
    "rho": ("ρ, mixed norms", False),
    "ratio": ("local ratio", False),
    "gradient": ("‖∇ margin‖", True),
    "margin": ("clean margin", False),
}


def draw(run: Run) -> Figure:
    """Draw each quantity against the smallest adversarial distance: points are samples, squares networks' medians."""
    networks = run.having(*READS)
    table = pd.concat({name: correlates(run, name) for name in networks}, names=["network"])
    table = table[np.isfinite(table["distance"])].reset_index("network")
    medians = table.groupby("network").median()
    colours = dict(zip(networks, sns.color_palette("colorblind", len(networks)).as_hex(), strict=True))
    figure = Figure(figsize=(style.WIDTH, 4.8))
    *axes, last = figure.subplots(2, 3, sharey=True).flat
    for ax, (quantity, (label, log)) in zip(axes, _QUANTITIES.items(), strict=True):
        columns = {"x": quantity, "y": "distance", "hue": "network", "palette": colours, "ax": ax}
        sns.scatterplot(table, s=9, alpha=0.5, lw=0, legend=False, **columns)
        sns.scatterplot(medians, s=34, marker="s", lw=0.8, zorder=3, legend=False, **columns)
        ax.set(xlabel=label, ylabel="smallest adversarial\ndistance (L2)")
        if log:
            style.log_scale(ax, "x")
    style.log_scale(ax)
    last.remove()
    style.legend(figure, colours, ls="")
    return figure
