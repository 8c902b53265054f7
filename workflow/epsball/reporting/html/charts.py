"""Charts to hover over, as Plotly's JSON: what figures 1, 3, 4 and 6 show, with a point for each sample and radius."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from epsball.analysis.claims import NOISE_FLOOR_FACTOR, RHO_BAND
from epsball.analysis.run import Run
from epsball.config import NORMS, Config
from epsball.reporting.html.template import significant
from epsball.reporting.log_axis import lowest_drawn

BLUE, ORANGE, GREY = "#3b8fd4", "#e0701a", "#8a929b"  # legible on light and on dark pages

SAMPLES = 200  # most samples of a network in a chart: the first ones, whose order is that of their random seeds

Trace = dict[str, Any]  # attributes of a scatter trace, see https://plotly.com/javascript/reference/scatter


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: title of its vertical axis.
        traces: makes the traces of a network.
        yaxis: further attributes of its vertical axis.
        shape: a band or line across the chart; empty for none.
    """

    title: str
    traces: Callable[[Run, str], Iterator[Trace]]
    yaxis: Mapping[str, object] = field(default_factory=dict)
    shape: Mapping[str, object] = field(default_factory=dict)


def chart(name: str, run: Run) -> dict[str, Any]:
    """Return the data and layout of a registered chart, with the traces of all networks.

    Each trace has its network as `meta`, and its points have their samples as `text`. The `meta` of the layout gives
    the dataset of each network. Margins, fonts and colours are left to the page.
    """
    spec, config = CHARTS[name], run.config
    radii = _radii(config)
    layout = {
        "meta": {network: network_spec.dataset for network, network_spec in config.networks.items()},
        "xaxis": {
            "tickvals": list(range(len(radii))),
            "ticktext": ["ε" if radius == config.ball.epsilon else f"{radius:g}" for radius in radii],
            "title": {"text": f"radius r ({NORMS[config.ball.norm][0]})", "standoff": 6},
            "range": [-0.6, len(radii) - 0.4],
            "showgrid": False,
            "showline": True,
            "zeroline": False,
        },
        "yaxis": {"title": {"text": spec.title}, "zeroline": False, **spec.yaxis},
        "shapes": [{"xref": "paper", "x0": 0, "x1": 1, **spec.shape}] if spec.shape else [],
    }
    traces = [{**trace, "meta": network} for network in config.networks for trace in spec.traces(run, network)]
    return {"data": traces, "layout": layout}


def _ranges(probe: str, column: str, floor: str) -> Callable[[Run, str], Iterator[Trace]]:
    """Draw ranges by how the draws were classified and whether they exceed the noise floor, which is drawn too."""

    def traces(run: Run, network: str) -> Iterator[Trace]:
        table = _place(run, run.metrics(probe, network))
        bottom = lowest_drawn(table[column], table[floor])
        level = NOISE_FLOOR_FACTOR * table[floor]
        table = table.assign(y=table[column].clip(lower=bottom), level=level)
        noise, wrong = table[column] <= level, table["misclassified"] > 0
        name = f"{NOISE_FLOOR_FACTOR} noise floors"
        known = level.notna()
        label = name if known.any() or table.empty else f"{name}: not available"
        yield _dashes(table["x"][known], level[known].clip(lower=bottom), 7, 1, name=label, hoverinfo="skip")
        shown = "not available" if table[floor].isna().all() else "%{customdata[2]:.3~g}"
        hover = f"range %{{customdata[1]:.3~g}}<br>{name} {shown}<br>misclassified %{{customdata[3]:.0%}}"
        for kind, rows, marker in (
            ("all draws correct", ~noise & ~wrong, {"color": BLUE}),
            ("at least one misclassified", ~noise & wrong, {"color": ORANGE, "symbol": "square"}),
            ("at the noise floor", noise, {"color": GREY, "symbol": "triangle-down-open"}),
        ):
            yield _points(table[rows], "y", kind, (column, "level", "misclassified"), hover, **marker)

    return traces


