"""Not in the paper: what each network does beside what its controls do, from the same perturbations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from epsball.analysis.run import Run
from epsball.controls import CONTROLS, chosen_controls, compared, name_of
from epsball.reporting.figures import style

READS = ("isotropy", "topology", "lipschitz", "controls")

_OWN = "the network"
_COLOURS = (style.RED, style.PINK, style.BLUE, style.GREEN, style.AMBER)  # of the first CONTROLS
_COLUMNS = (
    ("isotropy", "range", "range of score"),
    ("topology", "rho", "Mantel's ρ"),
    ("lipschitz", "ratio", "normalised ratio"),
)


def draw(run: Run) -> Figure:
    """Draw a row for each network, a column for each quantity: the median over samples, and where half of them lie."""
    config = run.config
    palette = dict(zip(CONTROLS, _COLOURS, strict=False))
    colours = {name: palette.get(name, style.GREY) for name in chosen_controls(config)}
    figure, rows = style.panels(run, "isotropy", len(_COLUMNS), height=1.7)
    lowest = np.inf  # lower end of the networks' bands
    for network, row in rows.items():
        gone: dict[str, str] = {}  # controls, in their order
        for ax, (probe, column, label) in zip(row, _COLUMNS, strict=True):
            names = {name: name_of(network, name) for name in compared(config, network, probe)} | {_OWN: network}
            gone |= {name: "" for name, of in names.items() if run.unavailable(of, probe)}
            names = {name: of for name, of in names.items() if name not in gone}
            tables = {of: run.metrics(probe, name) for of, name in names.items()}
            table = pd.concat(tables, names=["of"]).groupby(["of", "sample", "radius"])[column].median().reset_index()
            shown = {name: colours.get(name, "black") for name in names}
            style.bands(ax, style.radius_axis(ax, config, table), "place", column, "of", shown)
            ax.set_ylabel(label)
            if probe == "topology":
                ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
            elif probe == "isotropy":
                own = table[(table["of"] == _OWN) & (table[column] > 0)]
                lowest = min(lowest, own.groupby("radius")[column].quantile(0.25).min())
        if gone:
            style.write(row[-1], 1, 1.02, f"not available: {', '.join(gone)}", ha="right", color="0.35")
    for ax in (row[0], row[2]):
        style.log_scale(ax)
    if np.isfinite(lowest):
        row[0].set_ylim(bottom=lowest / 3)  # a control may vanish: its line leaves the panels, which share the axis
    style.legend(figure, {_OWN: "black", **colours})
    return figure
