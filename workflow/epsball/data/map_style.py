"""Pools of what data libraries give: a map-style dataset of (image, label), or images and labels."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epsball.data import Pool, arrays, images, rgb
from epsball.data.images import Pictures, UnusableImageError
from epsball.errors import EpsballError

# Where datasets keep the labels of all images, so that they need not be decoded for them.
_LABELS = ("targets", "labels", "_labels", "y", "_samples", "samples")
_LOOKED_AT = 12  # images, evenly spread, that say which of these it is, and what modes there are

TEST, TRAIN = ("test", "val", "valid", "validation"), ("train", "trainval", "training")


def parameters(function: Callable[..., Any]) -> set[str]:
    """Return the names of a function's parameters; of a class, also those that it hands on to its bases."""
    names: set[str] = set()
    for part in inspect.getmro(function) if inspect.isclass(function) else [function]:
        signature = inspect.signature(part)
        names |= set(signature.parameters)
        if not any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values()):
            break
    return names


def split_arguments(function: Callable[..., Any], split: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the keyword arguments that may ask for a split, the likeliest first.

    Args:
        function: what makes the dataset; it has a parameter `train`, or `split`, or only one split.
        split: "test" or "train".
        given: arguments that the user has set, which take precedence for the test split.

    Raises:
        EpsballError: a training split is asked for, and there is none.
    """
    names = parameters(function)
    if "train" in names:
        return [{**given, "train": split == "train"}]
    if "split" in names:
        if split == "test" and "split" in given:
            return [dict(given)]
        return [{**given, "split": name} for name in (TRAIN if split == "train" else TEST)]
    if split == "train":
        raise EpsballError("there is no training split: it has no parameter 'train' or 'split'")
    return [dict(given)]


def pool(found: Any, owner: str, resize: int | None, crop: int | None) -> Pool:
    """Make a pool of a dataset with `__len__` and `__getitem__`, or of a pair of images and labels.

    Args:
        found: the dataset. An image is a PIL image, an array (height, width, 3), or a tensor (3, height, width); uint8,
            or floats from 0 to 1.
        owner: subject of messages.
        resize: see `epsball.data.images.prepare`.
        crop: see there.

    Raises:
        EpsballError: it is something else, or its labels are no integers.
    """
    if isinstance(found, tuple | list) and len(found) == 2 and hasattr(found[0], "__len__"):
        pictures, labels = found
        if len(pictures) != len(labels):
            raise EpsballError(f"{owner} has {len(pictures)} images and {len(labels)} labels")
        found = _Pairs(pictures, labels)
    if not (hasattr(found, "__len__") and hasattr(found, "__getitem__")):
        raise EpsballError(
            f"{owner} is a {type(found).__name__}, expected images and labels, or a dataset of (image, label) with a "
            "length"
        )
    labels = arrays.integers(_labels(found, owner), len(found), f"{owner}: labels")
    classes = getattr(found, "classes", None)

    def read(number: int) -> Pictures:
        try:
            return picture(found[number][0], resize, crop, f"{owner}: image {number}")
        except EpsballError:
            raise
        except Exception as error:  # of a damaged file, decoders raise anything
            said = str(error) or type(error).__name__
            raise UnusableImageError(f"{owner}: image {number} cannot be read ({said})") from None

    return Pool(
        names=arrays.names(len(found)),
        labels=labels,
        read=read,
        classes=len(classes) if classes is not None and len(found) and labels.max() < len(classes) else None,
        remarks=list(_remarks(found, owner)),
    )


class _Pairs:
    """Images and labels of two sequences."""

    def __init__(self, pictures: Any, labels: Any) -> None:
        self.pictures, self.targets = pictures, labels

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.pictures[number], self.targets[number]


def picture(image: Any, resize: int | None, crop: int | None, name: str) -> Pictures:
    """Return an image of any of these types as an array (height, width, 3).

    Raises:
        UnusableImageError: it is something else.
        EpsballError: it cannot be resized or cropped.
    """
    if not isinstance(image, Image.Image):
        values = np.asarray(image)
        if type(image).__name__ == "Tensor" and values.ndim == 3:
            values = values.transpose(1, 2, 0)
        if values.ndim == 2:
            values = values[:, :, None]
        is_float = values.dtype.kind == "f"
        if values.ndim != 3 or values.shape[2] not in (1, 3) or not (is_float or values.dtype == np.uint8):
            raise UnusableImageError(
                f"{name} is a {type(image).__name__} {values.dtype} {values.shape}, expected a PIL image, or uint8 or "
                "floats from 0 to 1 as an array (height, width, 3) or a tensor (3, height, width)"
            )
        if is_float and not (values.min() >= 0 and values.max() <= 1):
            raise UnusableImageError(
                f"{name} has values from {values.min():.3g} to {values.max():.3g}, expected 0 to 1; leave out its "
                "normalisation, which belongs into the network's factory"
            )
        values = np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))
        if is_float:
            if resize or crop:
                raise EpsballError(f"{name} has floats, which are not resized or cropped; give uint8 or a PIL image")
            return values.astype(np.float32)
        image = Image.fromarray(values)
    try:
        image = rgb.convert(image)
    except ValueError as error:
        raise UnusableImageError(f"{name}: {error}") from None
    return images.prepare(image, resize, crop, name)


def _spread(found: Any) -> Iterator[tuple[int, Any]]:
    """Yield number and entry of some images, evenly spread; those that cannot be read are left out."""
    for number in sorted({place * len(found) // _LOOKED_AT for place in range(_LOOKED_AT)} if len(found) else ()):
        try:
            yield number, found[number]
        except Exception:
            continue


def _labels(found: Any, owner: str) -> NDArray[Any]:
    """Return the labels of a dataset: what it keeps them in, if that agrees with its entries, or from all entries."""
    some = dict(_spread(found))
    for number, entry in some.items():
        if not isinstance(entry, tuple | list) or len(entry) != 2:
            raise EpsballError(f"{owner}: entry {number} is a {type(entry).__name__}, expected (image, label)")
    for name in _LABELS:
        kept = getattr(found, name, None)
        if kept is None or not hasattr(kept, "__len__") or len(kept) != len(found):
            continue
        values = [one[1] for one in kept] if name.endswith("samples") else kept
        labels = np.asarray(values)
        if labels.ndim == 1 and all(labels[number] == entry[1] for number, entry in some.items()):
            return labels
    return np.asarray([found[number][1] for number in range(len(found))])


def _remarks(found: Any, owner: str) -> Iterator[str]:
    kinds = [entry[0].mode for _, entry in _spread(found) if isinstance(entry[0], Image.Image)]
    counts = Counter(kinds)
    if set(counts) - {"RGB"}:
        how = ", ".join(f"{count} {mode}" for mode, count in counts.most_common())
        yield f"{owner}: of {len(kinds)} images that were looked at, the modes are {how}; all are converted to RGB"
