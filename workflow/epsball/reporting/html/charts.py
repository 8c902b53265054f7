"""Charts to hover: what figures 1, 3, 4 and 6 show, a point a sample and radius. Tables in, Plotly's figures out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from epsball.analysis.claims import NOISE_FLOOR_FACTOR, RHO_BAND, lowest_drawn
from epsball.analysis.run import Run
from epsball.config import Config

RIGHT, WRONG, GREY = "#3b8fd4", "#e0701a", "#8a929b"  # on light and on dark pages

SAMPLES = 200  # of a network, that a chart shows at most: the first ones, whose order is that of their random seeds


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: of its vertical axis.
        traces: of a network.
        log: whether that axis is logarithmic.
        band: half the height of a grey band around 0; 0 for none.
        line: level of a dashed line; 0 for none.
    """

    title: str
    traces: Callable[[Run, str], Iterator[go.Scatter]]
    log: bool = False
    band: float = 0.0
    line: float = 0.0


def chart(name: str, results: Run) -> dict[str, Any]:
    """A registered chart as Plotly's JSON, all networks in it, of which the first is visible.

    Each trace has its network as `meta`, and its points their samples as `text`.
    """
    spec, config = CHARTS[name], results.config
    traces = []
    for place, network in enumerate(config.networks):
        for trace in spec.traces(results, network):
            traces.append(trace.update(meta=network, visible=place == 0))
    radii = _radii(config)
    axis = {
        "tickvals": list(range(len(radii))),
        "ticktext": ["ε" if radius == config.ball.epsilon else f"{radius:g}" for radius in radii],
        "title": {"text": f"radius r ({'L2' if config.ball.norm == 'l2' else 'L∞, 8-bit levels'})", "standoff": 6},
        "range": [-0.6, len(radii) - 0.4],
        "showgrid": False,
        "zeroline": False,
    }
    shapes: list[dict[str, Any]] = []
    if spec.band:
        corners = {"x0": 0, "x1": 1, "y0": -spec.band, "y1": spec.band}
        shapes.append({"type": "rect", "xref": "paper", **corners, "fillcolor": GREY, "opacity": 0.2, "line_width": 0})
    if spec.line:
        ends = {"x0": 0, "x1": 1, "y0": spec.line, "y1": spec.line}
        line = {"dash": "dash", "color": WRONG, "width": 1}
        shapes.append({"type": "line", "xref": "paper", **ends, "line": line})
    layout = go.Layout(
        template="none",
        xaxis=axis,
        yaxis={
            "title": spec.title,
            "type": "log" if spec.log else "linear",
            "exponentformat": "power",
            "zeroline": False,
            **({"dtick": 1} if spec.log else {}),
        },
        shapes=shapes,
        hovermode="closest",
        margin={"l": 70, "r": 12, "t": 12, "b": 60},
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
    )
    found: dict[str, Any] = json.loads(go.Figure(traces, layout).to_json())
    return found


def _ranges(probe: str, column: str, floor: str) -> Callable[[Run, str], Iterator[go.Scatter]]:
    """Ranges by how they were classified and whether they are above the floor, which is drawn below them."""

    def traces(results: Run, network: str) -> Iterator[go.Scatter]:
        table = _placed(results, results.metrics(probe, network))
        level = NOISE_FLOOR_FACTOR * table[floor]
        bottom = lowest_drawn(table[column], table[floor])
        table = table.assign(y=table[column].clip(lower=bottom), level=level)
        noise, wrong = table[column] <= level, table["misclassified"] > 0
        yield go.Scatter(
            x=_small(table["x"]),
            y=_small(level.clip(lower=bottom)),
            mode="markers",
            marker={"symbol": "line-ew", "size": 7, "line": {"color": GREY, "width": 1}},
            name=f"{NOISE_FLOOR_FACTOR} floors",
            hoverinfo="skip",
        )
        for kind, some, marker in (
            ("all draws right", ~noise & ~wrong, {"color": RIGHT}),
            ("at least one misclassified", ~noise & wrong, {"color": WRONG, "symbol": "square"}),
            ("at the floor", noise, {"color": GREY, "symbol": "triangle-down-open"}),
        ):
            yield _points(
                table[some],
                "y",
                kind,
                (column, "level", "misclassified"),
                "range %{customdata[1]:.3~g}"
                f"<br>{NOISE_FLOOR_FACTOR} floors %{{customdata[2]:.3~g}}<br>misclassified %{{customdata[3]:.0%}}",
                **marker,
            )

    return traces


