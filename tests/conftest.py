"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from epsball.config import DatasetSpec
from epsball.data import Pool, arrays
from epsball.data.images import digest
from epsball.networks import process
from support.example import write_data, write_example
from support.toys import ROOT, Stages, pictures

# The files that take longest. The first has few tests, so its worker is given the fourth too, a short one, at once.
LONGEST = [
    "slurm",
    "readme",
    "workflow",
    "terminal",
    "extension",
    "reruns",
    "given",
    "cifar10",
    "notebook",
    "determinism",
    "monitor",
    "on_a_gpu",
    "docs",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them first, so that at the end no worker is left alone with one."""
    place = {f"test_{name}": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(autouse=True)
def shared_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of pytest takes a GPU for itself alone: it lives until the last test."""
    monkeypatch.setattr(process, "own_gpu", lambda: 0)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Four small images."""
    images, labels = pictures(4)
    np.savez(tmp_path / "pool.npz", images=images, labels=labels)
    return arrays.load(tmp_path / "pool.npz")


@pytest.fixture
def samples(pool: Pool) -> pd.DataFrame:
    """All of them as a sample table."""
    return pd.DataFrame(
        {
            "sample": [f"s{number}" for number in range(len(pool))],
            "image": list(pool.names),
            "label": pool.labels,
            "seed": np.array([11, 2**63 + 5, 13, 14], dtype=np.uint64),
            "shard": 0,
            "digest": [digest(pool.read(number)) for number in range(len(pool))],
        }
    )


@pytest.fixture
def stages(tmp_path: Path, samples: pd.DataFrame, pool: Pool) -> Stages:
    return Stages(tmp_path, samples, pool)


@pytest.fixture
def dataset_spec() -> Callable[..., DatasetSpec]:
    """Makes a dataset's specification."""

    def make(kind: str = "arrays", **options: Any) -> DatasetSpec:
        return DatasetSpec(name="mine", kind=kind, samples=10, threshold=0.99, options=options)

    return make


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example of the page on one's own network, with data and weights that fit."""
    monkeypatch.chdir(tmp_path)
    write_example((ROOT / "docs" / "howto" / "own_network.md").read_text(), tmp_path)
    write_data(tmp_path)
    return tmp_path
