"""The German Traffic Sign Recognition Benchmark, laid out as torchvision's GTSRB has it.

Stallkamp, Schlipsing, Salmen & Igel, "Man vs. computer", Neural Networks 32, 2012. Training frames come in tracks, each
a drive past one sign. Frames of a track look alike, so a track must never be on both sides of a split.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from epsball.config import DatasetSpec
from epsball.data import Pool, german_signs, images

TERMS = "those of GTSRB's authors"

CLASSES = 43

# Images in the whole benchmark.
POOL = 12_630
TRAINING = 39_209


def missing(spec: DatasetSpec) -> str | None:
    """See `epsball.data.missing`."""
    base = Path(spec.options["root"]) / "gtsrb"
    for place in (base / "GTSRB" / "Training", base / "GTSRB" / "Final_Test" / "Images", base / "GT-final_test.csv"):
        if not place.exists():
            return f"'{place}' does not exist; expected GTSRB under its root as torchvision lays it out"
    return None


def given(spec: DatasetSpec) -> list[Path]:
    """See `epsball.data.given`."""
    return [Path(spec.options["root"]) / "gtsrb"]


def download(spec: DatasetSpec) -> None:
    """Download both splits through torchvision, which verifies their digests."""
    from torchvision.datasets import GTSRB

    for split in ("train", "test"):
        GTSRB(spec.options["root"], split=split, download=True)


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; frames are resized to `size` × `size` pixels, which the networks expect."""
    base, size = Path(spec.options["root"]) / "gtsrb", (spec.options["size"],) * 2

    def read(file: Path) -> NDArray[np.uint8]:
        return np.asarray(images.open_image(file).resize(size, Image.Resampling.BICUBIC))

    if split == "train":
        outputs = {f"{label:05d}": label for label in range(CLASSES)}
        pool = Pool.of_tree(base / "GTSRB" / "Training", outputs, read)
        tracks = [name.rpartition("_")[0] for name in pool.names]
        return replace(pool, classes=CLASSES, class_names=german_signs.NAMES, tracks=tracks)
    table = pd.read_csv(base / "GT-final_test.csv", sep=";", encoding="utf-8-sig")
    files = [base / "GTSRB" / "Final_Test" / "Images" / name for name in table["Filename"]]
    labels = table["ClassId"].to_numpy(np.int64)
    return Pool(
        list(table["Filename"]),
        labels,
        lambda number: read(files[number]),
        classes=CLASSES,
        class_names=german_signs.NAMES,
        files=files,
    )
