"""The look of the pages: templates with their style and script, rendered into one file."""

from __future__ import annotations

import base64
import gzip
import importlib.resources
import json
from collections.abc import Hashable
from typing import Any

import jinja2
import pandas as pd

from epsball.analysis.claims import Verdict
from epsball.reporting.summary_text import format_number


def render(name: str, **values: Any) -> str:
    """A page from its template.

    Args:
        name: of the template.
        **values: what it shows.

    Returns:
        HTML that asks for nothing outside of it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("epsball.reporting.html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": format_number,
        "symbol": lambda verdict: Verdict(verdict).symbol,
        "packed": packed,
    }
    environment.globals["plotly"] = _plotly
    page: str = environment.get_template(name).render(**values)
    return page


def packed(data: object) -> str:
    """Data as JSON, compressed, in base64: a page's own script unpacks it when it is needed."""
    return _compressed(json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def _plotly() -> str:
    """The script of the plotting library, compressed."""
    script = importlib.resources.files("plotly").joinpath("package_data", "plotly.min.js")
    return _compressed(script.read_bytes())


def _compressed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, compresslevel=6, mtime=0)).decode()


def matrix(claims: pd.DataFrame, networks: list[str]) -> list[dict[str, Any]]:
    """Verdicts at a glance: a row a claim, of the rows without a control.

    Args:
        claims: see `epsball.analysis.verdicts.judge`, with a column `row` that numbers the rows.
        networks: the columns, in their order.

    Returns:
        For each claim its name, statement, and by network the row of the claims' table, where there is one, with the
        controls from which no difference is shown as `alike`.
    """
    own = claims[claims["control"] == ""]
    same = claims[(claims["control"] != "") & (claims["verdict"] == Verdict.NO_DIFFERENCE)]
    alike = same.groupby(["claim", "network"])["control"].agg(list).to_dict()

    def cell(rows: pd.DataFrame, claim: object, network: str) -> dict[Hashable, Any] | None:
        row = next(iter(rows[rows["network"] == network].to_dict("records")), None)
        return None if row is None else {**row, "alike": alike.get((claim, network), [])}

    return [
        {
            "claim": claim,
            "statement": rows["statement"].iloc[0],
            "cells": [cell(rows, claim, name) for name in networks],
        }
        for claim, rows in own.groupby("claim", sort=False)
    ]
