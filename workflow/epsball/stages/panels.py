"""What the report's panels of samples hold, and how many bytes it may take: drawn by illustrate, read by the report.

Nothing here needs PyTorch, which would take most of the report's time.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from epsball.config import Config
from epsball.runs import files

SHOWN = {"isotropy": "uniform", "symmetry": "permuted"}  # probes whose draws are shown, with their families

LIMIT = 15_000_000  # bytes of the report
BUDGET = 6_000_000  # bytes in it of the pictures of all draws

# What else the report has is known when it is written. Where draws are drawn it is estimated, rather low: what does not
# fit after all is left out.
_FIGURES = 500_000  # bytes of all figures, a network
_POINT = 220  # bytes in all charts of a network's sample at a radius
_CHARTED = 200  # samples of a network in a chart

_PICTURES = ("clean", "lossless", "pictures", "draws")


@dataclass
class Panels:
    """The panels of the samples of a dataset."""

    radii: list[float]  # at which draws are shown
    probes: list[str]  # whose draws are shown
    samples: dict[str, dict[str, Any]] = field(default_factory=dict)  # see `epsball.stages.draws.make_panels`
    thumbnails: dict[str, str] = field(default_factory=dict)  # by sample
    without: list[str] = field(default_factory=list)  # samples whose draws are left out
    bytes: int = 0  # of the pictures

    def cut(self, budget: int) -> None:
        """Leave out the draws of the last samples, until the pictures take at most `budget` bytes."""
        for name, panel in reversed(self.samples.items()):
            if self.bytes <= budget:
                return
            if "draws" in panel:
                self.bytes -= size(panel)
                self.without.insert(0, name)
                for key in _PICTURES:
                    del panel[key]

    def write(self, path: Path) -> None:
        """Write a JSON file, whole or not at all."""
        files.write_text(path, json.dumps(asdict(self), ensure_ascii=False, allow_nan=False))


def read(path: Path) -> Panels:
    """Read the panels that were written to a JSON file."""
    return Panels(**files.read_json(path))


def size(panel: Mapping[str, Any]) -> int:
    """Return the bytes of a panel's pictures."""
    return sum(map(len, [*panel["pictures"], panel["clean"]]))


def text_size(config: Config, samples: Mapping[str, int]) -> int:
    """Estimate the bytes of the report without pictures of draws, figures and charts.

    That are library, text, thumbnails and scores, of so many samples of each dataset.
    """
    return 2_500_000 + sum(
        count * (5_000 + 30 * len(config.networks_of(name)) * len(config.ball.radii)) for name, count in samples.items()
    )


def estimated_budget(config: Config, samples: Mapping[str, int]) -> int:
    """Estimate the bytes that the report has for pictures of draws, of so many samples of each dataset."""
    points = sum(
        len(config.networks_of(name)) * min(count, _CHARTED) * len(config.ball.radii) for name, count in samples.items()
    )
    return budget(text_size(config, samples) + _FIGURES * len(config.networks) + _POINT * points)


def budget(spent: int) -> int:
    """Return the bytes that the report has for pictures of draws, if all else takes so many."""
    return min(BUDGET, max(LIMIT - spent, 0))


def data_uri(kind: str, data: bytes) -> str:
    """Return a picture of a kind as it stands in the page."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def significant(values: Iterable[float]) -> list[float | None]:
    """Round numbers to five significant digits, more than a page shows; what is not finite becomes None."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
