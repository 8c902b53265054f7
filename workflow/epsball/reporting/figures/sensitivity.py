"""Not in the paper: the verdict on each claim under every reading of it. Drawn from several runs: no run has it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, Verdict
from epsball.reporting.figures import style

# Of Okabe & Ito, and as different in lightness as in hue: it is read in grey as well.
_COLOURS = {
    Verdict.HOLDS: "#0072b2",
    Verdict.DOES_NOT_HOLD: "#e69f00",
    Verdict.UNDECIDED: "0.88",
    Verdict.TOO_FEW_SAMPLES: "white",
    Verdict.TOO_FEW_DRAWS: "white",
    Verdict.NOT_MEASURED: "white",
}
_HATCHES = {Verdict.TOO_FEW_DRAWS: "....", Verdict.NOT_MEASURED: "////"}
_STATEMENTS = {claim.name: claim.statement for claim in CLAIMS}
_ROW = 0.185  # inches


def draw(table: pd.DataFrame, base: str) -> Figure:
    """A column a reading; under each claim a row a network, coloured by verdict, the estimate written in.

    Args:
        table: see `epsball.analysis.readings.compare`.
        base: how the base reads the paper, in words.
    """
    places = {reading: place for place, reading in enumerate(table["reading"].unique())}
    claims = table.groupby("claim", sort=False)
    rows = sum(1 + claim["network"].nunique() for _, claim in claims)
    figure = Figure(figsize=(style.WIDTH, _ROW * rows + 0.8))
    ax = figure.subplots()
    networks: dict[int, str] = {}
    row = 0
    for name, claim in claims:
        bound = claim["bound"].iloc[0]
        ax.text(0, row + 0.78, f"{_STATEMENTS[str(name)]} ({bound})", fontsize="small", va="baseline")
        for network, cells in claim.groupby("network", sort=False):
            row += 1
            own = cells["bound"].iloc[0]
            networks[row] = str(network) if network != ALL_NETWORKS else f"share of them ({own})"
            for reading, estimate, verdict in zip(cells["reading"], cells["estimate"], cells["verdict"], strict=True):
                _cell(ax, places[reading], row, estimate, verdict)
        row += 1
    ax.set(xlim=(0, len(places)), ylim=(row + 0.1, 0))
    ax.set_xticks(np.arange(len(places)) + 0.5, [_heading(reading) for reading in places])
    ax.set_yticks([place + 0.5 for place in networks], list(networks.values()))
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.set_xlabel(f"base: {base}; each other column: one change", color="0.35", fontsize="small")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    shown = [verdict for verdict in _COLOURS if (table["verdict"] == verdict).any()]
    handles = [
        Patch(facecolor=_COLOURS[name], edgecolor=style.GREY, lw=0.5, hatch=_HATCHES.get(name), label=name)
        for name in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _cell(ax: Axes, column: int, row: int, estimate: float, verdict: str) -> None:
    colour = _COLOURS[Verdict(verdict)]
    hatch = _HATCHES.get(Verdict(verdict))
    ax.add_patch(
        Rectangle((column + 0.03, row + 0.05), 0.94, 0.9, facecolor=colour, edgecolor=style.GREY, lw=0.4, hatch=hatch)
    )
    if not pd.isna(estimate):
        ax.text(
            column + 0.5,
            row + 0.5,
            _number(estimate),
            color="white" if verdict == Verdict.HOLDS else "black",
            fontsize="small",
            ha="center",
            va="center_baseline",
        )


def _heading(reading: str) -> str:
    """The name of a reading in two lines: what is read, and how."""
    key, _, value = reading.partition("-")
    return f"{'ε' if key == 'epsilon' else key}\n{value}"


def _number(value: float) -> str:
    return f"{value:.2g}".replace("inf", "∞").replace("-", "−")
