"""What `epsball.measure` is given, as the stages take it: images and labels in any of their forms, and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from itertools import chain
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from epsball import user_code
from epsball.data import Pool, arrays, rgb
from epsball.data.images import Pictures
from epsball.errors import EpsballError

_PAIRS = "expected images, or pairs (image, label)"


def read_pool(data: Any, labels: Any) -> Pool:
    """Read images and labels into a pool, in their order; see `epsball.stages.standalone.measure` for their forms.

    Raises:
        EpsballError: they have another form, are missing, or are given twice.
    """
    if isinstance(data, Iterator):
        raise EpsballError(f"data is a {type(data).__name__}, which can be read only once; give a list of it")
    if isinstance(data, tuple) and len(data) == 2 and np.ndim(data[0]) == 4 and np.ndim(data[1]) == 1:
        raise EpsballError("data is a pair of images and labels; give the labels as the next argument")
    if isinstance(data, DataLoader | Dataset) or _is_pairs(data) or _is_map_style(data):
        data, own = _loaded(data)
        if own is not None and labels is not None:
            raise EpsballError("labels are given twice, by the data and by labels; leave out the argument labels")
        labels = own if labels is None else labels
    pictures = _pictures(data)
    if labels is None:
        raise EpsballError("labels are missing; give the correct output of the model for each image")
    count = len(pictures)
    return Pool(arrays.names(count), arrays.integers(_array(labels, "labels"), count, "labels"), pictures.__getitem__)


def plain(value: Any) -> Any:
    """Return a setting as a configuration file has it: numbers of NumPy and PyTorch as Python's, sequences as lists."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple | range) else value


def _is_pairs(data: Any) -> bool:
    """Return whether this is a list of images, each with its label, and perhaps with more that is refused later."""
    if not isinstance(data, list | tuple) or not data:
        return False
    return all(
        isinstance(one, Mapping) or (isinstance(one, list | tuple) and len(one) > 1 and np.ndim(one[1]) == 0)
        for one in data
    )


def _is_map_style(data: Any) -> bool:
    """Return whether this is a dataset by its methods alone, of no class of PyTorch's."""
    known = isinstance(data, list | tuple | str | bytes | Mapping) or hasattr(data, "__array__")
    return not known and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _loaded(data: DataLoader[Any] | Dataset[Any] | Sequence[Any]) -> tuple[list[Any], list[Any] | None]:
    """Return the images of a dataset or of a loader's batches, and the labels, if they come with them."""
    try:
        with user_code.contained("data"):
            items = list(_items(data))
    except EpsballError:
        raise
    except Exception as error:  # a user's dataset can raise anything
        raise EpsballError(f"data cannot be read: {type(error).__name__}: {error}") from error
    uncollated = bool(items) and all(map(_is_pairs, items))  # by collate_fn=list, say
    if uncollated:
        items = list(chain.from_iterable(items))
    pairs = [item for item in items if isinstance(item, list | tuple | Mapping)]
    for item in pairs:
        if isinstance(item, Mapping) or len(item) != 2:
            what = f"{type(item).__name__} of {', '.join(map(repr, item)) if isinstance(item, Mapping) else len(item)}"
            raise EpsballError(f"data gives a {what}; {_PAIRS}")
    images, labels = ([pair[part] for pair in pairs] for part in (0, 1)) if pairs else (items, [])
    collated = isinstance(data, DataLoader) and data.batch_sampler is not None
    if (collated and not uncollated) or _are_batches(images, labels):
        images, labels = ([one for batch in batches for one in batch] for batches in (images, labels))
    return images, labels if pairs else None


def _are_batches(images: list[Any], labels: list[Any]) -> bool:
    """Return whether a dataset, or a loader that collates nothing, gives batches by itself."""
    pictures = all(getattr(one, "ndim", 0) == 4 for one in images)
    return bool(images) and pictures and all(getattr(one, "ndim", 0) == 1 for one in labels)


def _items(data: DataLoader[Any] | Dataset[Any] | Sequence[Any]) -> Iterator[Any]:
    if isinstance(data, DataLoader | IterableDataset):
        yield from data
    else:
        yield from (data[number] for number in range(len(cast(Sized, data))))


def _pictures(given: Any) -> Pictures:
    """Return images as a pool has them: uint8 if all values are 8-bit levels, so that their seeds are the same."""
    array = _array(given, "images")
    if array.size == 0 and array.ndim in (1, 4):
        raise EpsballError("images are empty; give at least one")
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[1] == 3 != array.shape[3]:
        array = np.moveaxis(array, 1, 3)  # as PyTorch has them; of images three pixels wide, nobody knows
    if array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] == 3:
        return np.ascontiguousarray(array)
    if array.dtype.kind != "f" or array.ndim != 4 or array.shape[1] != 3:
        found = type(given).__name__ if array.dtype.kind in "OUS" else f"{array.dtype} {array.shape}"
        raise EpsballError(
            f"images are {found}; expected uint8 (n, height, width, 3), or floats (n, 3, height, width) in [0, 1], RGB"
        )
    bad = ~np.isfinite(array).all(axis=(1, 2, 3))
    if bad.any():
        raise EpsballError(f"image {bad.argmax()} has values that are not finite; leave it out or mend it")
    if array.min() < 0 or array.max() > 1:
        raise EpsballError(
            f"images have values from {array.min():.9g} to {array.max():.9g}; expected [0, 1], the model's "
            "normalisation being its first step; or clip what rounding has added"
        )
    floats = np.ascontiguousarray(np.moveaxis(array, 1, 3), np.float32)
    levels = np.rint(floats * 255).astype(np.uint8)
    return levels if np.array_equal(levels / np.float32(255), floats) else floats


def _array(given: Any, what: str) -> NDArray[Any]:
    if isinstance(given, list | tuple) and len(given):
        parts = [_array(one, what) for one in given]
        shapes = list(dict.fromkeys(part.shape for part in parts))
        if len(shapes) > 1:
            raise EpsballError(f"{what} are of different shapes, {shapes[0]} and {shapes[1]}; give them all one shape")
        return np.stack(parts)
    if isinstance(given, Image.Image):
        try:
            return np.asarray(rgb.convert(given))
        except ValueError as error:
            raise EpsballError(f"{what}: {error}") from None
    if np.ma.is_masked(given):
        raise EpsballError(f"{what} are a masked array, of which some are masked; leave those out")
    try:
        if isinstance(given, Tensor):
            tensor = given.detach().cpu()
            return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise EpsballError(f"{what} cannot be read as an array ({error}); give numbers") from None
