"""epsball: what a ConvNet does in a small ball around an image.

The library: it is what `pip install` of the package gives, and it is whole without Snakemake. It reads runs
(`open_run`), measures a network of one's own (`measure`) and has the command line (`epsball`). The workflow, with its
rules and configurations, is the repository around it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from epsball.analysis.run import open_run as open_run
    from epsball.config import load_config as load_config
    from epsball.runs.store import open_store as open_store
    from epsball.stages.standalone import measure as measure

__version__ = "0.1.0"

_PUBLIC = {
    "load_config": "epsball.config",
    "measure": "epsball.stages.standalone",
    "open_run": "epsball.analysis.run",
    "open_store": "epsball.runs.store",
}

__all__ = ["load_config", "measure", "open_run", "open_store"]


def __getattr__(name: str) -> Any:
    # Imported on use: a job should not wait for what it does not need.
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'epsball' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
