"""Not in the paper: the worst direction against random ones, in score and in distance to the decision boundary."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from epsball.analysis.comparisons import boundary
from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("boundary",)

_ATTACKS = (style.RED, style.AMBER, style.PINK, style.GREEN)


def draw(run: Run) -> Figure:
    """Draw a row for each network: the score over the radius, and distances to the boundary, one point per sample."""
    config = run.config
    figure, rows = style.panels(run, "boundary", 2, height=2.1)
    for network, (scores, distances) in style.available(run, rows, READS):
        table = run.metrics("boundary", network)
        attack = table["kind"] == "attack"
        table["along"] = table["direction"].where(attack, "random")
        attacks = dict(zip(table.loc[attack, "direction"].unique(), _ATTACKS, strict=False))
        colours = {"random": style.BLUE, **attacks}
        means = table.groupby(["along", "sample", "radius"])["score"].mean().reset_index()
        style.bands(scores, style.radius_axis(scores, config, means), "place", "score", "along", colours)
        scores.set(ylim=(-0.03, 1.05), ylabel="score of the right class")

        found = boundary(run, network)
        met = {"random": found["random"], "flat\nboundary": found["worst"] * found["hyperplane_ratio"]}
        for name in attacks:
            met[name] = table[table["along"] == name].drop_duplicates("sample")["distance"]
        style.columns(distances, met, [style.BLUE, "black", *attacks.values()])
        for place, values in enumerate(met.values()):
            if missed := int(np.isinf(values).sum()):
                x = (place + 0.6) / (len(met) + 0.2)
                style.write(distances, x, 1.02, f"{missed} not met", ha="center", color="0.35")
        distances.set_ylabel("distance to the boundary (L2)")
    style.log_scale(distances)
    style.legend(figure, colours)
    return figure
