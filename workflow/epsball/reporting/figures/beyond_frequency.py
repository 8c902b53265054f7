"""Not in the paper: the frequency argument of section 2.2, filter by filter of the first layer."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("frequency",)

# Permuted noise lies where permuted low frequencies do: its points are rings around theirs.
_FAMILIES: dict[str, dict[str, Any]] = {
    "permuted": {"label": "permuted noise", "s": 18, "fc": "none", "ec": style.BLUE, "lw": 0.8},
    "low_frequency": {"label": "low-frequency noise", "s": 7, "color": style.RED, "lw": 0},
    "permuted_low_frequency": {"label": "the same, permuted", "s": 7, "color": style.GREEN, "lw": 0},
}
_PREDICTIONS = {"white": "a flat spectrum", "parseval": "the spectra, by Parseval"}

_DEAD = 1e-8  # of the strongest filter's energy: what answers less has no weights to speak of


def draw(run: Run) -> Figure:
    """Draw a row for each network, one point per filter: measured energy against a flat spectrum's, and Parseval's."""
    figure, rows = style.panels(run, "frequency", 2, height=2.4, sharex=False, sharey=False)
    for network, row in style.available(run, rows, READS):
        table = run.metrics("frequency", network)
        means = table.groupby(["family", "filter"], sort=False)[["measured", "white", "parseval"]].mean()
        means = means[means["white"] > _DEAD * means["white"].max()]
        measured = means["measured"]
        ends = [measured[measured > 0].min(), measured.max()]
        for ax, (column, label) in zip(row, _PREDICTIONS.items(), strict=True):
            for family, how in _FAMILIES.items():
                ax.scatter(column, "measured", data=means.loc[family], alpha=0.7, **how)
            ax.plot(ends, ends, color=style.GREY, lw=0.7, zorder=1)
            ax.set(xlabel=f"mean square predicted by {label}", ylabel="measured")
            style.log_scale(ax, "x")
            style.log_scale(ax, "y")
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_FAMILIES))
    return figure
