"""Fig. 2: two perturbations of equal norm, one a permutation of the other, on the score's landscape."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("illustration",)

_NAMES = ("x", "x + v₁", "x + v₂")
_COLOURS = ("white", style.SKY, style.RED)
_MARKERS = ("o", "^", "s")


def draw(run: Run) -> Figure:
    """Draw a row for each dataset: the plane through the image that the perturbations span, and the three images."""
    config = run.config
    figure = Figure(figsize=(style.WIDTH, 2.45 * len(config.datasets)))
    parts = figure.subfigures(len(config.datasets), 1, squeeze=False)[:, 0]
    for (name, dataset), part in zip(config.datasets.items(), parts, strict=True):
        shown = run.illustration(name)
        found = "one permutation right, one wrong" if shown["flips"] else "none wrong; the two furthest apart in score"
        radius = "ε" if shown["radius"] == config.ball.epsilon else f"{shown['radius']:g}"
        heading = f"{shown['network']}, {name} (score > {dataset.threshold:g}), r = {radius}: {found}"
        part.suptitle(heading, fontsize="medium", x=0.01, ha="left")
        plane, *pictures = part.subplots(1, 4, width_ratios=(1.35, 1, 1, 1))
        _draw_plane(part, plane, shown)
        for number, ax in enumerate(pictures):
            ax.imshow(np.clip(shown["images"][number], 0, 1), interpolation="nearest")
            ax.set(xticks=[], yticks=[], anchor="N")
            prediction = shown["predictions"][number]
            verdict = "right" if prediction == shown["label"] else f"wrong: class {prediction}"
            ax.set_title(f"{_NAMES[number]}: score {_score(shown['scores'][number])}\n{verdict}", fontsize="small")
            ax.spines[:].set(visible=True, color="black" if number == 0 else _COLOURS[number], linewidth=2)
    return figure


def _score(value: float) -> str:
    """Write a score with three digits, and more where it is nearly 1."""
    return f"{value:.3f}" if value < 0.9995 else f"1 − {1 - value:.0e}"


def _draw_plane(part: SubFigure, ax: Axes, shown: dict[str, Any]) -> None:
    axis = shown["axis"]
    mesh = ax.pcolormesh(axis, axis, shown["score"], cmap=style.SEQUENTIAL, shading="nearest", rasterized=True)
    if shown["right"].any() and not shown["right"].all():
        ax.contour(axis, axis, shown["right"].astype(float), levels=[0.5], colors="white", linewidths=1.2)
    ax.add_patch(Circle((0, 0), float(np.linalg.norm(shown["points"][0])), fill=False, ec="white", lw=0.8, ls="--"))
    for point, name, marker, colour in zip([np.zeros(2), *shown["points"]], _NAMES, _MARKERS, _COLOURS, strict=True):
        ax.scatter(point[0], point[1], marker=marker, s=28, color=colour, ec="black", lw=0.8, zorder=3)
        label = ax.annotate(name, point, (-6, -11), textcoords="offset points", ha="right")
        label.set(fontsize="small", path_effects=[withStroke(linewidth=2, foreground="white")])
    ax.set(aspect="equal", xlabel="along v₁", ylabel="along v₂, across v₁")
    ax.grid(False)
    part.colorbar(mesh, ax=ax, label="score", pad=0.02)
