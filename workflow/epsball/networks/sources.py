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
from epsball.networks import onnx_weights
from epsball.runs.provenance import declared

SOURCES = {
    "efficientnet-lite": "epsball.networks.efficientnet_lite",
    "sign": "epsball.networks.sign",
    "torchvision": "epsball.networks.torchvision_models",
    "timm": "epsball.networks.timm_models",
    "transformers": "epsball.networks.transformers_models",
    "torchscript": "epsball.networks.torchscript_files",
    "onnx": "epsball.networks.onnx_files",
}

_USER = "epsball.networks.user_factory"


def source(spec: NetworkSpec) -> str:
    """Return the module that builds a network."""
    return SOURCES.get(spec.factory.split(":", 1)[0], _USER)


def model_name(spec: NetworkSpec, known: Collection[str]) -> str:
    """Return the name behind the colon of `factory`, which must be a known one."""
    name = spec.factory.split(":", 1)[1]
    if name not in known:
        raise EpsballError(f"factory '{spec.factory}' does not exist; {did_you_mean(name, known)}")
    return name


def import_package(name: str) -> Any:
    """Import a package that may be missing, when it is needed: that can take seconds."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise EpsballError(f"package {error.name} is not installed; pip install {error.name}") from None


def loads_state(spec: NetworkSpec) -> bool:
    """Return whether a network's `weights` are a state dict, such as `networks/<name>/weights.safetensors` of a run."""
    return "LOADS_STATE" in declared(source(spec))


def packages(spec: NetworkSpec) -> tuple[str, ...]:
    """Return the packages whose versions can decide what a network computes, beside PyTorch and NumPy."""
    found: tuple[str, ...] = declared(source(spec)).get("PACKAGES", ())
    return found


def require_weights_read(spec: NetworkSpec) -> None:
    """Check that a network with `weights` is of a source that reads them.

    Raises:
        EpsballError: it is not.
    """
    if spec.weights is not None and source(spec) != _USER and not loads_state(spec):
        raise EpsballError(
            f"weights '{spec.weights}' are not read by factory '{spec.factory}', which has its own; remove the key"
        )


def arguments(spec: NetworkSpec, *own: str) -> dict[str, Any]:
    """Return the arguments of a network's constructor: all but `state_dict` and a source's own."""
    return {key: value for key, value in spec.args.items() if key not in ("state_dict", *own)}


def require_file(spec: NetworkSpec) -> Path:
    """Return the file behind the colon of `factory`.

    Raises:
        EpsballError: it does not exist.
    """
    path = Path(spec.factory.split(":", 1)[1])
    if not path.is_file():
        raise EpsballError(
            f"factory's file '{path}' does not exist; paths are from the folder that the command runs in"
        )
    return path


def mean_and_std(spec: NetworkSpec, *others: str) -> tuple[list[float], list[float]]:
    """Return the normalisation of a network from a file, its arguments `mean` and `std`: a number for each channel.

    Raises:
        EpsballError: there are other arguments, or not three numbers.
    """
    given = {"mean": [0.0] * 3, "std": [1.0] * 3, **arguments(spec, *others)}
    for key, value in given.items():
        if key not in ("mean", "std") or not isinstance(value, list) or len(value) != 3:
            raise EpsballError(
                f"factory '{spec.factory}' takes the args mean and std, lists of three numbers, not {key}: {value}"
            )
    if 0 in given["std"]:
        raise EpsballError(f"factory '{spec.factory}': args.std is {given['std']}, expected numbers other than 0")
    return given["mean"], given["std"]


def image_size(spec: NetworkSpec) -> int:
    """Return the argument `image_size` of a network: the side of its images in pixels, by default 224.

    Raises:
        EpsballError: it is none.
    """
    size = spec.args.get("image_size", 224)
    if isinstance(size, bool) or not isinstance(size, int | float) or size < 1 or size != int(size):
        raise EpsballError(f"factory '{spec.factory}': args.image_size is {size!r}, expected pixels, such as 224")
    return int(size)


def files_digest(spec: NetworkSpec) -> str:
    """Return a digest of `own_files`; empty if there are none."""
    return user_code.digest(own_files(spec))


def own_files(spec: NetworkSpec) -> list[Path]:
    """Return the user's files that build a network, the factory's first; none for networks that are known by name."""
    if source(spec) == _USER:
        return user_code.files(spec.factory)
    if "READS_FILES" not in declared(source(spec)):
        return []
    path = Path(spec.factory.split(":", 1)[1])
    beside = onnx_weights.files(path) if source(spec) == SOURCES["onnx"] else []
    return sorted({found for found in (path, *path.glob("*"), *beside) if found.is_file()})


def fetches(spec: NetworkSpec) -> bool:
    """Return whether a network's weights are published and may have to be downloaded."""
    published = spec.weights is None and spec.training is None
    return published and "fetch" in declared(source(spec)) and not own_files(spec)


def terms(spec: NetworkSpec) -> str:
    """Return the terms of a network's weights: facts about where they come from, not advice."""
    if spec.weights is not None:
        return "those of your file"
    if spec.training is not None:
        return "those of the images that this run trained it on"
    return str(declared(source(spec))["TERMS"])
