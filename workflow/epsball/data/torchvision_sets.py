"""Image classification datasets of torchvision by the name of their class, in torchvision's own files."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from epsball.config import DatasetSpec
from epsball.data import Pool, map_style
from epsball.errors import EpsballError, did_you_mean

TERMS = "those of the dataset's authors; torchvision's page on it names them"

# Of CIFAR, for a plan before there are any.
POOL = 10_000
TRAINING = 50_000

_KEYS = ("root", "download")  # parameters that are the dataset's own keys
_TARGETS = ("target_type", "target_types")


def _class(name: str) -> Callable[..., Any]:
    import torchvision.datasets

    if name not in torchvision.datasets.__all__:
        hint = did_you_mean(name, torchvision.datasets.__all__)
        raise EpsballError(f"name is '{name}', no dataset of torchvision; {hint}")
    found: Callable[..., Any] = getattr(torchvision.datasets, name)
    return found


@functools.lru_cache(maxsize=4)  # reading can take seconds, and plans ask often
def _construct(name: str, root: str, arguments: str, split: str, download: bool = False) -> Any:
    function, given = _class(name), json.loads(arguments)
    names = map_style.parameters(function)
    if download and "download" not in names:
        raise EpsballError(f"torchvision does not download {name}; see its page on how to get it")
    for key in given:
        if key in _KEYS:
            raise EpsballError(f"{key}: it is a key of the dataset, not of its args: set {key} there")
        if key not in names:
            raise EpsballError(f"{key}: {name} of torchvision has no such parameter")
    if "root" in names and not Path(root).is_dir() and not download:  # some classes would make it
        raise EpsballError(f"root is '{root}', no such folder; put {name} there, or set download: true")
    given |= {"download": download} if "download" in names else {}
    given |= {"root": root} if "root" in names else {}
    unknown: Exception | None = None
    for options in map_style.split_arguments(function, split, given):
        try:
            return function(**options)
        except ValueError as error:  # for a split of another name
            unknown = unknown or error
        except TypeError as error:  # for a parameter without a default, or a value of another kind
            raise EpsballError(f"torchvision's {name}: {error}; set it in args") from None
    raise EpsballError(f"torchvision's {name}: {unknown}")


def _made(spec: DatasetSpec, split: str, download: bool = False) -> Any:
    options = spec.options
    arguments = {**options["args"], **({"split": options["split"]} if "split" in options else {})}
    try:
        return _construct(options["name"], options["root"], json.dumps(arguments), split, download)
    except EpsballError:
        raise
    except Exception as error:  # each class has its own way to say that files are missing
        if download:
            raise
        said = str(error).partition("\n")[0] or type(error).__name__
        raise EpsballError(
            f"torchvision's {options['name']} cannot be read from '{options['root']}' ({said}); put it there as "
            "torchvision lays it out, or set download: true"
        ) from None


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    try:
        _made(spec, "test")
    except EpsballError as error:
        return str(error)
    return None


def download(spec: DatasetSpec) -> None:
    """Download every split that there is through torchvision, which verifies digests."""
    _made(spec, "test", download=True)
    if {"train", "split"} & map_style.parameters(_class(spec.options["name"])):
        _made(spec, "train", download=True)


def size(spec: DatasetSpec) -> int:
    """Return the number of images in the pool."""
    return len(_made(spec, "test"))


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`."""
    options, owner = spec.options, f"datasets.{spec.name}"
    try:
        found = _made(spec, split)
    except EpsballError as error:
        raise EpsballError(f"{owner}: {error}") from None
    pool = map_style.pool(found, owner, split, options.get("resize"), options.get("crop"))
    if set(_TARGETS) & set(options["args"]):  # such as a pet's kind instead of its breed, of which the classes are
        return replace(pool, classes=None, class_names=None)
    return pool
