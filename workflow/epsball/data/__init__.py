"""Datasets: pools of images and labels, one module for each kind, registered by name."""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from epsball import user_code
from epsball.config import DatasetSpec
from epsball.data import images, rgb, tree
from epsball.data.images import Pictures, UnusableImageError
from epsball.errors import EpsballError
from epsball.runs.provenance import declared

KINDS = {
    "photographs": "epsball.data.photographs",
    "signs": "epsball.data.signs",
    "gtsrb": "epsball.data.gtsrb",
    "imagenette": "epsball.data.imagenette",
    "imagefolder": "epsball.data.imagefolder",
    "arrays": "epsball.data.arrays",
    "torchvision": "epsball.data.torchvision_sets",
    "factory": "epsball.data.user_dataset",
    "huggingface": "epsball.data.huggingface",
}

_NAMED = 5  # images skipped in a pass that are named; the others are counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """Labelled images, read one at a time.

    Attributes:
        names: unique names of the images.
        labels: class of each image, as the index of the network's output.
        read: function from an image's number to (height, width, 3), uint8 or float32 in [0, 1].
        tracks: recording of which each image is a frame, if known.
        classes: number of classes, if the dataset defines it.
        class_names: names of the classes in the order of the network's outputs, if the dataset tells them.
        files: file of each image, if there are files.
        remarks: sentences about what was passed over or converted.
        owner: beginning of messages, such as "datasets.mine: ".
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    read: Callable[[int], Pictures]
    tracks: Sequence[str] | None = None
    classes: int | None = None
    class_names: Sequence[str] | None = None
    files: Sequence[Path] = ()
    remarks: Sequence[str] = ()
    owner: str = ""
    _told: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def of_tree(cls, root: Path, outputs: Mapping[str, int], read: Callable[[Path], Pictures]) -> Pool:
        """Make a pool of a folder for each class; `outputs` maps folders to classes, in the order of the pool.

        Images may be in folders of a class's folder. Names are in composed Unicode, as other systems have them.

        Raises:
            EpsballError: two files have one name.
        """
        files: list[Path] = []
        others: list[Path] = []
        labels: list[int] = []
        for name, label in outputs.items():
            for file in tree.files(root / name):
                (files if tree.is_image(file) else others).append(file)
            labels += [label] * (len(files) - len(labels))
        names = [tree.readable(file.relative_to(root)) for file in files]
        if len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise EpsballError(f"{tree.readable(root)}: two files have the name '{twice}'; rename one")
        return cls(
            names=names,
            labels=np.array(labels, dtype=np.int64),
            read=lambda number: read(files[number]),
            files=files,
            remarks=[
                f"{len(others)} files are no images by their suffix and are not read, such as "
                f"{tree.readable(others[0])}"
            ]
            if others
            else [],
        )

    def __len__(self) -> int:
        return len(self.names)

    def take(self, numbers: Sequence[int]) -> Pool:
        """Return a pool of the images with these numbers, in this order."""
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
        """Return a pool of at most `limit` images, evenly spaced.

        Images are often sorted by class: the first images alone would come from the first classes only.
        """
        if limit is None or limit >= len(self):
            return self
        return self.take([place * len(self) // limit for place in range(limit)])

    def verify(self) -> list[str]:
        """Read the header of every file, and return a sentence about each that cannot be used.

        Log what else there is to say of the files: remarks, what has another mode than RGB, and what is left out.

        Raises:
            EpsballError: no file can be used.
        """
        complaints = []
        kinds: dict[str, tuple[int, str]] = {}
        for name, file in zip(self.names, self.files, strict=False):
            try:
                found = images.header(file)
            except UnusableImageError as error:
                complaints.append(str(error))
                continue
            for kind in found:
                count, first = kinds.get(kind, (0, name))
                kinds[kind] = count + 1, first
        for remark in (*self.remarks, *rgb.remarks(kinds)):
            _log.warning("%s", remark)
        self._require_usable(complaints)
        return complaints

    def batches(self, size: int) -> Iterator[tuple[list[int], Pictures]]:
        """Yield numbers and images (n, height, width, 3), `size` at a time; skip images that cannot be used.

        Of those that are skipped, log the first ones and the number of the others, once.

        Raises:
            EpsballError: an image has another size than the first, or none can be used.
        """
        usable = self._usable()
        while batch := list(itertools.islice(usable, size)):
            yield [number for number, _ in batch], np.stack([picture for _, picture in batch])

    def _usable(self) -> Iterator[tuple[int, Pictures]]:
        complaints: list[str] = []
        shape: tuple[int, ...] | None = None
        for number, name in enumerate(self.names):
            try:
                picture = self.read(number)
            except UnusableImageError as error:
                complaints.append(str(error))
                if len(complaints) <= _NAMED:
                    self._tell(f"skipped {error}")
                continue
            shape = shape or picture.shape
            if picture.shape != shape:
                raise EpsballError(
                    f"{self.owner}{name}: {picture.shape[1]} × {picture.shape[0]} pixels, expected "
                    f"{shape[1]} × {shape[0]} as the first image; set resize and crop for the dataset"
                )
            yield number, picture
        if len(complaints) > _NAMED:
            self._tell(f"skipped {len(complaints) - _NAMED} more of {len(self)} images")
        self._require_usable(complaints)

    def _tell(self, sentence: str) -> None:
        """Log a sentence, however often images are read, once."""
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning("%s", sentence)

    def _require_usable(self, complaints: list[str]) -> None:
        if complaints and len(complaints) == len(self):
            raise EpsballError(f"{self.owner}none of {len(complaints)} images can be used; the first: {complaints[0]}")


def missing(spec: DatasetSpec) -> str | None:
    """Return a sentence about missing files of a dataset; None if nothing is missing or needed."""
    kind = _kind(spec)
    problem = kind.missing(spec) if hasattr(kind, "missing") else None
    return None if problem is None else f"datasets.{spec.name}: {problem}"


def download(spec: DatasetSpec) -> None:
    """Download a dataset's missing files through torchvision, which verifies archives before it unpacks them."""
    if (problem := missing(spec)) is None:
        return
    # Whoever unpacks an archive, its files stay in its folder.
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        _kind(spec).download(spec)
    except (OSError, RuntimeError, tarfile.TarError) as error:
        raise EpsballError(f"{problem}; downloading it failed ({error}); put it there yourself") from None


def given(spec: DatasetSpec) -> list[Path]:
    """Return the files and folders of the user's that a dataset is read from.

    What a run downloads is not among them: it is not there when the run begins, and is verified when it arrives.
    """
    if spec.options.get("download"):
        return []
    kind = _kind(spec)
    if hasattr(kind, "given"):
        return list(kind.given(spec))
    texts = [value for value in spec.options.values() if isinstance(value, str)]
    named = [Path(text) for text in texts if os.path.exists(text)]  # noqa: PTH110 - a Path of a long text raises
    return [*own_files(spec), *named]


def pool_size(spec: DatasetSpec) -> int:
    """Return the number of images in a pool: those on disk, or what the configuration or the kind expects."""
    kind, found = _kind(spec), None
    if missing(spec) is None and hasattr(kind, "size"):
        found = kind.size(spec)
    elif missing(spec) is None and hasattr(kind, "count"):
        found = kind.count(Path(spec.options["root"]))
    size = found or int(spec.options.get("test", getattr(kind, "POOL", 1000)))
    return size if spec.limit is None else min(size, spec.limit)


def training_size(spec: DatasetSpec) -> int:
    """Return the number of training images that the configuration or the kind expects; 0 if there are none."""
    return int(spec.options.get("train", getattr(_kind(spec), "TRAINING", 0)))


def terms(spec: DatasetSpec) -> str:
    """Return the terms of a dataset's images: facts about where they come from, not advice."""
    return str(declared(KINDS[spec.kind])["TERMS"])


def own_files(spec: DatasetSpec) -> list[Path]:
    """Return the user's files that make a dataset, its factory's first; none for datasets of other kinds."""
    return user_code.files(spec.options["factory"]) if "factory" in spec.options else []


def _kind(spec: DatasetSpec) -> Any:
    return importlib.import_module(KINDS[spec.kind])


def open_pool(spec: DatasetSpec, folder: Path, split: str = "test") -> Pool:
    """Open a dataset.

    Args:
        spec: specification of the dataset.
        folder: folder of what the run made for this dataset.
        split: "test", from which samples are taken, or "train" if the kind has it.

    Raises:
        EpsballError: files are missing or do not fit the configuration.
    """
    if (problem := missing(spec)) is not None:
        raise EpsballError(problem)
    pool: Pool = _kind(spec).open_pool(spec, folder, split)
    if not len(pool):
        place = next((key for key in ("root", "name", "factory") if key in spec.options), "kind")
        raise EpsballError(f"datasets.{spec.name}: no image was found; check its {place}")
    pool = replace(pool, owner=f"datasets.{spec.name}: ")
    return pool.spread(spec.limit) if split == "test" else pool
