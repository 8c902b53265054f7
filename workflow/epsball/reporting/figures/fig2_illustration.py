"""Fig. 2: two perturbations of equal norm, one a permutation of the other, on the score's landscape."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from epsball.analysis.run import Run
from epsball.reporting.figures import style

READS = ("illustration",)

_NAMES = ("x", "x + v₁", "x + v₂")
_COLOURS = ("white", "#56b4e9", "#d55e00")
_MARKERS = ("o", "^", "s")


def draw(results: Run) -> Figure:
    """A row a dataset: the plane through the image that the perturbations span, and the three images."""
    names = list(results.config.datasets)
    figure = Figure(figsize=(style.WIDTH, 2.45 * len(names)))
    for name, part in zip(names, figure.subfigures(len(names), 1, squeeze=False)[:, 0], strict=True):
        _row(part, results, name, results.illustration(name))
    return figure


def _row(part: Any, results: Run, dataset: str, shown: dict[str, Any]) -> None:
    radius, epsilon = float(shown["radius"]), results.config.ball.epsilon
    found = "one permutation right, one wrong" if shown["flips"] else "none wrong; the two furthest apart in score"
    threshold = results.config.datasets[dataset].threshold
    length = "ε" if radius == epsilon else f"{radius:g}"
    part.suptitle(
        f"{shown['network']}, {dataset} (score > {threshold:g}), r = {length}: {found}",
        fontsize="medium",
        x=0.01,
        ha="left",
    )
    plane, *pictures = part.subplots(1, 4, width_ratios=(1.35, 1, 1, 1))
    _plane(part, plane, shown)
    for number, ax in enumerate(pictures):
        ax.imshow(np.clip(shown["images"][number], 0, 1), interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_anchor("N")
        right = shown["predictions"][number] == shown["label"]
        verdict = "right" if right else f"wrong: class {shown['predictions'][number]}"
        ax.set_title(f"{_NAMES[number]}: score {_score(shown['scores'][number])}\n{verdict}", fontsize="small")
        for spine in ax.spines.values():
            spine.set(visible=True, color="black" if number == 0 else _COLOURS[number], linewidth=2)


def _score(value: float) -> str:
    """Three digits, and more where the score is nearly 1."""
    return f"{value:.3f}" if value < 0.9995 else f"1 − {1 - value:.0e}"


def _plane(part: Any, ax: Axes, shown: dict[str, Any]) -> None:
    axis = shown["axis"]
    mesh = ax.pcolormesh(axis, axis, shown["score"], cmap=style.SEQUENTIAL, shading="nearest", rasterized=True)
    if shown["right"].any() and not shown["right"].all():
        ax.contour(axis, axis, shown["right"].astype(float), levels=[0.5], colors="white", linewidths=1.2)
    ax.add_patch(Circle((0, 0), float(np.linalg.norm(shown["points"][0])), fill=False, ec="white", lw=0.8, ls="--"))
    for point, name, marker, colour in zip([np.zeros(2), *shown["points"]], _NAMES, _MARKERS, _COLOURS, strict=True):
        ax.scatter(point[0], point[1], marker=marker, s=28, color=colour, ec="black", lw=0.8, zorder=3)
        label = ax.annotate(name, point, (-6, -11), textcoords="offset points", ha="right", color="white")
        label.set(fontsize="small", path_effects=[withStroke(linewidth=2, foreground="black")])
    ax.set_aspect("equal")
    ax.grid(False)
    ax.set_xlabel("along v₁")
    ax.set_ylabel("along v₂, across v₁")
    part.colorbar(mesh, ax=ax, label="score", pad=0.02)
