"""The rendered signs of a run: rendered once, then read as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from epsball.config import DatasetSpec
from epsball.data import Pool, arrays, signs
from epsball.runs import files
from epsball.runs.progress import Progress

TERMS = "made by this workflow: none"


def render(spec: DatasetSpec, split: str, path: Path) -> None:
    """Render a split, "train" or "test", into an .npz of images and labels."""
    count = spec.options[split]
    pictures = np.empty((count, signs.SIZE, signs.SIZE, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % signs.CLASSES
    with Progress(f"render {spec.name} {split}", count, "images") as progress:
        for number in range(count):
            pictures[number] = signs.image(split, spec.options["seed"], number)
            progress.advance(1)
    with files.atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, images=pictures, labels=labels)


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`. Images without a file are rendered as they are read."""
    path = folder / f"{split}.npz"
    if path.is_file():
        return arrays.load(path)
    count = spec.options[split]
    return Pool(
        names=arrays.names(count),
        labels=np.arange(count, dtype=np.int64) % signs.CLASSES,
        read=lambda number: signs.image(split, spec.options["seed"], number),
    )
