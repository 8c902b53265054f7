"""A run with claims and their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from epsball.analysis.verdicts import judge
from epsball.config import load_config
from epsball.runs.files import write_table
from epsball.runs.provenance_records import keep_configuration, record

from support.written_run import MINIMAL, write_run

RAW: dict[str, Any] = {**MINIMAL, "draws": 10}


def finished(folder: Path, raw: dict[str, Any], growth: float) -> Path:
    """A run with claims and their record."""
    write_run(folder, samples=30, growth=growth, floor=1e-6)
    write_table(folder / "claims.tsv", judge(load_config(raw), folder))
    keep_configuration(folder, raw)
    record([str(folder / "claims.tsv")], {}, "claims", {}, "digest", {}, raw)
    return folder
