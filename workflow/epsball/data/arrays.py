"""Images and labels in one .npz."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epsball.config import DatasetSpec
from epsball.data import Pool
from epsball.errors import EpsballError

TERMS = "those of your images"


def load(path: Path) -> Pool:
    """Load an .npz of `images`, uint8 (n, height, width, 3), and `labels`, integers (n,)."""
    found = _read(path, ("images", "labels"))
    pictures, labels = found["images"], found["labels"]
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        raise EpsballError(
            f"{path}: images are {pictures.dtype} {pictures.shape}, expected uint8 (n, height, width, 3), RGB"
            f"{_how_to_save(pictures)}"
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
        return len(_read(root, ("labels",))["labels"])
    except (EpsballError, TypeError):  # a single label has no length
        return None


def _read(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read arrays of these names."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if (missing := [name for name in names if name not in arrays.files]) and len(arrays.files):
                raise EpsballError(
                    f"{path}: holds {sorted(arrays.files)}, expected the arrays 'images' and 'labels'; "
                    f"{' and '.join(missing)} is missing"
                )
            return {name: np.asarray(arrays[name]) for name in names}
    except EpsballError:
        raise
    except Exception as error:  # of a damaged archive, its decoders raise anything
        is_single = isinstance(error, TypeError)  # which np.load returned, of any suffix
        reason = "it is a single array" if is_single else str(error) or type(error).__name__
        raise EpsballError(
            f"{path}: not readable as an .npz of plain arrays ({reason}); save it with "
            "np.savez(path, images=…, labels=…)"
        ) from None


def _how_to_save(pictures: NDArray[Any]) -> str:
    """Return the end of a sentence: how to make them what is expected, where that is plain."""
    if pictures.ndim == 4 and pictures.shape[3] != 3 and pictures.shape[1] == 3:
        return "; save images.transpose(0, 2, 3, 1)"
    if pictures.dtype.kind == "f":
        return "; save np.round(255 * images).astype(np.uint8) of values from 0 to 1"
    if pictures.ndim == 3 or (pictures.ndim == 4 and pictures.shape[3] == 1):
        return "; save np.repeat(images.reshape(*images.shape[:3], 1), 3, axis=3) of grey images"
    return ""


def integers(labels: NDArray[Any], count: int, owner: str) -> NDArray[np.int64]:
    """Return labels, which must be one integer for each image; `owner` is the subject of the error message."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        hint = "; of one-hot labels, save labels.argmax(1)" if labels.shape[1:] and labels.shape[0] == count else ""
        hint = "; save labels.ravel()" if labels.shape == (count, 1) else hint
        hint = "; of a split without labels, set another" if any(label is None for label in labels.flat) else hint
        raise EpsballError(
            f"{owner} are {labels.dtype} {labels.shape}, expected {count} integers, one for each image{hint}"
        )
    if labels.dtype.kind == "u" and (labels > np.iinfo(np.int64).max).any():
        raise EpsballError(f"{owner} are up to {labels.max()}, expected the numbers of classes")
    return labels.astype(np.int64)


def names(count: int) -> list[str]:
    """Return names for images that have only a number."""
    return [f"{number:0{len(str(count - 1))}d}" for number in range(count)]


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`."""
    return load(Path(spec.options["root"]))
