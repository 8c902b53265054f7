"""What a factory or a data library returns as a dataset of (image, label), and where the labels of its images are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from epsball.errors import EpsballError

# Where datasets keep the labels of all images, so that they need not be decoded for them.
_LABELS = ("targets", "labels", "_labels", "y", "_samples", "samples")
_LOOKED_AT = 12  # images, evenly spread, that say which of these it is, what modes there are, and what is random
_EXPECTED = "expected images and labels, or a dataset of (image, label) with a length"


class _Pairs:
    """Images and labels of two sequences, by place."""

    def __init__(self, pictures: Any, labels: Any) -> None:
        # Those of pandas are indexed by the names of their rows.
        self.pictures, self.targets = (
            part.to_numpy() if hasattr(part, "iloc") else part for part in (pictures, labels)
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.pictures[number], self.targets[number]


def dataset(found: Any, owner: str) -> Any:
    """Return a dataset of (image, label) with a length, from one, or from images and labels in a pair or a dictionary.

    Raises:
        EpsballError: it is something else, such as two datasets; `owner` is the subject of the message.
    """
    if isinstance(found, Mapping):
        if not {"images", "labels"} <= set(found):
            keys = ", ".join(map(repr, list(found)[:5])) or "no keys"
            raise EpsballError(f"{owner} is a {type(found).__name__} of {keys}, expected 'images' and 'labels' in it")
        found = found["images"], found["labels"]
    if not (isinstance(found, tuple | list) and len(found) == 2) or all(map(_is_entry, found)):
        _length(found, owner)
        return found
    if all(map(_is_dataset, found)):
        raise EpsballError(
            f"{owner} is two datasets, expected one; give the factory a parameter 'split' or 'train', and return the "
            "dataset that it asks for"
        )
    counts = [_length(part, f"{owner} for {name}") for part, name in zip(found, ("images", "labels"), strict=True)]
    if counts[0] != counts[1]:
        raise EpsballError(f"{owner} has {counts[0]} images and {counts[1]} labels, expected as many of both")
    return _Pairs(*found)


def spread(found: Any) -> Iterator[tuple[int, Any]]:
    """Yield number and entry of some images, evenly spread; those that cannot be read are left out."""
    for number in sorted({place * len(found) // _LOOKED_AT for place in range(_LOOKED_AT)} if len(found) else ()):
        try:
            yield number, found[number]
        except Exception:
            continue


class Labels(NamedTuple):
    """The labels of a dataset.

    Attributes:
        values: a label for each entry but those that are lost.
        lost: why the label of an entry is not known, which cannot be read, by its number.
        kept_in: the attribute that they are from, which has not been compared with all entries; empty if none.
    """

    values: NDArray[Any]
    lost: Mapping[int, str]
    kept_in: str = ""

    def require(self, number: int, entry: Any, owner: str) -> None:
        """Check that an entry has the label that was found for it without reading it.

        Raises:
            EpsballError: it has another.
        """
        if self.kept_in and not _agree(self.values[number], entry[1]):
            raise EpsballError(
                f"{owner}: entry {number} has label {entry[1]}, expected {self.values[number]} as in {self.kept_in}; "
                "return torch.utils.data.Subset(dataset, range(len(dataset))), whose labels are those of its entries"
            )


def labels(found: Any, some: Mapping[int, Any], owner: str) -> Labels:
    """Return the labels of a dataset: what it keeps them in, if that agrees with its entries, or from all entries.

    Args:
        found: the dataset.
        some: entries of it by their number, as `spread` has them.
        owner: subject of messages.

    Raises:
        EpsballError: an entry is no pair, no entry can be read, or labels have several shapes.
    """
    for number, entry in some.items():
        if not isinstance(entry, tuple | list) or len(entry) != 2:
            raise EpsballError(f"{owner}: entry {number} is a {type(entry).__name__}, expected (image, label)")
    if not len(found):
        return Labels(np.zeros(0, np.int64), {})
    for name in _LABELS if getattr(found, "target_transform", None) is None else ():
        kept = _kept(found, name)
        if kept is not None and all(_agree(kept[number], entry[1]) for number, entry in some.items()):
            return Labels(kept, {}, name)
    values, lost = [], {}
    for number in range(len(found)):
        try:
            values.append(found[number][1])
        except Exception as error:  # a dataset raises anything
            lost[number] = f"{type(error).__name__}: {error}"
    if lost and not values:
        raise EpsballError(f"{owner}: none of {len(lost)} entries can be read; the first: {lost[0]}")
    try:
        return Labels(np.asarray(values), lost)
    except Exception:
        raise EpsballError(
            f"{owner}: labels have several shapes, or are no numbers on the CPU, expected an integer for each image"
        ) from None


def _kept(found: Any, name: str) -> NDArray[Any] | None:
    """Return what an attribute has as labels; None if it is missing or something else, as `samples` often is."""
    try:
        kept = getattr(found, name)
        if len(kept) != len(found):
            return None
        values = np.asarray([one[1] for one in kept] if name.endswith("samples") else kept)
    except Exception:
        return None
    return values if values.ndim == 1 else None


def _agree(kept: Any, given: Any) -> bool:
    """Return whether a label is that of an entry, which may be one-hot, or a list of one."""
    if (hot := _hot(given)) is not None:
        return bool(kept == hot)
    if _dimensions(given) == 1 and len(given) == 1:
        given = given[0]
    return _dimensions(given) == 0 and bool(kept == given)


def _hot(label: Any) -> int | None:
    """Return the class of a one-hot label; None if it is something else."""
    if _dimensions(label) != 1 or len(label) < 2:
        return None
    try:
        values = [float(value) for value in label]
    except (TypeError, ValueError):  # captions
        return None
    return values.index(1) if sorted(values)[-2:] == [0, 1] and sum(values) == 1 else None


def _is_entry(part: Any) -> bool:
    """Return whether this is an image with its label, rather than two images or two labels."""
    if not isinstance(part, tuple | list) or len(part) != 2:
        return False
    return _dimensions(part[0]) in {2, 3} and (_dimensions(part[1]) == 0 or _hot(part[1]) is not None)


def _is_dataset(part: Any) -> bool:
    """Return whether this has entries, or is a pair of images and labels by itself."""
    try:
        is_pair = isinstance(part, tuple | list) and len(part) == 2
        return _is_entry(part[0]) or (is_pair and _dimensions(part[0]) > 2 and _dimensions(part[1]) == 1)
    except Exception:
        return False


def _dimensions(value: Any) -> int:
    """Return the number of dimensions; -1 if it is not known without reading: NumPy would read a whole dataset."""
    if isinstance(value, Image.Image):
        return 2
    if isinstance(value, list | tuple):
        return 1 + _dimensions(value[0]) if value else 1
    return int(getattr(value, "ndim", 0 if np.isscalar(value) else -1))


def _length(part: Any, owner: str) -> int:
    if not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
        raise EpsballError(f"{owner} is a {type(part).__name__}, {_EXPECTED}")
    try:
        return len(part)
    except Exception as error:  # a dataset raises anything
        raise EpsballError(f"{owner} is a {type(part).__name__} without a length ({error}), {_EXPECTED}") from None
