"""Not in the paper: what Mantel's ρ and Eq. 7 say at one radius and, where distances vary, at mixed ones."""

from __future__ import annotations

from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("topology", "topology_mixed_radius", "alpha", "alpha_mixed_radius")


def draw(run: Run) -> Figure:
    """Draw a panel for each network: one point per sample, at the largest radius and at norms mixed up to it."""
    figure, axes = style.panels(run, "topology")
    largest = max(run.config.ball.radii)
    for network, [ax] in style.available(run, axes, READS):
        tables = (run.metrics(name, network) for name in READS)
        rho, rho_mixed, alpha, alpha_mixed = (table[table["radius"] == largest] for table in tables)
        values = {
            f"ρ\nr = {largest:g}": rho["rho"],
            "ρ\nmixed": rho_mixed["rho"],
            f"α\nr = {largest:g}": alpha["distance"],
            f"shuffled\nr = {largest:g}": alpha["shuffled"],
            "α\nmixed": alpha_mixed["distance"],
            "shuffled\nmixed": alpha_mixed["shuffled"],
        }
        style.columns(ax, values, [style.RED if "shuffled" in label else style.BLUE for label in values])
        ax.axvline(1.5, color=style.GREY, lw=0.6)
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
        ax.set(ylim=(min(-0.1, ax.get_ylim()[0]), 1.05), ylabel="ρ; ‖α − cI‖ / ‖α‖")
    return figure
