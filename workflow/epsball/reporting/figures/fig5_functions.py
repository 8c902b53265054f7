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
_COLOURS = {"f": "#7b3294", "g": "#e69f00"}


def derivatives(x: Array) -> dict[str, Array]:
    """The slopes of both functions; the largest absolute value of each is 1."""
    beyond = np.maximum(np.abs(x) - _EDGE, 0)
    return {"f": np.cos(x), "g": np.cos(x) * np.exp(-(beyond**2) / 4)}


def draw(results: Run) -> Figure:
    """Functions on the left, derivatives on the right."""
    x = np.linspace(-15, 15, 3001)
    slopes = derivatives(x)
    figure = Figure(figsize=(style.WIDTH, 2.4))
    left, right = figure.subplots(1, 2)
    labels = {"f": "f: as steep everywhere", "g": "g: flat beyond |x| = 5"}
    for (name, slope), dashes in zip(slopes.items(), ("-", (0, (4, 2))), strict=True):
        values = cumulative_trapezoid(slope, x, initial=0)
        values -= values[len(x) // 2]
        left.plot(x, values, color=_COLOURS[name], ls=dashes, label=labels[name])
        right.plot(x, slope, color=_COLOURS[name], ls=dashes)
    left.set_title("functions")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    right.set_title("derivatives: both reach 1, the Lipschitz constant")
    right.axhline(1, color=style.GREY, lw=0.7, ls=":")
    right.axhline(-1, color=style.GREY, lw=0.7, ls=":")
    for ax in (left, right):
        ax.set_xlabel("x")
        ax.axvspan(-_EDGE, _EDGE, color=style.FLOOR, lw=0, zorder=0)
    return figure
