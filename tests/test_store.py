"""Stores: what anybody can open, whole or not at all, damage found."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import epsball
import numpy as np
import pytest
import xarray as xr
import zarr.storage
from conftest import BALL, COMPUTE, Stages, conv_net
from epsball import files, store
from epsball.errors import EpsballError


def test_xarray_opens_a_store_with_names_and_units(stages: Stages) -> None:
    path = stages.folder / "a.zarr.zip"
    stages.activate(conv_net(), "uniform", path, BALL, COMPUTE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xr.open_zarr(zarr.storage.ZipStore(path, mode="r"))
    xr.testing.assert_identical(opened.load(), epsball.open_store(path).load())
    assert dict(opened.sizes) == {"sample": 4, "radius": 4, "draw": 12, "unit": 7, "floor_draw": 3}
    assert opened["radius"].attrs["units"]
    assert opened["features"].dims == ("sample", "radius", "draw", "unit")
    assert opened["features"].dtype == np.float32
    assert opened["logit"].dtype == np.float64
    assert opened["seed"].values.tolist() == [11, 2**63 + 5, 13, 14]
    assert opened.attrs["family"] == "uniform"
    assert zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r").metadata.zarr_format == 3


def test_permuted_stores_have_no_features(stages: Stages) -> None:
    held = stages.activate(conv_net(), "permuted", stages.folder / "a.zarr.zip", BALL, COMPUTE)
    assert "features" not in held
    assert "unit" not in held.sizes


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    sample = xr.Dataset({"a": ("sample", [1.0])})
    with pytest.raises(RuntimeError), store.StoreWriter(tmp_path / "s.zarr.zip") as writer:
        writer.append(sample)
        raise RuntimeError
    with pytest.raises(RuntimeError), files.whole(tmp_path / "t") as beside:
        beside.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t", "old")
    with pytest.raises(RuntimeError), files.whole(tmp_path / "t") as beside:
        beside.write_text("new")
        raise RuntimeError
    assert (tmp_path / "t").read_text() == "old"


def test_damage_is_found(stages: Stages) -> None:
    path = stages.folder / "a.zarr.zip"
    stages.activate(conv_net(), "uniform", path, BALL, COMPUTE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EpsballError, match=r"a.zarr.zip: not a whole store .* remove it and run again"):
        epsball.open_store(path)
    with zipfile.ZipFile(stages.folder / "b.zip", "w"):
        pass
    with pytest.raises(EpsballError, match="not a whole store"):
        epsball.open_store(stages.folder / "b.zip")
    with pytest.raises(EpsballError, match="no such store"):
        epsball.open_store(stages.folder / "c.zarr.zip")
