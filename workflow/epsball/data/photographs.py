"""The 20 labelled ImageNet photographs in the package foolbox (MIT; ImageNet's terms apply to the photographs)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from epsball.config import DatasetSpec
from epsball.data import Pool, imagenet, images
from epsball.errors import EpsballError

TERMS = "those of ImageNet: non-commercial research and education; the package foolbox, which has them, is MIT"

POOL = 20


def open_pool(spec: DatasetSpec, folder: Path, split: str) -> Pool:
    """See `epsball.data.open_pool`; a class is the last number in a file's name."""
    found = importlib.util.find_spec("foolbox")
    if found is None or found.origin is None:
        raise EpsballError("dataset kind 'photographs' needs the package foolbox; install it with pip install foolbox")
    files = sorted((Path(found.origin).parent / "data").glob("imagenet_*.jpg"))
    names, resize, crop = [file.stem for file in files], spec.options["resize"], spec.options["crop"]
    labels = np.array([int(name.rsplit("_", 1)[1]) for name in names], dtype=np.int64)
    return Pool(
        names,
        labels,
        lambda number: images.read(files[number], resize, crop),
        class_names=imagenet.categories(),
        files=files,
    )
