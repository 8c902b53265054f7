"""A folder of images for each class, as in torchvision's ImageFolder and every ImageNet tree."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from epsball.config import DatasetSpec
from epsball.data import Pool, images
from epsball.errors import EpsballError, did_you_mean

TERMS = "those of your images"

POOL = 50_000  # images of ImageNet's validation tree, for a plan before there are any


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    if not Path(root := spec.options["root"]).is_dir():
        return f"root is '{root}', no such folder; expected one folder a class in it"
    if "classes" in spec.options and not Path(classes := spec.options["classes"]).is_file():
        return f"classes is '{classes}', no such file; expected one class a line"
    return None


@functools.cache
def count(root: Path) -> int:
    """Count images on disk for plans, which ask often: trees may be large."""
    return len(Pool.of_tree(root, dict.fromkeys(_folders(root), 0), images.read))


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; a class is the index of its folder in the list of classes, or in sorted order."""
    root, options = Path(spec.options["root"]), spec.options
    outputs = {name: number for number, name in enumerate(_folders(root))}
    pool = Pool.of_tree(root, outputs, lambda file: images.read(file, options.get("resize"), options.get("crop")))
    if not len(pool) and (elsewhere := next(filter(images.is_image, root.rglob("*")), None)):
        raise EpsballError(
            f"datasets.{spec.name}: no image is where it is looked for, {root}/<class>/<image>; one that is not: "
            f"'{elsewhere}'; change root, or make a folder for each class"
        )
    if "classes" not in options:
        return pool
    classes = _listed_classes(Path(options["classes"]), list(outputs), root)
    labels = np.array([classes.index(name) for name in outputs], dtype=np.int64)[pool.labels]
    return replace(pool, labels=labels, classes=len(classes))


def _listed_classes(path: Path, present: list[str], root: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise EpsballError(f"{path}: is not text in UTF-8 ({error.reason}); save it so") from None
    classes = [line.strip() for line in lines if line.strip()]
    for name in classes:
        if classes.count(name) > 1:
            raise EpsballError(f"{path}: class '{name}' is listed more than once")
    for name in present:
        if name not in classes:
            raise EpsballError(f"{path}: does not list '{name}', a folder of {root}; {did_you_mean(name, classes)}")
    return classes
