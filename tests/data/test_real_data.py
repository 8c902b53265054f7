"""The real data that the maintainers verify with, where a checkout has it beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from epsball.config import DatasetSpec
from epsball.data import open_pool
from epsball.stages.training import hold_out
from support.toys import ROOT

DATA = ROOT.parent / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs real data beside the checkout, in ../shared/data")


def test_part_of_the_real_benchmark(tmp_path: Path, dataset_spec: Callable[..., DatasetSpec]) -> None:
    spec = dataset_spec("gtsrb", root=str(DATA), size=48)
    train, test = open_pool(spec, tmp_path, "train"), open_pool(spec, tmp_path)
    assert (len(train), len(test)) == (12_330, 3_998)
    assert set(train.labels) == set(test.labels) == set(range(43))
    assert train.tracks is not None
    frames = np.unique(list(train.tracks), return_counts=True)[1]
    assert frames.max() == 15, "every second of thirty frames"
    training, held = hold_out(train, 0.1)
    assert set(training.tracks or ()).isdisjoint(held.tracks or ())
    assert 0.08 < len(held) / len(train) < 0.12


def test_real_photographs(tmp_path: Path, dataset_spec: Callable[..., DatasetSpec]) -> None:
    """Five hundred classes of a thousand: a folder's index is not its class."""
    root = DATA / "imagenet"
    options = {"root": str(root / "val"), "classes": str(root / "wnids.txt"), "resize": 256, "crop": 224}
    pool = open_pool(dataset_spec("imagefolder", **options), tmp_path)
    assert (len(pool), pool.classes) == (500, 1000)
    assert pool.verify() == []
    wnids = (root / "wnids.txt").read_text().split()
    assert all(wnids[label] == name.split("/")[0] for name, label in zip(pool.names, pool.labels, strict=True))
    assert pool.read(499).shape == (224, 224, 3)
