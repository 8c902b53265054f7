"""Sources of networks, registered here by the word before the colon of `factory`; anything else is the user's own.

Apart from `epsball.networks.model`, which needs PyTorch: Snakemake asks this at the start of every job.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from epsball.config import NetworkSpec
from epsball.networks import user_code
from epsball.runs.provenance import declared

SOURCES = {
    "efficientnet-lite": "epsball.networks.efficientnet_lite",
    "sign": "epsball.networks.sign",
    "torchvision": "epsball.networks.torchvision_models",
    "timm": "epsball.networks.timm_models",
}

_OWN = "epsball.networks.user_factory"

_LOAD_STATE = ("sign", "torchvision", "timm")  # what `weights` is to them: a file of the network's state dict


def source(spec: NetworkSpec) -> str:
    """The module that knows a network's source."""
    return SOURCES.get(spec.factory.split(":", 1)[0], _OWN)


def modules(spec: NetworkSpec) -> list[str]:
    """Modules of this library that a network is made of, for the digest of its code."""
    names = [source(spec)]
    architectures: dict[str, str] = declared(names[0]).get("ARCHITECTURES", {})
    name = spec.factory.split(":", 1)[1]
    return names + ([architectures[name]] if name in architectures else [])


def loads_state(spec: NetworkSpec) -> bool:
    """Whether a network takes what a run keeps of it, `networks/<name>/weights.safetensors`, as its `weights`."""
    return spec.factory.split(":", 1)[0] in _LOAD_STATE


def files_digest(spec: NetworkSpec) -> str:
    """Digest of the files of the user's that a network is built by; empty for the networks of other sources."""
    paths, digest = own_files(spec), hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest() if paths else ""


def own_files(spec: NetworkSpec) -> list[Path]:
    """The files of the user's that a network is built by; none for the networks of other sources."""
    return user_code.files(spec) if source(spec) == _OWN else []


def fetches(spec: NetworkSpec) -> bool:
    """Whether a network's weights are published and may have to be downloaded."""
    return spec.weights is None and "fetch" in declared(source(spec))
