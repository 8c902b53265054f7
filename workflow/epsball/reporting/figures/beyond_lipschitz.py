"""Not in the paper: Lipschitz numbers of one function side by side, sampled, local and global."""

from __future__ import annotations

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


def draw(run: Run) -> Figure:
    """Draw a panel for each network, one point per sample: features left of the line, the margin right of it."""
    figure, axes = style.panels(run, "lipschitz_bounds", height=2.6)
    for network, [ax] in style.available(run, axes, READS):
        table = run.metrics("lipschitz_bounds", network).rename(columns=_FEATURES | _MARGIN)
        values = {label: table[label].astype(float) for label in (*_FEATURES.values(), *_MARGIN.values())}
        style.columns(ax, values, [style.BLUE] * len(_FEATURES) + [style.RED] * len(_MARGIN), slanted=True)
        for place, column in enumerate(values.values()):
            if column.isna().all():
                x = (place + 0.6) / (len(values) + 0.2)
                style.write(ax, x, 0.5, "not available", rotation=90, ha="center", va="center", color="0.35")
        ax.axvline(len(_FEATURES) - 0.5, color=style.GREY, lw=0.6)
        ax.axhline(1, color=style.GREY, lw=0.6, zorder=1)
        ax.set_ylabel("of Φ$_L$, of margin m")
    style.log_scale(ax)
    return figure
