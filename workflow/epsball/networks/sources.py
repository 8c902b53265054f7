"""Sources of networks, registered by the word before the colon of `factory`; anything else is the user's own code.

Free of PyTorch, because Snakemake asks at the start of every job.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from epsball import user_code
from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.runs.provenance import declared

SOURCES = {
    "efficientnet-lite": "epsball.networks.efficientnet_lite",
    "sign": "epsball.networks.sign",
    "torchvision": "epsball.networks.torchvision_models",
    "timm": "epsball.networks.timm_models",
}

_USER = "epsball.networks.user_factory"


def source(spec: NetworkSpec) -> str:
    """Return the module that builds a network."""
    return SOURCES.get(spec.factory.split(":", 1)[0], _USER)


def model_name(spec: NetworkSpec, known: Collection[str]) -> str:
    """Return the name behind the colon of `factory`.

    Raises:
        EpsballError: it is not one of the known ones.
    """
    name = spec.factory.split(":", 1)[1]
    if name not in known:
        raise EpsballError(f"factory '{spec.factory}' does not exist; {did_you_mean(name, known)}")
    return name


def import_package(name: str) -> Any:
    """Import a package that may be missing, when it is needed: that can take seconds.

    Raises:
        EpsballError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise EpsballError(f"package {error.name} is not installed; pip install {error.name}") from None


def loads_state(spec: NetworkSpec) -> bool:
    """Return whether a network's `weights` are a state dict, such as `networks/<name>/weights.safetensors` of a run."""
    return "LOADS_STATE" in declared(source(spec))


def files_digest(spec: NetworkSpec) -> str:
    """Return a digest of the user's files that build a network; empty for networks of other sources."""
    return user_code.files_digest(spec.factory) if source(spec) == _USER else ""


def own_files(spec: NetworkSpec) -> list[Path]:
    """Return the user's files that build a network; none for networks of other sources."""
    return user_code.files(spec.factory) if source(spec) == _USER else []


def fetches(spec: NetworkSpec) -> bool:
    """Return whether a network's weights are published and may have to be downloaded."""
    return spec.weights is None and spec.training is None and "fetch" in declared(source(spec))
