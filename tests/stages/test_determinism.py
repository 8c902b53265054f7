"""What two runs of a real network share: with the same threads and batch all bits, else scores within 1e-5."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from epsball.config import Ball, Compute, DatasetSpec, NetworkSpec
from epsball.data import open_pool
from epsball.data.images import digest
from epsball.networks import forward, model
from epsball.runs import store
from epsball.stages.extract import extract
from epsball.stages.perturb import perturb
from scipy.special import expit

pytestmark = pytest.mark.slow

BALL = Ball(radii=(0.0, 0.1, 10.0), epsilon=0.1, draws=10)
COMPUTE = Compute(batch=5, threads=1, device="cpu", float64_draws=2)
NETWORK = NetworkSpec(name="lite", dataset="photographs", factory="efficientnet-lite:0")
DATASET = DatasetSpec("photographs", "photographs", 2, 0.9, options={"resize": 256, "crop": 224})


@pytest.fixture(scope="module")
def samples() -> pd.DataFrame:
    pool = open_pool(DATASET, Path())
    frame = pd.DataFrame({"sample": pool.names[:2], "image": pool.names[:2], "label": pool.labels[:2]})
    digests = [digest(pool.read(number)) for number in range(2)]
    return frame.assign(seed=np.array([3, 2**63 + 9], dtype=np.uint64), shard=0, digest=digests)


def activations(path: Path, samples: pd.DataFrame, compute: Compute, family: str) -> xr.Dataset:
    before = torch.get_num_threads()
    forward.configure(compute)
    passes = forward.Forward(model.open_network(NETWORK), compute)
    place = path / "lite" / family / "0.zarr.zip"
    extract(family, passes, samples, open_pool(DATASET, Path()), BALL, compute, place, {})
    torch.set_num_threads(before)
    return store.open_store(place).load()


@pytest.mark.parametrize("family", ["uniform", "permuted"])
def test_same_bits_and_scores_within_1e_5(tmp_path: Path, samples: pd.DataFrame, family: str) -> None:
    first = activations(tmp_path / "a", samples, COMPUTE, family)
    again = activations(tmp_path / "b", samples.iloc[::-1], COMPUTE, family)
    xr.testing.assert_identical(first, again.isel(sample=[1, 0]))
    for number, other in enumerate([replace(COMPUTE, threads=2), replace(COMPUTE, batch=8)]):
        changed = activations(tmp_path / f"c{number}", samples, other, family)
        scores = [expit(held["log_odds"].values) for held in (first, changed)]
        assert np.abs(scores[0] - scores[1]).max() < 1e-5
        assert (first["prediction"].values == changed["prediction"].values).all()


def test_perturbations_are_the_same_with_other_threads(tmp_path: Path, samples: pd.DataFrame) -> None:
    pool = open_pool(DATASET, Path())
    held = []
    for threads in (1, 2):
        forward.configure(replace(COMPUTE, threads=threads))
        path = tmp_path / f"{threads}.zarr.zip"
        perturb("uniform", samples, pool, BALL, path, {})
        held.append(store.open_store(path).load())
    forward.configure(COMPUTE)
    assert (held[0]["fraction_outside"].values == held[1]["fraction_outside"].values).all()
    for name in ("norm", "distance"):  # sums in float64, in another order
        np.testing.assert_allclose(held[0][name].values, held[1][name].values, rtol=1e-12)
