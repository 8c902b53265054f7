"""epsball: what a ConvNet does in a small ball around an image."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from epsball.config import load_config as load_config
    from epsball.store import open_store as open_store

__version__ = "0.1.0"

_PUBLIC = {"load_config": "epsball.config", "open_store": "epsball.store"}

__all__ = ["load_config", "open_store"]


def __getattr__(name: str) -> Any:
    # Imported on use: a job should not wait for what it does not need.
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'epsball' has no attribute '{name}'")
