"""Not in the paper: the verdict on each claim under every reading of it. Drawn from several runs: no run has it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from epsball.analysis.claims import ALL_NETWORKS, CLAIMS
from epsball.reporting.figures import style

_HATCH = "////"  # of what was not measured
_STATEMENTS = {claim.name: claim.statement for claim in CLAIMS}
_ROW = 0.185  # inches


def draw(table: pd.DataFrame, base: str) -> Figure:
    """Draw a column for each reading and, under each claim, a row for each network: verdict as colour, and estimate.

    The table is that of `epsball.analysis.readings.compare`; `base` says in words how the base reads the paper.
    """
    table = table.assign(colour=table["verdict"].map(list(style.VERDICTS).index), number=table["estimate"].map(_number))
    readings = list(table["reading"].unique())
    blank = pd.DataFrame({"colour": np.nan, "number": ""}, index=readings)
    headings: dict[int, str] = {}
    labels: list[str] = []
    rows: list[pd.DataFrame] = []
    for name, claim in table.groupby("claim", sort=False):
        headings[len(rows)] = f"{_STATEMENTS[str(name)]} ({claim['bound'].iloc[0]})"
        labels.append("")
        rows.append(blank)
        for network, own in claim.groupby("network", sort=False):
            labels.append(str(network) if network != ALL_NETWORKS else "most of them")
            rows.append(own.set_index("reading").reindex(readings))
    colours, numbers = (np.array([row[column] for row in rows]) for column in ("colour", "number"))

    figure = Figure(figsize=(style.WIDTH, _ROW * len(rows) + 0.8))
    ax = figure.subplots()
    sns.heatmap(
        colours.astype(float), annot=numbers, fmt="", annot_kws={"size": "small"}, linewidths=1.5, cbar=False, ax=ax,
        cmap=ListedColormap(list(style.VERDICTS.values())), vmin=0, vmax=len(style.VERDICTS) - 1, yticklabels=labels,
    )  # fmt: skip
    unmeasured = np.ma.masked_not_equal(colours.astype(float), len(style.VERDICTS) - 1)
    ax.pcolor(unmeasured, facecolor="none", edgecolor=style.GREY, lw=0, hatch=_HATCH)
    for row, heading in headings.items():
        ax.text(0, row + 0.78, heading, fontsize="small", va="baseline")
    # A heading has two lines: what is read, and how.
    columns = [name.replace("epsilon", "ε").partition("-") for name in readings]
    ax.set_xticks(np.arange(len(readings)) + 0.5, [f"{key}\n{value}" for key, _, value in columns])
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.tick_params("y", rotation=0)
    ax.set_xlabel(f"base: {base}; each other column: one change", color="0.35", fontsize="small")
    ax.grid(False)
    handles = [
        Patch(facecolor=colour, edgecolor=style.GREY, lw=0.5, hatch=_HATCH if colour == "white" else None, label=name)
        for name, colour in style.VERDICTS.items()
        if (table["verdict"] == name).any()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}".replace("inf", "∞").replace("-", "−")
