"""Imagenette: ten classes of ImageNet, laid out as by torchvision, with the labels of ImageNet's 1000 classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from epsball.config import DatasetSpec
from epsball.data import Pool, imagenet, images

TERMS = "those of ImageNet: non-commercial research and education"

# Class folders and their indices in the 1000 outputs of an ImageNet network.
OUTPUTS = {
    "n01440764": 0,
    "n02102040": 217,
    "n02979186": 482,
    "n03000684": 491,
    "n03028079": 497,
    "n03394916": 566,
    "n03417042": 569,
    "n03425413": 571,
    "n03445777": 574,
    "n03888257": 701,
}

POOL = 3925

_FOLDERS = {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}


def _base(spec: DatasetSpec) -> Path:
    return Path(spec.options["root"]) / _FOLDERS[spec.options["size"]] / "val"


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    problem = f"'{_base(spec)}' does not exist; expected Imagenette under its root as torchvision lays it out"
    return None if _base(spec).is_dir() else problem


def given(spec: DatasetSpec) -> list[Path]:
    """See `epsball.data.given`."""
    return [_base(spec)]


def download(spec: DatasetSpec) -> None:
    """Download through torchvision, which verifies the digest."""
    from torchvision.datasets import Imagenette

    Imagenette(spec.options["root"], split="val", size=spec.options["size"], download=True)


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; the pool is the validation split."""
    pool = Pool.of_tree(
        _base(spec), OUTPUTS, lambda file: images.read(file, spec.options["resize"], spec.options["crop"])
    )
    return replace(pool, class_names=imagenet.categories())
