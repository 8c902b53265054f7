"""Datasets: how a kind becomes a pool of images and labels. One module each, registered here by kind."""

from __future__ import annotations

import functools
import importlib
import itertools
import logging
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epsball.config import DatasetSpec
from epsball.data import images
from epsball.data.images import Pictures, UnusableImageError
from epsball.errors import EpsballError

KINDS = {
    "photographs": "epsball.data.photographs",
    "signs": "epsball.data.rendered",
    "gtsrb": "epsball.data.gtsrb",
    "imagenette": "epsball.data.imagenette",
    "imagefolder": "epsball.data.imagefolder",
    "arrays": "epsball.data.arrays",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """Labelled images, read one at a time.

    Attributes:
        names: of the images, each once.
        labels: class of each image, by the network's output.
        read: image number to (height, width, 3), uint8 or float32 in [0, 1].
        tracks: what recording each image is a frame of, where known.
        classes: number of classes, where the dataset itself knows it.
        files: of the images, where each has one.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    read: Callable[[int], Pictures]
    tracks: Sequence[str] | None = None
    classes: int | None = None
    files: Sequence[Path] = ()

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: Sequence[int]) -> Pool:
        """The images of these numbers, in this order."""
        read = self.read
        return replace(
            self,
            names=[self.names[number] for number in numbers],
            labels=self.labels[numbers],
            read=lambda number: read(numbers[number]),
            tracks=self.tracks and [self.tracks[number] for number in numbers],
            files=self.files and [self.files[number] for number in numbers],
        )

    def spread(self, limit: int | None) -> Pool:
        """At most `limit` images, evenly spaced: the first ones of a folder would be of its first classes."""
        if limit is None or limit >= len(self):
            return self
        return self.take([place * len(self) // limit for place in range(limit)])

    def verify(self) -> list[str]:
        """Look at the header of every file; a sentence about each that cannot be used.

        Raises:
            EpsballError: none can.
        """
        complaints = []
        for file in self.files:
            try:
                images.verify(file)
            except UnusableImageError as error:
                complaints.append(str(error))
        if complaints and len(complaints) == len(self):
            raise _none_usable(complaints)
        return complaints

    def batches(self, size: int) -> Iterator[tuple[list[int], Pictures]]:
        """Numbers and images (n, height, width, 3), `size` at a time. Images that cannot be used are named and skipped.

        Raises:
            EpsballError: an image has another size than the first, or none can be used.
        """
        complaints: list[str] = []
        usable = self._usable(complaints)
        while batch := list(itertools.islice(usable, size)):
            yield [number for number, _ in batch], np.stack([picture for _, picture in batch])
        if complaints and len(complaints) == len(self):
            raise _none_usable(complaints)

    def _usable(self, complaints: list[str]) -> Iterator[tuple[int, Pictures]]:
        shape: tuple[int, ...] | None = None
        for number, name in enumerate(self.names):
            try:
                picture = self.read(number)
            except UnusableImageError as error:
                complaints.append(str(error))
                _log.warning("skipped %s", error)
                continue
            shape = shape or picture.shape
            if picture.shape != shape:
                raise EpsballError(
                    f"{name}: {picture.shape[1]} × {picture.shape[0]} pixels, expected {shape[1]} × {shape[0]} as the "
                    "first image; set resize and crop for the dataset"
                )
            yield number, picture


def _none_usable(complaints: list[str]) -> EpsballError:
    return EpsballError(f"none of {len(complaints)} images can be used; the first: {complaints[0]}")


def missing(spec: DatasetSpec) -> str | None:
    """What is not there of a dataset's files, in a sentence; None where nothing is missing or needed."""
    look = getattr(_kind(spec), "missing", None)
    return None if look is None or (lack := look(spec)) is None else f"datasets.{spec.name}: {lack}"


def download(spec: DatasetSpec) -> None:
    """Download what is missing of a dataset, through torchvision, which verifies archives before it unpacks them.

    Raises:
        EpsballError: it cannot be had.
    """
    if (lack := missing(spec)) is None:
        return
    # Whoever unpacks: nothing of an archive leaves its folder.
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        _kind(spec).download(spec)
    except (OSError, RuntimeError, tarfile.TarError) as error:
        raise EpsballError(f"{lack}; downloading it failed ({error}); put it there yourself") from None


def pool_size(spec: DatasetSpec) -> int:
    """Images in a dataset's pool: those on disk, or else as its configuration and kind have it."""
    found = _counted(spec.kind, spec.options["root"]) if "root" in spec.options and missing(spec) is None else None
    size = found or int(spec.options.get("test", getattr(_kind(spec), "POOL", 1000)))
    return size if spec.limit is None else min(size, spec.limit)


@functools.cache
def _counted(kind: str, root: str) -> int | None:
    """Images on disk, of kinds that count them; a plan asks for each network anew, and a tree may have many files."""
    count = getattr(importlib.import_module(KINDS[kind]), "count", None)
    return None if count is None else count(Path(root))


def training_size(spec: DatasetSpec) -> int:
    """Images in a dataset's training split, by its configuration and kind; 0 where it has none."""
    return int(spec.options.get("train", getattr(_kind(spec), "TRAINING", 0)))


def _kind(spec: DatasetSpec) -> Any:
    return importlib.import_module(KINDS[spec.kind])


def open_pool(spec: DatasetSpec, folder: Path, split: str = "test") -> Pool:
    """Open a dataset.

    Args:
        spec: its configuration.
        folder: where the run keeps what it made for this dataset.
        split: "test", the pool that samples are taken from, or "train" where the kind has it.

    Raises:
        EpsballError: files are missing or do not fit the configuration.
    """
    if (lack := missing(spec)) is not None:
        raise EpsballError(lack)
    pool: Pool = _kind(spec).open_pool(spec, folder, split)
    if not len(pool):
        raise EpsballError(f"datasets.{spec.name}: no image was found; check its root")
    return pool.spread(spec.limit) if split == "test" else pool
