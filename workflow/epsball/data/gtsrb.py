"""The German Traffic Sign Recognition Benchmark, laid out as torchvision's GTSRB has it.

Stallkamp, Schlipsing, Salmen & Igel, "Man vs. computer", Neural Networks 32, 2012. The training frames come in tracks,
each a drive past one sign; its frames look alike, so they must never be on both sides of a split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from epsball.config import DatasetSpec
from epsball.data import Pool, images

TERMS = "those of GTSRB's authors"

CLASSES = 43

# Of the whole benchmark.
POOL = 12_630
TRAINING = 39_209


def missing(spec: DatasetSpec) -> str | None:
    """What is not there of the data, in words."""
    base = Path(spec.options["root"]) / "gtsrb"
    for place in (base / "GTSRB" / "Training", base / "GTSRB" / "Final_Test" / "Images", base / "GT-final_test.csv"):
        if not place.exists():
            return f"'{place}' does not exist; expected GTSRB under its root as torchvision lays it out"
    return None


def download(spec: DatasetSpec) -> None:
    """Download both splits through torchvision, which verifies their digests."""
    from torchvision.datasets import GTSRB

    for split in ("train", "test"):
        GTSRB(spec.options["root"], split=split, download=True)


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; frames are squeezed to `size` × `size` pixels, as the networks expect."""
    base = Path(spec.options["root"]) / "gtsrb"
    if split == "train":
        files = sorted((base / "GTSRB" / "Training").glob("[0-9]*/*.ppm"))
        labels = [int(file.parent.name) for file in files]
        names = [f"{file.parent.name}/{file.name}" for file in files]
        tracks = [name.rpartition("_")[0] for name in names]
    else:
        table = pd.read_csv(base / "GT-final_test.csv", sep=";")
        names, labels, tracks = list(table["Filename"]), list(table["ClassId"]), None
        files = [base / "GTSRB" / "Final_Test" / "Images" / name for name in names]
    side = spec.options["size"]
    return Pool(
        names=names,
        labels=np.array(labels, dtype=np.int64),
        read=lambda number: images.read_square(files[number], side),
        tracks=tracks,
        classes=CLASSES,
        files=files,
    )
