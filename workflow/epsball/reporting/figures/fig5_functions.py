"""Fig. 5: two functions with the same Lipschitz constant over the whole axis, and their derivatives.

The paper gives no formulas; these have its properties: f(x) = sin x everywhere; g(x) = sin x as well for |x| ≤ 5, its
slope fading out beyond. Both have Lipschitz constant 1 (|cos| reaches 1 at 0).
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import cumulative_trapezoid

from epsball.analysis.run import Run
from epsball.networks.scores import Array
from epsball.reporting.figures import style

READS = ()

_EDGE = 5.0


def derivatives(x: Array) -> dict[str, Array]:
    """Return the slopes of both functions; the largest absolute value of each is 1."""
    beyond = np.maximum(np.abs(x) - _EDGE, 0)
    return {"f": np.cos(x), "g": np.cos(x) * np.exp(-(beyond**2) / 4)}


def draw(run: Run) -> Figure:
    """Draw the functions on the left, their derivatives on the right."""
    x = np.linspace(-15, 15, 3001)
    figure = Figure(figsize=(style.WIDTH, 2.4))
    left, right = figure.subplots(1, 2, sharex=True)
    slope = derivatives(x)
    lines = (
        ("f", "f: as steep everywhere", style.BLUE, "-"),
        ("g", "g: flat beyond |x| = 5", style.AMBER, (0, (4, 2))),
    )
    for name, label, colour, dashes in lines:
        values = cumulative_trapezoid(slope[name], x, initial=0)
        left.plot(x, values - values[len(x) // 2], color=colour, ls=dashes, label=label)
        right.plot(x, slope[name], color=colour, ls=dashes)
    for level in (-1, 1):
        right.axhline(level, color=style.GREY, lw=0.7, ls=":")
    for ax, heading in ((left, "functions"), (right, "derivatives: both reach 1, the Lipschitz constant")):
        ax.set(title=heading, xlabel="x")
        ax.axvspan(-_EDGE, _EDGE, color=style.FLOOR, lw=0, zorder=0)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
