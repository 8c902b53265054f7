"""Charts to hover over, as Plotly's JSON: what figures 1, 3, 4 and 6 show, with a point for each sample and radius."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from epsball.analysis.claims import NOISE_FLOOR_FACTOR, RHO_BAND
from epsball.analysis.run import Run
from epsball.config import NORMS
from epsball.reporting.places import beyond_zero, radius_name, ranges_for_log_axis, side_by_side
from epsball.stages.panels import significant
from epsball.stages.report_size import charted

BLUE, ORANGE, GREY = "#3b8fd4", "#e0701a", "#8a929b"  # legible on light and on dark pages

Trace = dict[str, Any]  # attributes of a scatter trace, see https://plotly.com/javascript/reference/scatter


class Chart(NamedTuple):
    """A chart: the title of its vertical axis, what makes the traces of a network, and what the layout has besides."""

    title: str
    traces: Callable[[Run, str], Iterator[Trace]]
    yaxis: Mapping[str, object] = {}
    shape: Mapping[str, object] = {}  # a band or line across the chart


def chart(name: str, run: Run) -> dict[str, Any]:
    """Return the data and layout of a registered chart, with the traces of all networks.

    Each trace has its network as `meta`, and its points have their samples as `text`. The `meta` of the layout gives
    the dataset of each network. Margins, fonts and colours are left to the page.
    """
    spec, config = CHARTS[name], run.config
    radii = [radius for radius in config.ball.radii if radius > 0]
    layout = {
        "meta": {network: network_spec.dataset for network, network_spec in config.networks.items()},
        "xaxis": {
            "tickvals": list(range(len(radii))),
            "ticktext": [radius_name(radius, config.ball) for radius in radii],
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


def _ranges(probe: str, prefix: str = "") -> Callable[[Run, str], Iterator[Trace]]:
    """Draw ranges by how the draws were classified and whether they exceed the noise floor, which is drawn too."""

    def traces(run: Run, network: str) -> Iterator[Trace]:
        table = ranges_for_log_axis(_first_samples(run, probe, network), prefix)
        name = f"{NOISE_FLOOR_FACTOR} noise floors"
        known = table["level"].notna()
        label = name if known.any() or table.empty else f"{name}: not available"
        yield _dashes(table["x"][known], table["floor"][known], 7, 1, name=label, hoverinfo="skip")
        told = "not available" if table["level"].isna().all() else "%{customdata[2]:.3~g}"
        hover = f"range %{{customdata[1]:.3~g}}<br>{name} {told}<br>misclassified %{{customdata[3]:.0%}}"
        for kind, title, marker in (
            ("right", "all draws correct", {"color": BLUE}),
            ("wrong", "at least one misclassified", {"color": ORANGE, "symbol": "square"}),
            ("noise", "at the noise floor", {"color": GREY, "symbol": "triangle-down-open"}),
        ):
            shown = (f"{prefix}range", "level", "misclassified")
            yield _points(table[table["kind"] == kind], "y", title, shown, hover, **marker)

    return traces


def _topology(run: Run, network: str) -> Iterator[Trace]:
    table = _first_samples(run, "topology", network)
    table = table.assign(x=side_by_side(table)).dropna(subset="rho")
    hover = "ρ = %{y:.3f}<br>p = %{customdata[1]:.3~g}"
    yield _points(table, "rho", "Mantel's ρ", ("p_value",), hover, color=BLUE)
    median = table.groupby("place")["rho"].median()
    yield _dashes(median.index, median, 26, 2, name="median", hovertemplate="median %{y:.3f}<extra></extra>")


def _lipschitz(run: Run, network: str) -> Iterator[Trace]:
    draws = _first_samples(run, "lipschitz", network).groupby(["sample", "radius", "place"], sort=False)["ratio"]
    table = draws.agg(["min", "median", "max"]).reset_index()
    table = table.assign(x=side_by_side(table)).dropna(subset="median")
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


def _first_samples(run: Run, probe: str, network: str) -> pd.DataFrame:
    """Return a probe's rows of the first samples beyond radius 0, at their `place`."""
    table = run.metrics(probe, network)
    first = table["sample"].unique()[: charted(run.config)]
    return beyond_zero(table[table["sample"].isin(first)], run.config.ball)


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
    "isotropy": Chart("range of the score", _ranges("isotropy"), _LOG),
    "isotropy_margin": Chart("range of the margin", _ranges("isotropy", "margin_"), _LOG),
    "symmetry": Chart("range of the score", _ranges("symmetry"), _LOG),
    "symmetry_margin": Chart("range of the margin", _ranges("symmetry", "margin_"), _LOG),
    "topology": Chart("Mantel's ρ", _topology, shape=_BAND),
    "lipschitz": Chart("local Lipschitz ratio", _lipschitz, _LOG, _LINE),  # log: those of the sign networks are near 0
}
