"""What the report's panels of samples hold: drawn by illustrate, read by the report.

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

from epsball.runs import files

SHOWN = {"isotropy": "uniform", "symmetry": "permuted"}  # probes whose draws are shown, with their families

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


def data_uri(kind: str, data: bytes) -> str:
    """Return a picture of a kind as it stands in the page."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def significant(values: Iterable[float]) -> list[float | None]:
    """Round numbers to five significant digits, more than a page shows; what is not finite becomes None."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