def _topology(run: Run, network: str) -> Iterator[Trace]:
    table = _place(run, run.metrics("topology", network)).dropna(subset="rho")
    hover = "ρ = %{y:.3f}<br>p = %{customdata[1]:.3~g}"
    yield _points(table, "rho", "Mantel's ρ", ("p_value",), hover, color=BLUE)
    median = table.groupby("place")["rho"].median()
    yield _dashes(median.index, median, 26, 2, name="median", hovertemplate="median %{y:.3f}<extra></extra>")


def _lipschitz(run: Run, network: str) -> Iterator[Trace]:
    ratios = run.metrics("lipschitz", network).groupby(["sample", "radius"], sort=False)["ratio"]
    table = _place(run, ratios.agg(["min", "median", "max"]).reset_index()).dropna(subset="median")
    gap = np.full(len(table), np.nan)  # ends the line of a sample
    yield {
        "mode": "lines",
        "x": significant(np.stack([table["x"], table["x"], gap], axis=1).ravel()),
        "y": significant(np.stack([table["min"], table["max"], gap], axis=1).ravel()),
        "line": {"color": GREY, "width": 1},
        "name": "minimum to maximum of the draws",
        "hoverinfo": "skip",
    }
    hover = "median ratio %{y:.3~g}<br>from %{customdata[1]:.3~g} to %{customdata[2]:.3~g}"
    yield _points(table, "median", "median", ("min", "max"), hover, color=BLUE)


def _points(table: pd.DataFrame, y: str, name: str, shown: tuple[str, ...], hover: str, **marker: str) -> Trace:
    """Draw a point for each row; hovering gives its sample and radius, then the columns shown, customdata[1] on."""
    return {
        "mode": "markers",
        "x": significant(table["x"]),
        "y": significant(table[y]),
        "marker": {"size": 7, **marker},
        "name": name,
        "text": table["sample"].tolist(),
        "customdata": [significant(row) for row in table[["radius", *shown]].to_numpy()],
        "hovertemplate": f"<b>%{{text}}</b>, r = %{{customdata[0]:.3~g}}<br>{hover}<extra></extra>",
    }


def _dashes(x: Iterable[float], y: Iterable[float], size: int, width: int, **attributes: str) -> Trace:
    marker = {"symbol": "line-ew", "size": size, "line": {"color": GREY, "width": width}}
    return {"mode": "markers", "x": significant(x), "y": significant(y), "marker": marker, **attributes}


_LOG = {"type": "log", "dtick": 1, "exponentformat": "power"}
_BAND = {"type": "rect", "y0": -RHO_BAND, "y1": RHO_BAND, "fillcolor": GREY, "opacity": 0.2, "line": {"width": 0}}
_LINE = {"type": "line", "y0": 1, "y1": 1, "line": {"dash": "dash", "color": ORANGE, "width": 1}}

CHARTS = {
    "isotropy": Chart("range of the score", _ranges("isotropy", "range", "noise_floor"), _LOG),
    "isotropy_margin": Chart("range of the margin", _ranges("isotropy", "margin_range", "margin_noise_floor"), _LOG),
    "symmetry": Chart("range of the score", _ranges("symmetry", "range", "noise_floor"), _LOG),
    "topology": Chart("Mantel's ρ", _topology, shape=_BAND),
    "lipschitz": Chart("local Lipschitz ratio", _lipschitz, _LOG, _LINE),  # log: those of the sign networks are near 0
}


def _radii(config: Config) -> list[float]:
    return [radius for radius in config.ball.radii if radius > 0]


def _place(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows beyond radius 0 of the first samples; `place` numbers radii, `x` puts samples side by side."""
    table = table[(table["radius"] > 0) & table["sample"].isin(table["sample"].unique()[:SAMPLES])]
    samples = {name: number for number, name in enumerate(table["sample"].unique())}
    aside = table["sample"].map(samples) / max(len(samples) - 1, 1) * 0.64 - 0.32 * (len(samples) > 1)
    place = table["radius"].map({radius: number for number, radius in enumerate(_radii(run.config))})
    return table.assign(place=place, x=place + aside)
