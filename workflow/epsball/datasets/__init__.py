"""Datasets: how a kind becomes a pool of images and labels. One module each, registered here by kind."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from epsball import images
from epsball.config import DatasetSpec
from epsball.errors import EpsballError

KINDS = {
    "photographs": "epsball.datasets.photographs",
    "signs": "epsball.datasets.rendered",
    "imagefolder": "epsball.datasets.imagefolder",
    "arrays": "epsball.datasets.arrays",
}


@dataclass(frozen=True)
class Pool:
    """Labelled images, read one at a time.

    Attributes:
        names: of the images, each once.
        labels: class of each image, by the network's output.
        read: image number to uint8 (height, width, 3).
        tracks: what recording each image is a frame of, where known.
        classes: number of classes, where the dataset itself knows it.
        files: of the images, where each has one.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    read: Callable[[int], NDArray[np.uint8]]
    tracks: Sequence[str] | None = None
    classes: int | None = None
    files: Sequence[Path] = ()

    def __len__(self) -> int:
        return len(self.names)

    def first(self, limit: int | None) -> Pool:
        """The first `limit` images."""
        if limit is None or limit >= len(self):
            return self
        tracks = self.tracks and self.tracks[:limit]
        return replace(
            self, names=self.names[:limit], labels=self.labels[:limit], tracks=tracks, files=self.files[:limit]
        )

    def verify(self) -> None:
        """Look at the header of every file.

        Raises:
            EpsballError: one is not readable as an image, or not RGB.
        """
        for file in self.files:
            images.verify(file)

    def batches(self, size: int) -> Iterator[tuple[range, NDArray[np.uint8]]]:
        """Numbers and images (n, height, width, 3), `size` at a time.

        Raises:
            EpsballError: an image has another size than the first.
        """
        shape: tuple[int, ...] | None = None
        for start in range(0, len(self), size):
            numbers = range(start, min(start + size, len(self)))
            pictures = [self.read(number) for number in numbers]
            for number, picture in zip(numbers, pictures, strict=True):
                shape = shape or picture.shape
                if picture.shape != shape:
                    raise EpsballError(
                        f"{self.names[number]}: {picture.shape[1]} × {picture.shape[0]} pixels, "
                        f"expected {shape[1]} × {shape[0]} as the first image; set resize and crop for the dataset"
                    )
            yield numbers, np.stack(pictures)


def open_pool(spec: DatasetSpec, folder: Path, split: str = "test") -> Pool:
    """Open a dataset.

    Args:
        spec: its configuration.
        folder: where the run keeps what it made for this dataset.
        split: "test", the pool that samples are taken from, or "train" where the kind has it.

    Raises:
        EpsballError: files are missing or do not fit the configuration.
    """
    pool: Pool = importlib.import_module(KINDS[spec.kind]).open_pool(spec, folder, split)
    if not len(pool):
        raise EpsballError(f"datasets.{spec.name}: no image was found; check its root")
    return pool.first(spec.limit) if split == "test" else pool
