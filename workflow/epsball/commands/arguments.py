"""What commands share: arguments that are paths, which a shell completes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import shtab


def add_path(
    parser: argparse.ArgumentParser, name: str, description: str, complete: Mapping[str, object] = shtab.FILE
) -> None:
    """Add a positional argument that is a path; shells complete files, or what `complete` names."""
    parser.add_argument(name, type=Path, help=description).complete = complete  # type: ignore[attr-defined]
