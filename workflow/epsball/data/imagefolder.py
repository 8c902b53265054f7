"""A folder of images for each class, as torchvision's ImageFolder and every ImageNet tree have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from epsball.config import DatasetSpec
from epsball.data import Pool, images
from epsball.errors import EpsballError, did_you_mean

TERMS = "those of your images"

_SUFFIXES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".webp", ".tif", ".tiff"}

POOL = 50_000  # of ImageNet's validation tree, for a plan before any images are there


def missing(spec: DatasetSpec) -> str | None:
    """What is not there of the data, in words."""
    if not Path(root := spec.options["root"]).is_dir():
        return f"root is '{root}', no such folder; expected one folder a class in it"
    if "classes" in spec.options and not Path(classes := spec.options["classes"]).is_file():
        return f"classes is '{classes}', no such file; expected one class a line"
    return None


def count(root: Path) -> int:
    """Images on disk."""
    return len(_images(root, _folders(root)))


def _folders(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(root: Path, folders: list[str]) -> list[Path]:
    return [file for name in folders for file in sorted((root / name).iterdir()) if file.suffix.lower() in _SUFFIXES]


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; a class is its folder's place in the list of classes, or in sorted order."""
    root = Path(spec.options["root"])
    classes = present = _folders(root)
    files = _images(root, present)
    if not files and (elsewhere := next((file for file in root.rglob("*") if file.suffix.lower() in _SUFFIXES), None)):
        raise EpsballError(
            f"datasets.{spec.name}: no image is where it is looked for, {root}/<class>/<image>; one that is not: "
            f"'{elsewhere}'; change root, or make a folder for each class"
        )
    if "classes" in spec.options:
        path = Path(spec.options["classes"])
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise EpsballError(f"{path}: is not text in UTF-8 ({error.reason}); save it so") from None
        classes = [line.strip() for line in lines if line.strip()]
        if len(set(classes)) != len(classes):
            repeated = next(name for name in classes if classes.count(name) > 1)
            raise EpsballError(f"{path}: class '{repeated}' is listed more than once")
        for name in present:
            if name not in classes:
                raise EpsballError(f"{path}: does not list '{name}', a folder of {root}; {did_you_mean(name, classes)}")
    outputs = {name: number for number, name in enumerate(classes)}
    return Pool(
        names=[str(file.relative_to(root)) for file in files],
        labels=np.array([outputs[file.parent.name] for file in files], dtype=np.int64),
        read=lambda number: images.read(files[number], spec.options.get("resize"), spec.options.get("crop")),
        classes=len(classes) if "classes" in spec.options else None,
        files=files,
    )
