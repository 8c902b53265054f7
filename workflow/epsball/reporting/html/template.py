"""The look of the pages: templates with their style and scripts, rendered into one file."""

from __future__ import annotations

import base64
import gzip
import importlib.resources
import json
from typing import Any

import jinja2

from epsball.analysis.claims import Verdict
from epsball.reporting.summary_text import format_number


def render(name: str, **values: Any) -> str:
    """Render a page from its template, as HTML that asks for nothing outside of it."""
    page: str = ENVIRONMENT.get_template(name).render(**values)
    return page


def packed(data: object) -> str:
    """Return data as JSON, compressed, in base64; the page's script unpacks it when it is needed."""
    return _compressed(json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def _plotly() -> str:
    """Return the script of the plotting library, compressed."""
    return _compressed(importlib.resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes())


def _compressed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, compresslevel=6, mtime=0)).decode()


ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("epsball.reporting.html"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
ENVIRONMENT.filters |= {"number": format_number, "symbol": lambda verdict: Verdict(verdict).symbol, "packed": packed}
ENVIRONMENT.globals["plotly"] = _plotly
