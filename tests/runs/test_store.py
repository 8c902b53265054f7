"""Stores: what anybody can open, whole or not at all, damage found."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import epsball
import numpy as np
import pytest
import xarray as xr
import zarr.storage
from epsball.errors import EpsballError
from epsball.runs import files, store
from epsball.runs.job import job
from support.toys import BALL, COMPUTE, Stages, conv_net
from support.written_run import MINIMAL


@pytest.mark.slow
def test_xarray_opens_a_store_with_names_and_units(stages: Stages) -> None:
    path = stages.folder / "a.zarr.zip"
    stages.extract(conv_net(), "uniform", path, BALL, COMPUTE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xr.open_zarr(zarr.storage.ZipStore(path, mode="r"))
    xr.testing.assert_identical(opened.load(), epsball.open_store(path).load())
    assert dict(opened.sizes) == {"sample": 4, "radius": 4, "draw": 12, "unit": 7, "class": 3, "float64_radius": 3}
    assert opened["float64_logits"].dtype == opened["float64_features"].dtype == np.float64
    assert opened["float64_radius"].values.tolist() == [0, 0.1, 3]
    assert opened["radius"].attrs["units"]
    assert opened["features"].dims == ("sample", "radius", "draw", "unit")
    assert opened["features"].dtype == np.float32
    assert opened["logit"].dtype == np.float64
    assert opened["seed"].values.tolist() == [11, 2**63 + 5, 13, 14]
    assert opened.attrs["family"] == "uniform"
    assert zarr.open_group(zarr.storage.ZipStore(path, mode="r"), mode="r").metadata.zarr_format == 3


@pytest.mark.slow
def test_permuted_stores_have_no_features(stages: Stages) -> None:
    held = stages.extract(conv_net(), "permuted", stages.folder / "a.zarr.zip", BALL, COMPUTE)
    assert "features" not in held
    assert "unit" not in held.sizes


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path) -> None:
    sample = xr.Dataset({"a": ("sample", [1.0])})
    with pytest.raises(RuntimeError), store.StoreWriter(tmp_path / "s.zarr.zip", 1) as writer:
        writer.append(sample)
        raise RuntimeError
    with pytest.raises(RuntimeError), files.atomic_write(tmp_path / "t") as beside:
        beside.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("further", "behind"), [(0, 0), (0, 3), (10, 3)])
def test_a_write_that_fails_ends_the_block_and_leaves_nothing(tmp_path: Path, further: int, behind: int) -> None:
    sample = xr.Dataset({"a": ("sample", [1.0])})
    path = tmp_path / "s.zarr.zip"
    with pytest.raises(KeyError, match="sample"), store.StoreWriter(path, 1, behind=behind) as writer:
        for dataset in (sample, sample.drop_dims("sample"), *[sample] * further):
            writer.append(dataset)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "t", "old")
    with pytest.raises(RuntimeError), files.atomic_write(tmp_path / "t") as beside:
        beside.write_text("new")
        raise RuntimeError
    assert (tmp_path / "t").read_text() == "old"


@pytest.mark.slow
@pytest.mark.fault("a store that is cut or spoilt", "named, with what to do")
def test_damage_is_found(stages: Stages) -> None:
    path = stages.folder / "a.zarr.zip"
    stages.extract(conv_net(), "uniform", path, BALL, COMPUTE)
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


@pytest.mark.slow
@pytest.mark.fault("a bit of a store", "named before anything is measured")
def test_a_flipped_bit_is_found_before_measuring(stages: Stages) -> None:
    path = stages.folder / "a.zarr.zip"
    stages.extract(conv_net(), "uniform", path, BALL, COMPUTE)
    with zipfile.ZipFile(path) as archive:
        chunk = max(archive.infolist(), key=lambda member: member.file_size)
    content = bytearray(path.read_bytes())
    content[chunk.header_offset + chunk.compress_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(EpsballError, match=rf"a.zarr.zip: .*the checksum of {chunk.filename} is wrong"):
        epsball.open_store(path, verify=True)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield place
    for _ in range(50):  # Zarr writes chunks at once: another may still be at its end when one has failed
        if not subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode:
            return
        time.sleep(0.1)
    pytest.fail(f"{place} is still busy")


@pytest.mark.fault("a disk that is full while a store is written", "a sentence, and nothing half written")
def test_a_full_disk_is_one_sentence_and_nothing_half_written(stages: Stages, full_disk: Path) -> None:
    path = full_disk / "a.zarr.zip"
    given = SimpleNamespace(log=[stages.folder / "log"], config=MINIMAL, input=[], params={})
    with pytest.raises(SystemExit) as end, job(given):
        stages.extract(conv_net(), "uniform", path, BALL, COMPUTE)
    assert end.value.code == 1
    said = (stages.folder / "log").read_text()
    assert "No space left on device" in said
    assert "make room and run the same command again" in said
    assert "Traceback" not in said
    assert not [left for left in full_disk.rglob("*") if "zarr" in left.name]


@pytest.mark.slow
@pytest.mark.fault("a write that fails beside others", "nothing is left of any")
def test_what_is_still_written_when_a_write_fails_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = zarr.storage.LocalStore._set

    async def first_fails(self: zarr.storage.LocalStore, key: str, *arguments: Any, **options: Any) -> None:
        if key == "x/c.0":
            raise OSError(errno.ENOSPC, "No space left on device")
        if key.startswith("x/c."):
            await asyncio.sleep(0.3)
        await put(self, key, *arguments, **options)

    monkeypatch.setattr(zarr.storage.LocalStore, "_set", first_fails)
    with pytest.raises(OSError, match="No space left"), store.StoreWriter(tmp_path / "a.zarr.zip", 1) as writer:
        writer.append(xr.Dataset({"x": ("sample", np.arange(4.0))}))
    time.sleep(0.5)
    assert not list(tmp_path.iterdir())
