"""Small datasets in the files that their libraries have them in."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10


def coloured(count: int, side: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images (count, side, side, 3) whose class is their colour, of ten distinct ones: a small net learns it."""
    rng = np.random.default_rng(seed)
    hues = np.array([[r, g, b] for r in (60, 130, 200) for g in (60, 200) for b in (60, 200)])[:classes]
    labels = np.arange(count) % classes
    noise = rng.normal(0, 20, (count, side, side, 3))
    return np.clip(hues[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels


def write_cifar10(root: Path, train: int, test: int, patch: pytest.MonkeyPatch | None = None) -> None:
    """Write CIFAR-10's pickles, of rows of red, green and blue planes, and its list of names.

    torchvision checks the MD5 of each file against those of the original: a test in this process patches its list;
    another process is told by `digests_of_cifar.py`, see `supply_cifar10`.
    """
    base = root / CIFAR10.base_folder
    base.mkdir(parents=True)
    lists: dict[str, list[list[str]]] = {"train_list": [], "test_list": []}
    for kind, count in (("train_list", train), ("test_list", test)):
        files = getattr(CIFAR10, kind)
        images, labels = coloured(count, 32, 10, seed=len(kind))
        for number, (name, _) in enumerate(files):
            part = slice(number * count // len(files), (number + 1) * count // len(files))
            rows = images[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
            content = pickle.dumps({"data": rows, "labels": labels[part].tolist()})
            (base / name).write_bytes(content)
            lists[kind].append([name, hashlib.md5(content).hexdigest()])
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    content = pickle.dumps({"label_names": names})
    (base / "batches.meta").write_bytes(content)
    meta = {**CIFAR10.meta, "md5": hashlib.md5(content).hexdigest()}
    (root / "digests_of_cifar.py").write_text(
        "from torchvision.datasets import CIFAR10\n"
        f"CIFAR10.train_list, CIFAR10.test_list = {lists['train_list']!r}, {lists['test_list']!r}\n"
        f"CIFAR10.meta = {meta!r}\n"
    )
    if patch is not None:
        for kind, entries in lists.items():
            patch.setattr(CIFAR10, kind, entries)
        patch.setattr(CIFAR10, "meta", meta)


def supply_cifar10(folder: Path, train: int, test: int) -> None:
    """Write CIFAR-10 where a clone's configurations look for it, and tell the digests to every process of the clone."""
    write_cifar10(folder / "data", train, test)
    digests = (folder / "data" / "digests_of_cifar.py").read_text()
    (folder / "workflow" / "sitecustomize.py").write_text(digests)


def write_mnist(root: Path, name: str, train: int, test: int) -> tuple[np.ndarray, np.ndarray]:
    """Write MNIST's gzipped idx files; returns the test images (test, 28, 28) and labels."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    for prefix, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for suffix, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{prefix}-{suffix}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
            (folder / f"{prefix}-{suffix}-ubyte").write_bytes(header + array.tobytes())
    return images, labels
