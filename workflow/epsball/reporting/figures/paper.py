"""The figures of the paper."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from scipy.integrate import cumulative_trapezoid

from epsball.analysis.claims import NOISE_FLOOR_FACTOR, RHO_BAND
from epsball.analysis.run import Run
from epsball.controls import compared, name_of
from epsball.networks.scores import Array
from epsball.reporting.class_names import in_figure, named
from epsball.reporting.figures import style
from epsball.reporting.places import beyond_zero, radius_name, ranges_for_log_axis, side_by_side, smallest_range

_FLOOR = "0.65"
_LONGEST = 18  # characters of a class's name above a picture of Fig. 2


def _draw_ranges(run: Run, probe: str, quantity: str, prefix: str = "") -> Figure:
    """Draw a panel for each network: ranges on one log axis, coloured by mean score, with ten noise floors of each."""
    config = run.config
    tables = {network: run.metrics(probe, network) for network in config.networks}
    lowest = min(float(table["score_mean"].min()) for table in tables.values())
    colours = ScalarMappable(Normalize(min(lowest, 0.9), 1), style.SEQUENTIAL)
    figure, axes = style.panels(run, probe)
    beyond = pd.concat(table[table["radius"] > 0] for table in tables.values())
    bottom, top = smallest_range(beyond, prefix), float(beyond[f"{prefix}range"].max()) * 3
    top = max(top, bottom * 10)
    foot = bottom / 1.5 / (top / bottom) ** 0.15  # below all points there is room for a line of text
    for network, [ax] in axes.items():
        at_zero = tables[network].loc[tables[network]["radius"] == 0, f"{prefix}range"]
        table = ranges_for_log_axis(style.radius_axis(ax, config, tables[network]), prefix, bottom)
        sns.scatterplot(
            table.dropna(subset="floor"), x="x", y="floor", color=_FLOOR, marker="_", s=8, lw=0.8, zorder=1, ax=ax
        )
        points: dict[str, Any] = {"x": "x", "y": "y", "s": 13, "zorder": 2, "ax": ax}
        shades = {"hue": "score_mean", "hue_norm": colours.norm, "palette": style.SEQUENTIAL, "legend": False}
        for kind, marker in (("right", "o"), ("wrong", "s")):
            if (chosen := table["kind"] == kind).any():
                sns.scatterplot(table[chosen], marker=marker, lw=0.3, **points, **shades)
        sns.scatterplot(table[table["kind"] == "noise"], marker="v", lw=0.6, fc="none", ec=style.GREY, **points)
        ax.set(yscale="log", ylim=(foot, top), ylabel=f"range of {quantity}")
        ax.minorticks_off()
        check = "0" if (at_zero == 0).all() else f"up to {at_zero.max():.1e}: not 0"
        unknown = "noise floor not available\n" if table["level"].isna().all() else ""
        note = style.write(ax, 0.98, 0.04, f"{unknown}all ranges at r = 0: {check}", ha="right")
        note.set_bbox({"facecolor": "white", "alpha": 0.8, "pad": 1, "linewidth": 0})
    figure.colorbar(colours, ax=figure.axes, label="mean score of the right class", aspect=40, pad=0.01)
    key: dict[str, dict[str, Any]] = {
        "all draws classified right": {"marker": "o"},
        "at least one misclassified": {"marker": "s"},
        "at the noise floor": {"marker": "v", "mfc": "none"},
        f"{NOISE_FLOOR_FACTOR} noise floors of the sample": {"marker": "_", "color": _FLOOR, "mew": 1.2},
        f"T = {config.ball.draws} {'draws' if probe == 'isotropy' else 'permutations'}": {},
    }
    handles = [Line2D([], [], label=label, **{"ls": "", "color": style.GREY, **how}) for label, how in key.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.5, handletextpad=0.4)
    return figure


# Figures 1 and 3 have twins of the margin, which does not saturate.
fig1_isotropy = partial(_draw_ranges, probe="isotropy", quantity="score")
fig1_isotropy_margin = partial(_draw_ranges, probe="isotropy", quantity="margin (logits)", prefix="margin_")
fig3_symmetry = partial(_draw_ranges, probe="symmetry", quantity="score")
fig3_symmetry_margin = partial(_draw_ranges, probe="symmetry", quantity="margin (logits)", prefix="margin_")

_IMAGES = (("x", "o", "white"), ("x + v₁", "^", style.SKY), ("x + v₂", "s", style.VERMILION))  # name, marker, colour


def fig2_illustration(run: Run) -> Figure:
    """Draw a row for each dataset: the plane through an image and two perturbed ones of equal norm, and the three."""
    config = run.config
    figure = Figure(figsize=(style.WIDTH, 2.45 * len(config.datasets)))
    parts = figure.subfigures(len(config.datasets), 1, squeeze=False)[:, 0]
    for (dataset, spec), part in zip(config.datasets.items(), parts, strict=True):
        shown, names = run.illustration(dataset), run.class_names(dataset)
        found = "one permutation right, one wrong" if shown["flips"] else "none wrong; the two furthest apart in score"
        radius = radius_name(float(shown["radius"]), config.ball)
        heading = f"{shown['network']}, {dataset} (score > {spec.threshold:g}), r = {radius}: {found}"
        part.suptitle(heading, fontsize="medium", x=0.01, ha="left")
        plane, *pictures = part.subplots(1, 4, width_ratios=(1.35, 1, 1, 1))
        _draw_plane(part, plane, shown)
        for number, (ax, (name, _, colour)) in enumerate(zip(pictures, _IMAGES, strict=True)):
            ax.imshow(np.clip(shown["images"][number], 0, 1), interpolation="nearest")
            ax.set(xticks=[], yticks=[], anchor="N")
            prediction, score = shown["predictions"][number], shown["scores"][number]
            verdict = "right" if prediction == shown["label"] else "wrong"
            if number == 0 or verdict == "wrong":
                verdict += f": {in_figure(named(int(prediction), names, _LONGEST))}"
            digits = f"{score:.3f}" if score < 0.9995 else f"1 − {1 - score:.0e}"
            ax.set_title(f"{name}: score {digits}\n{verdict}", fontsize="small")
            ax.spines[:].set(visible=True, color="black" if number == 0 else colour, linewidth=2)
    return figure


def _draw_plane(part: SubFigure, ax: Axes, shown: dict[str, Any]) -> None:
    axis = shown["axis"]
    mesh = ax.pcolormesh(axis, axis, shown["score"], cmap=style.SEQUENTIAL, shading="nearest", rasterized=True)
    if shown["right"].any() and not shown["right"].all():
        ax.contour(axis, axis, shown["right"].astype(float), levels=[0.5], colors="white", linewidths=1.2)
    ax.add_patch(Circle((0, 0), float(np.linalg.norm(shown["points"][0])), fill=False, ec="white", lw=0.8, ls="--"))
    for point, (name, marker, colour) in zip([np.zeros(2), *shown["points"]], _IMAGES, strict=True):
        ax.scatter(point[0], point[1], marker=marker, s=28, color=colour, ec="black", lw=0.8, zorder=3)
        label = ax.annotate(name, point, (-6, -11), textcoords="offset points", ha="right")
        label.set(fontsize="small", path_effects=[withStroke(linewidth=2, foreground="white")])
    ax.set(aspect="equal", xlabel="along v₁", ylabel="along v₂, across v₁")
    ax.grid(False)
    part.colorbar(mesh, ax=ax, label="score", pad=0.02)


def fig4_topology(run: Run) -> Figure:
    """Draw a panel for each network: Mantel's ρ of each sample and radius, their medians, and the paper's band.

    Where the run measures a random projection, its medians are beside them: what a linear function does.
    """
    figure, axes = style.panels(run, "topology")
    control, colour = "random-projection", style.CONTROLS["random-projection"]
    key: dict[str, dict[str, Any]] = {}
    for network, [ax] in axes.items():
        table = style.radius_axis(ax, run.config, run.metrics("topology", network))
        ax.axhspan(-RHO_BAND, RHO_BAND, color=style.FLOOR, lw=0, zorder=0)
        ax.axhline(0, color=style.GREY, lw=0.6, zorder=1)
        style.strip(ax, table, "rho", color=style.BLUE)
        ax.set_ylabel("Mantel's ρ")
        linear = name_of(network, control)
        if control in compared(run.config, network, "topology") and not run.unavailable(linear, "topology"):
            medians = beyond_zero(run.metrics("topology", linear), run.config.ball).groupby("place")["rho"].median()
            how = {"color": colour, "marker": "D", "ms": 3.5, "lw": 1.0}
            ax.plot(medians.index, medians, zorder=4, **how)
            key = {"median over samples": {"color": "black", "lw": 1.2}, f"median of the control {control}": how}
        inside, undefined = (table["rho"].abs() < RHO_BAND).sum(), table["rho"].isna().sum()
        note = f"|ρ| < {RHO_BAND:g}: {inside} of {len(table) - undefined}"
        note += f"; undefined: {undefined}" if undefined else ""
        style.write(ax, 0.98, 0.04, note, ha="right", color="0.35")
    largest = max(0.2, *(abs(limit) for ax in figure.axes for limit in ax.get_ylim()))
    ax.set_ylim(-largest, largest)  # all share it
    if handles := [Line2D([], [], label=label, **how) for label, how in key.items()]:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


_EDGE = 5.0


def derivatives(x: Array) -> dict[str, Array]:
    """Return the slopes of the functions of Fig. 5; the largest absolute value of each is 1.

    The paper gives no formulas; these have its properties: f(x) = sin x everywhere; g(x) = sin x as well for |x| ≤ 5,
    its slope fading out beyond. Both have Lipschitz constant 1 (|cos| reaches 1 at 0).
    """
    beyond = np.maximum(np.abs(x) - _EDGE, 0)
    return {"f": np.cos(x), "g": np.cos(x) * np.exp(-(beyond**2) / 4)}


def fig5_functions(run: Run) -> Figure:
    """Draw two functions with the same Lipschitz constant on the left, their derivatives on the right."""
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


def fig6_lipschitz(run: Run) -> Figure:
    """Draw a panel for each network: a point for each draw, its normalised distance after Φ_L against before."""
    lines: dict[str, dict[str, Any]] = {
        "linear fit": {"color": "black", "lw": 1.0},
        "quadratic fit": {"color": style.BLUE, "lw": 2.4},
        "L = 1": {"color": style.VERMILION, "lw": 1.0, "ls": "--"},
    }
    config = run.config
    radii = np.array(config.ball.radii)
    edges = np.concatenate([radii[:1] - 0.01, (radii[1:] + radii[:-1]) / 2, radii[-1:] + 1])
    colours = ScalarMappable(BoundaryNorm(edges, 256), style.SEQUENTIAL)
    figure, axes = style.panels(run, "lipschitz", sharex=False, sharey=False)
    for network, [ax] in axes.items():
        table = run.metrics("lipschitz", network).dropna(subset=["d_in", "d_out"])
        if table.empty:
            style.write(ax, 0.5, 0.5, "not defined: all features are equal", ha="center")
            continue
        shades = colours.to_rgba(table["radius"].to_numpy())
        ax.scatter(table["d_in"], table["d_out"], c=shades, s=2.5, lw=0, alpha=0.6, rasterized=True, zorder=2)
        for label, order in (("quadratic fit", 2), ("linear fit", 1)):
            how = {**lines[label], "zorder": 3}
            sns.regplot(table, x="d_in", y="d_out", order=order, ci=None, scatter=False, line_kws=how, ax=ax)
        top = float(table["d_out"].max()) * 1.05
        ax.plot(*[[0, min(float(table["d_in"].max()), top)]] * 2, zorder=3, **lines["L = 1"])
        ax.set_ylim(min(0.0, ax.get_ylim()[0]), max(top, 1e-12))
        ax.set(xlabel="‖h(x + v) − h(x)‖", ylabel="‖g(Φ$_L$(x + v))\n− g(Φ$_L$(x))‖")
        below = (table["ratio"].dropna() < 1).mean()
        style.write(ax, 0.98, 0.04, f"ratio < 1: {below:.0%}", ha="right", color="0.2", zorder=4)
    # The bar is even: of many radii, ε would be written into 0 and 1. A label is at the middle of its radius' colour.
    labelled = [0.0, *(r for r in style.labelled_radii(config) if len(radii) <= 9 or r != config.ball.epsilon)]
    middles = dict(zip(config.ball.radii, (edges[1:] + edges[:-1]) / 2, strict=True))
    bar = figure.colorbar(colours, ax=figure.axes, aspect=40, pad=0.01, spacing="uniform", label="radius r")
    bar.set_ticks([middles[r] for r in labelled], labels=[radius_name(r, config.ball) for r in labelled])
    bar.minorticks_off()
    handles = [Line2D([], [], label=label, **how) for label, how in lines.items()]
    handles.append(Line2D([], [], ls="", label=f"T = {config.ball.draws} draws"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def fig6_lipschitz_ratio(run: Run) -> Figure:
    """Draw a panel for each network: ratios of each sample and radius, median and largest over draws, on one log axis.

    Eq. 9 is a supremum: what holds of the largest ratio holds of all draws.
    """
    figure, axes = style.panels(run, "lipschitz")
    for network, [ax] in axes.items():
        draws = run.metrics("lipschitz", network).dropna(subset="ratio")
        largest = draws.groupby("sample")["ratio"].max()
        ax.axhline(1, color=style.VERMILION, lw=1.0, ls="--", zorder=2.5)  # above all dots
        ratios = draws.groupby(["sample", "radius"], sort=False)["ratio"].agg(["median", "max"]).reset_index()
        table = style.radius_axis(ax, run.config, ratios)
        ax.set_ylabel("ratio of Eq. 9")
        if table.empty:
            style.write(ax, 0.5, 0.5, "not defined: all features are equal", ha="center")
            continue
        how: dict[str, Any] = {"s": 10 if len(largest) <= 50 else 3, "rasterized": True}
        ax.scatter(side_by_side(table), table["max"], color=style.SKY, alpha=0.55, lw=0, **how)
        style.strip(ax, table, "median", color=style.BLUE, **how)
        note = f"largest ratio < 1: {(largest < 1).sum()} of {len(largest)} samples"
        style.write(ax, 0.98, 0.04, note, ha="right", color="0.35")
    style.log_scale(ax)  # all share it
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom / (top / bottom) ** 0.15, top)  # room for the note
    dots: dict[str, Any] = {"ls": "", "marker": "o", "ms": 3.5}
    key: dict[str, dict[str, Any]] = {
        "median of a sample's draws": {"color": style.BLUE, **dots},
        "largest of them": {"color": style.SKY, **dots},
        "median over samples": {"color": "black", "lw": 1.2},
        "L = 1": {"color": style.VERMILION, "lw": 1.0, "ls": "--"},
        f"T = {run.config.ball.draws} draws": {"ls": ""},
    }
    handles = [Line2D([], [], label=label, **how) for label, how in key.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
