"""Images and labels in one .npz."""

from __future__ import annotations

import functools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epsball.config import DatasetSpec
from epsball.data import Pool
from epsball.errors import EpsballError

TERMS = "those of your images"

_UNREADABLE = (ValueError, OSError, zipfile.BadZipFile)


def load(path: Path) -> Pool:
    """Load an .npz of `images`, uint8 (n, height, width, 3), and `labels`, integers (n,)."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except _UNREADABLE as error:
        raise EpsballError(f"{path}: not readable as an .npz of plain arrays ({error})") from None
    for name in ("images", "labels"):
        if name not in found:
            raise EpsballError(f"{path}: holds {sorted(found)}, expected the arrays 'images' and 'labels'")
    pictures, labels = found["images"], found["labels"]
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        raise EpsballError(
            f"{path}: images are {pictures.dtype} {pictures.shape}, expected uint8 (n, height, width, 3), RGB"
        )
    return Pool(names(len(pictures)), integers(labels, len(pictures), f"{path}: labels"), pictures.__getitem__)


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    if Path(root := spec.options["root"]).is_file():
        return None
    return f"root is '{root}', no such file; expected an .npz of images and labels"


@functools.cache
def count(root: Path) -> int | None:
    """Count images on disk for plans, which ask often; None for a file that cannot be read."""
    try:
        with np.load(root, allow_pickle=False) as arrays:
            return len(arrays["labels"])
    except (*_UNREADABLE, KeyError, TypeError):
        return None


def integers(labels: NDArray[Any], count: int, owner: str) -> NDArray[np.int64]:
    """Return labels, which must be one integer for each image; `owner` is the subject of the error message."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise EpsballError(f"{owner} are {labels.dtype} {labels.shape}, expected {count} integers, one for each image")
    return labels.astype(np.int64)


def names(count: int) -> list[str]:
    """Return names for images that have only a number."""
    return [f"{number:0{len(str(count - 1))}d}" for number in range(count)]


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`."""
    return load(Path(spec.options["root"]))
