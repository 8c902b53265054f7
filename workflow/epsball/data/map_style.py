"""Pools of what data libraries give: a map-style dataset of (image, label), or images and labels."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image

from epsball import user_code
from epsball.data import Pool, arrays, entries, images, rgb
from epsball.data.images import Pictures, UnusableImageError
from epsball.errors import EpsballError

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
        return [{"train": False, **given} if split == "test" else {**given, "train": True}]
    if "split" in names:
        if split == "test" and "split" in given:
            return [dict(given)]
        return [{**given, "split": name} for name in (TRAIN if split == "train" else TEST)]
    if split == "train":
        raise EpsballError("there is no training split: it has no parameter 'train' or 'split'")
    return [dict(given)]


def pool(found: Any, owner: str, split: str, resize: int | None, crop: int | None) -> Pool:
    """Make a pool of a dataset with `__len__` and `__getitem__`, or of images and labels.

    Args:
        found: the dataset. An image is a PIL image, an array (height, width, 3), or a tensor (3, height, width); uint8,
            or floats from 0 to 1.
        owner: subject of messages.
        split: "test" or "train", in which alone images may differ from reading to reading.
        resize: see `epsball.data.images.prepare`.
        crop: see there.

    Raises:
        EpsballError: it is something else, its labels are no integers, or its images are drawn at random.
    """
    with user_code.contained(owner):
        return _pool(found, owner, split, resize, crop)


def _pool(found: Any, owner: str, split: str, resize: int | None, crop: int | None) -> Pool:
    found = entries.dataset(found, owner)
    some = dict(entries.spread(found))
    known = entries.labels(found, some, owner)
    numbers = [number for number in range(len(found)) if number not in known.lost]
    labels = np.zeros(len(found), np.int64)
    labels[numbers] = arrays.integers(known.values, len(numbers), f"{owner}: labels")

    def read(number: int) -> Pictures:
        name = f"{owner}: image {number}"
        try:
            with user_code.contained(name):
                entry = found[number]
                known.require(number, entry, owner)
                return picture(entry[0], resize, crop, name)
        except EpsballError:
            raise
        except Exception as error:  # of a damaged file, decoders raise anything
            said = str(error) or type(error).__name__
            raise UnusableImageError(f"{name} cannot be read ({said})") from None

    if split == "test":
        for number in some:
            _require_fixed(read, number, owner)
    classes, class_names = _classes(found), _class_names(found)
    beyond = int(labels.max()) if len(found) else 0  # a list that ends before is of something else
    return Pool(
        names=arrays.names(len(found)),
        labels=labels,
        read=read,
        classes=classes if classes is not None and len(found) and beyond < classes else None,
        class_names=class_names if class_names is not None and beyond < len(class_names) else None,
        remarks=[*_remarks(some.values(), owner), *_left_out(known.lost, owner)],
    ).take(numbers)


def picture(image: Any, resize: int | None, crop: int | None, name: str) -> Pictures:
    """Return an image of any of these types as an array (height, width, 3).

    Raises:
        UnusableImageError: it is something else.
        EpsballError: it cannot be resized or cropped.
    """
    if not isinstance(image, Image.Image):
        if np.ma.is_masked(image):
            raise UnusableImageError(f"{name} is a masked array, of which some pixels are masked")
        values = np.asarray(image)
        # Tensors of torchvision.transforms.v2 are of a class of their own.
        if values.ndim == 3 and "Tensor" in {part.__name__ for part in type(image).__mro__}:
            values = values.transpose(1, 2, 0)
        if values.ndim == 2:
            values = values[:, :, None]
        is_float = values.dtype.kind == "f"
        if values.ndim != 3 or values.shape[2] not in (1, 3) or not (is_float or values.dtype == np.uint8):
            raise UnusableImageError(
                f"{name} is a {type(image).__name__} {values.dtype} {values.shape}, expected a PIL image, or uint8 or "
                "floats from 0 to 1 as an array (height, width, 3) or a tensor (3, height, width)"
            )
        if is_float and not np.isfinite(values).all():
            raise UnusableImageError(f"{name} has values that are not finite")
        if is_float and not (values.min() >= 0 and values.max() <= 1):  # others in the range may be normalised, too
            raise EpsballError(
                f"{name} has values from {values.min():.9g} to {values.max():.9g}, expected 0 to 1; leave out the "
                "dataset's normalisation, which belongs into the network's factory, or clip what rounding has added"
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


def _require_fixed(read: Callable[[int], Pictures], number: int, owner: str) -> None:
    """Check that an image, if it can be used, has the same pixels when it is read again, as each job does."""
    try:
        first, second = (images.digest(read(number)) for _ in range(2))
    except UnusableImageError:
        return
    if first != second:
        raise EpsballError(
            f"{owner}: image {number} has other pixels each time that it is read, as with random transforms such as "
            "RandomHorizontalFlip; expected the same; leave them out, or have them for the training split alone"
        )


def _classes(found: Any) -> int | None:
    """Return the number of classes that a dataset tells, as a number or by their names."""
    classes = getattr(found, "classes", None)
    if isinstance(classes, int):
        return classes
    try:
        return None if classes is None else len(classes)
    except TypeError:  # a method, or something else that is no list
        return None


def _class_names(found: Any) -> list[str] | None:
    """Return the names of a dataset's classes; of several names for one, as torchvision's ImageNet has, the first."""
    classes = getattr(found, "classes", None)
    if not isinstance(classes, list | tuple):
        return None
    names = [one[0] if isinstance(one, tuple) and one else one for one in classes]
    return names if all(isinstance(name, str) for name in names) else None


def _remarks(some: Iterable[Any], owner: str) -> Iterator[str]:
    kinds = [entry[0].mode for entry in some if isinstance(entry[0], Image.Image)]
    counts = Counter(kinds)
    if set(counts) - {"RGB"}:
        how = ", ".join(f"{count} {mode}" for mode, count in counts.most_common())
        yield f"{owner}: of {len(kinds)} images that were looked at, the modes are {how}; all are converted to RGB"


def _left_out(lost: Mapping[int, str], owner: str) -> Iterator[str]:
    for number, why in list(lost.items())[:1]:
        yield (
            f"{owner}: {len(lost)} images cannot be read, so that their labels are unknown, and are left out, such as "
            f"image {number} ({why})"
        )
