"""Fig. 4: topology. Mantel's correlation of the distances between perturbed images before and after Φ_L."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.analysis.claims import RHO_BAND
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("topology",)


def draw(run: Run) -> Figure:
    """Draw a panel for each network: ρ of each sample and radius, their medians, and the paper's band."""
    figure, axes = style.panels(run, "topology")
    for network, [ax] in axes.items():
        table = style.radius_axis(ax, run.config, run.metrics("topology", network))
        ax.axhspan(-RHO_BAND, RHO_BAND, color=style.FLOOR, lw=0, zorder=0)
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
        style.strip(ax, table, "rho", color=style.BLUE)
        ax.set_ylabel("Mantel's ρ")
        inside, undefined = (table["rho"].abs() < RHO_BAND).sum(), table["rho"].isna().sum()
        note = f"|ρ| < {RHO_BAND:g}: {inside} of {len(table) - undefined}"
        note += f"; undefined: {undefined}" if undefined else ""
        style.write(ax, 0.98, 0.04, note, ha="right", color="0.35")
    largest = max(0.2, *(abs(limit) for ax in figure.axes for limit in ax.get_ylim()))
    ax.set_ylim(-largest, largest)  # all share it
    return figure
