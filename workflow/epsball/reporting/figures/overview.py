"""All claims and networks at a glance."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from epsball.analysis.claims import CLAIMS, Verdict, given
from epsball.analysis.run import Run
from epsball.reporting.figures import style

_COLOURS = {**style.VERDICTS, Verdict.UNDECIDED: style.GREY, Verdict.TOO_FEW_SAMPLES: "0.75"}  # of thin lines

_FEW = 12  # networks up to which there is room for two rows of claims


def overview_claims(run: Run) -> Figure:
    """Draw a panel for each of the paper's claims, a row for each network: estimate, interval, bound and verdict."""
    claims = run.claims
    claims = claims[claims["network"].isin(run.networks) & (claims["kind"] == "paper") & (claims["control"] == "")]
    judged = [claim for claim in CLAIMS if (claims["claim"] == claim.name).any()]
    networks = run.networks[::-1]
    down = 2 if len(networks) <= _FEW else 1
    across = -(-len(judged) // down)
    figure = Figure(figsize=(style.WIDTH, down * (0.14 * len(networks) + 1.0) + 0.4))
    grid = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for ax, claim in zip(grid, judged, strict=False):
        rows = claims[(claims["claim"] == claim.name) & claims["estimate"].notna()]
        places, verdicts = rows["network"].map(networks.index), rows["adjusted_verdict"]
        colours = verdicts.map(_COLOURS)
        if claim.statistic.scale == "ratio" and (rows["estimate"] > 0).any():
            ends = rows.loc[rows["estimate"] > 0, "estimate"]
            limits = min(ends.min() / 5, claim.bound / 1.5), max(ends.max() * 5, claim.bound * 1.5)
        else:
            limits = (-0.05, 1.05) if claim.direction != "±" else (-0.55, 0.55)
        low, high = (rows[end].clip(*limits) for end in ("ci_low", "ci_high"))
        ax.hlines(places, low, high, color=colours, lw=1.2)
        points: dict[str, Any] = {"s": 12, "lw": 0.6, "ec": "0.3", "zorder": 3}
        sns.scatterplot(x=rows["estimate"], y=places, color=list(colours), ax=ax, **points)
        for bound in {claim.bound, -claim.bound} if claim.direction == "±" else {claim.bound}:
            ax.axvline(bound, color="black", lw=0.8, ls="--", zorder=1)
        ax.set(xlim=limits, ylim=(-0.7, len(networks) - 0.3), xlabel="", ylabel="")
        if limits[0] > 0:
            style.log_scale(ax, "x")
        ax.set_title(textwrap.fill(claim.name, 60 // across), fontsize="small")
        ax.set_yticks(range(len(networks)), networks, fontsize="small" if down == 2 else 5)
        ax.tick_params("x", labelsize=6)
        ax.grid(False, axis="y")
    for ax in grid[len(judged) :]:
        ax.remove()
    handles = [
        Line2D([], [], color=_COLOURS[verdict], marker="o", ms=4, lw=1.2, mec="0.3", label=verdict.value)
        for verdict in given(claims["adjusted_verdict"])
        if np.isfinite(claims.loc[claims["adjusted_verdict"] == verdict, "estimate"]).any()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(len(handles), 1))
    return figure