def _topology(results: Run, network: str) -> Iterator[go.Scatter]:
    table = _placed(results, results.metrics("topology", network)).dropna(subset="rho")
    hover = "ρ = %{y:.3f}<br>p = %{customdata[1]:.3~g}"
    yield _points(table, "rho", "Mantel's ρ", ("p_value",), hover, color=RIGHT)
    median = table.groupby("radius")["rho"].median()
    yield go.Scatter(
        x=_small(pd.Series([_radii(results.config).index(float(str(radius))) for radius in median.index])),
        y=_small(median),
        mode="markers",
        marker={"symbol": "line-ew", "size": 26, "line": {"color": GREY, "width": 2}},
        name="median",
        hovertemplate="median %{y:.3f}<extra></extra>",
    )


def _lipschitz(results: Run, network: str) -> Iterator[go.Scatter]:
    table = results.metrics("lipschitz", network)
    by_cell = table.groupby(["sample", "radius"], sort=False)["ratio"].agg(["min", "median", "max"])
    table = _placed(results, by_cell.reset_index()).dropna(subset="median")
    gap = np.full(len(table), np.nan)
    yield go.Scatter(
        x=_small(np.stack([table["x"], table["x"], gap], axis=1).ravel()),
        y=_small(np.stack([table["min"], table["max"], gap], axis=1).ravel()),
        mode="lines",
        line={"color": GREY, "width": 1},
        name="minimum to maximum of the draws",
        hoverinfo="skip",
    )
    hover = "median ratio %{y:.3~g}<br>from %{customdata[1]:.3~g} to %{customdata[2]:.3~g}"
    yield _points(table, "median", "median", ("min", "max"), hover, color=RIGHT)


def _points(table: pd.DataFrame, y: str, name: str, shown: tuple[str, ...], hover: str, **marker: str) -> go.Scatter:
    """A point a sample and radius, which says both, and then of the columns shown, from customdata[1] on."""
    return go.Scatter(
        x=_small(table["x"]),
        y=_small(table[y]),
        mode="markers",
        marker={"size": 7, **marker},
        name=name,
        text=table["sample"].tolist(),
        customdata=_small(table[["radius", *shown]]),
        hovertemplate=f"<b>%{{text}}</b>, r = %{{customdata[0]:.3~g}}<br>{hover}<extra></extra>",
    )


CHARTS = {
    "isotropy": Chart("range of the score", _ranges("isotropy", "range", "noise_floor"), log=True),
    "isotropy_margin": Chart(
        "range of the margin", _ranges("isotropy", "margin_range", "margin_noise_floor"), log=True
    ),
    "symmetry": Chart("range of the score", _ranges("symmetry", "range", "noise_floor"), log=True),
    "topology": Chart("Mantel's ρ", _topology, band=RHO_BAND),
    "lipschitz": Chart("local Lipschitz ratio", _lipschitz, log=True, line=1.0),  # those of sign networks are near 0
}


def _radii(config: Config) -> list[float]:
    return [radius for radius in config.ball.radii if radius > 0]


def _placed(results: Run, table: pd.DataFrame) -> pd.DataFrame:
    """The rows beyond radius 0, with a place for each: radii are evenly spaced, samples side by side at each."""
    table = table[(table["radius"] > 0) & table["sample"].isin(table["sample"].unique()[:SAMPLES])]
    places = {radius: place for place, radius in enumerate(_radii(results.config))}
    samples = {name: number for number, name in enumerate(table["sample"].unique())}
    aside = table["sample"].map(samples) / max(len(samples) - 1, 1) * 0.64 - 0.32 * (len(samples) > 1)
    return table.assign(x=table["radius"].map(places) + aside)


def _small(values: pd.Series | pd.DataFrame | NDArray[np.float64]) -> NDArray[np.float32]:
    """In float32, rounded to 12 bits, a relative 0.0002: more than a chart shows, and half as large when compressed."""
    bits = np.asarray(values, dtype=np.float32).view(np.uint32)
    rounded: NDArray[np.float32] = ((bits + np.uint32(0x400)) & np.uint32(0xFFFFF800)).view(np.float32)
    return np.where(np.isfinite(np.asarray(values, dtype=np.float32)), rounded, np.float32(np.nan))
