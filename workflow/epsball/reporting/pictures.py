"""Figures as they stand in the report: their pictures, page by page, within a budget of bytes, and their captions."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from epsball.config import Config
from epsball.reporting.figures import drawn, page_name, pages
from epsball.stages import report_size
from epsball.stages.panels import data_uri


def figures(config: Config, folder: Path, captions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the figures of a run with their pages: the first ones, and of further ones what fits, have their picture.

    Args:
        config: configuration of the run.
        folder: folder of the run.
        captions: caption of each figure.
    """
    found = {name: _captioned(name, captions[name]) for name in drawn(config)}
    left = report_size.FIGURES
    every = [(number, name, networks) for name in found for number, networks in enumerate(pages(name, config))]
    for number, name, networks in sorted(every, key=lambda page: page[0]):  # first pages first
        page = page_name(name, number)
        # Once something did not fit, nothing more is packed but first pages.
        picture = _webp(folder / "figures" / f"{page}.png") if number == 0 or left >= 0 else ""
        left -= len(picture)
        found[name]["pages"].append(
            {"name": page, "networks": networks, "picture": picture if number == 0 or left >= 0 else ""}
        )
    return found


def size(figures: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes of all pictures of figures."""
    return sum(len(page["picture"]) for figure in figures.values() for page in figure["pages"])


def _captioned(name: str, caption: str) -> dict[str, Any]:
    # The first sentence, and the one after a bare number: "Figure 1. Isotropy (Eq. 4). Range of …"
    title, rest = re.split(r"(?<!^Figure \d)(?<!Eq)\. ", caption.strip(), maxsplit=1)
    return {"name": name, "title": title, "caption": rest, "pages": []}


def _webp(path: Path) -> str:
    """Return a picture as it stands in the page, the same pixels in less than half of the bytes."""
    packed = io.BytesIO()
    with Image.open(path) as picture:
        picture.convert("RGB").save(packed, "webp", lossless=True)
    return data_uri("webp", packed.getvalue())
