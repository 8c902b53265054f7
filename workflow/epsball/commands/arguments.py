"""What commands share: arguments that are paths, which a shell completes, and reading a YAML file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shtab
import yaml

from epsball.errors import EpsballError, did_you_mean


def add_path(
    parser: argparse.ArgumentParser, name: str, description: str, complete: Mapping[str, object] = shtab.FILE
) -> None:
    """Add a positional argument that is a path; shells complete files, or what `complete` names."""
    parser.add_argument(name, type=Path, help=description).complete = complete  # type: ignore[attr-defined]


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys of a configuration, unchecked.

    Raises:
        EpsballError: it cannot be read, or is no YAML with keys.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        beside = [str(other) for suffix in ("yaml", "yml") for other in sorted(path.parent.glob(f"*.{suffix}"))]
        hint = f"; {did_you_mean(str(path), beside)}" if beside and not path.exists() else ""
        raise EpsballError(f"configuration '{path}' cannot be read: {error.strerror}{hint}") from None
    except UnicodeDecodeError as error:
        raise EpsballError(f"configuration '{path}' is not text in UTF-8 ({error.reason})") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        hint = "; indent with spaces" if r"'\t'" in reason else ""
        raise EpsballError(f"configuration '{path}' is not YAML: {reason}{hint}") from None
    if not isinstance(raw, dict):
        raise EpsballError(f"configuration '{path}' holds no keys; see config/README.md")
    return raw
