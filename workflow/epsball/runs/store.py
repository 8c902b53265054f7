"""Stores: Zarr 3 archives in one zip file, which has their checksums."""

from __future__ import annotations

import asyncio
import logging
import shutil
import warnings
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
import zarr.codecs
import zarr.core.chunk_key_encodings
import zarr.core.sync
import zarr.errors
import zarr.storage
from numpy.typing import NDArray

from epsball.errors import EpsballError
from epsball.runs import files, provenance

_log = logging.getLogger(__name__)

_CODEC = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")

# One folder an array instead of one an axis: removing a folder can take milliseconds.
_FLAT: zarr.core.chunk_key_encodings.ChunkKeyEncodingParams = {"name": "default", "separator": "."}


class StoreWriter:
    """Write a store sample by sample into a temporary folder, then zip it uncompressed and rename it into place.

    Use as a context manager; if the block fails, the temporary folder is removed. As many writes as `behind` says may
    queue for a background thread, which does them in order; its errors are raised by a later call or at the end of the
    block. 0: write at once, without a thread, which takes memory.
    """

    def __init__(self, path: Path, radii: int, behind: int = 0) -> None:
        self._path, self._radii, self._behind = path, radii, behind
        self._folder = files.temporary_path(path.with_suffix(".folder"))
        self._samples = 0
        self._large: dict[str, zarr.Array[Any]] = {}  # kept open: opening one takes longer than writing a radius
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> StoreWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def put(self, name: str, radius: int, values: xr.DataArray) -> None:
        """Write a variable that is too large to be held for all radii, at one radius of the sample appended next.

        Its dimensions are sample, radius and those of the values, which are not to be changed afterwards.
        """
        self._later(self._put, name, radius, values)

    def append(self, sample: xr.Dataset) -> None:
        """Append a sample along the dimension `sample`; not to be changed afterwards. All need the same attributes."""
        self._later(self._append, sample)

    def _later(self, write: Callable[..., None], *arguments: Any) -> None:
        if self._behind:
            self._waiting.append(self._thread.submit(write, *arguments))
            self._wait(self._behind)
        else:
            write(*arguments)

    def _wait(self, most: int) -> None:
        """Wait until at most this number of writes are in the queue."""
        while len(self._waiting) > most:
            self._waiting.popleft().result()

    def _put(self, name: str, radius: int, values: xr.DataArray) -> None:
        shape = (self._samples + 1, self._radii, *values.shape)
        if name not in self._large:
            self._large[name] = zarr.open_group(self._folder, mode="a", zarr_format=3).create_array(
                name,
                shape=shape,
                chunks=(1, 1, *values.shape),
                dtype=values.dtype,
                compressors=[_CODEC],
                chunk_key_encoding=_FLAT,
                dimension_names=["sample", "radius", *map(str, values.dims)],
                attributes=values.attrs,
            )
        array = self._large[name]
        if array.shape[0] <= self._samples:
            array.resize(shape)
        array[self._samples, radius] = values.values

    def _append(self, sample: xr.Dataset) -> None:
        if self._samples:
            # Appending writes the attributes of the group again, so each sample needs them.
            rest = sample.drop_vars([name for name in sample.variables if "sample" not in sample[name].dims])
            rest.to_zarr(self._folder, append_dim="sample", consolidated=False)
        else:
            encoding: dict[Any, Any] = {name: {"chunk_key_encoding": _FLAT} for name in sample.variables}
            for name, variable in sample.data_vars.items():
                encoding[name] |= {"compressors": [_CODEC], "chunks": (1, *variable.shape[1:])}
            sample.to_zarr(self._folder, mode="a", zarr_format=3, consolidated=False, encoding=encoding)
        self._samples += sample.sizes["sample"]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._wait(0)
                with warnings.catch_warnings():
                    # Consolidated metadata is not part of the specification yet; readers that do not know it ignore it.
                    warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
                    zarr.consolidate_metadata(str(self._folder), zarr_format=3)
                with files.atomic_write(self._path) as beside, zipfile.ZipFile(beside, "w") as archive:
                    for file in sorted(self._folder.rglob("*")):
                        if file.is_file():
                            archive.write(file, file.relative_to(self._folder))
        finally:
            self._thread.shutdown(cancel_futures=True)
            if error is not None:
                zarr.core.sync.sync(_wait_for_zarr())
            shutil.rmtree(self._folder, ignore_errors=True)


async def _wait_for_zarr() -> None:
    """Wait for what Zarr still writes: where one write fails, those beside it go on, into a folder being removed."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)


def open_store(path: str | Path, verify: bool = False) -> xr.Dataset:
    """Open a .zarr.zip store of a run, lazily.

    To `verify` it, the whole file is read first, at the speed of the disk, and its checksums compared.

    Raises:
        EpsballError: there is no such store, or it is not whole.
    """
    path = Path(path)
    if not path.is_file():
        raise EpsballError(f"{path}: no such store")
    try:
        if verify:
            with zipfile.ZipFile(path) as archive:
                if (damaged := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        opened: xr.Dataset = xr.open_zarr(zarr.storage.ZipStore(path, mode="r"))
        return opened
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise EpsballError(f"{path}: not a whole store ({error}); remove it and run again to make it anew") from None


def open_part(path: Path, samples: pd.DataFrame, radii: Sequence[float], draws: int, verify: bool = True) -> xr.Dataset:
    """Open part of a store, lazily: these samples and radii, in this order, and the first draws.

    Raises:
        EpsballError: the store lacks a requested item, or is not whole.
    """
    held = open_store(path, verify=verify)
    if lack := _lack(held, samples, radii, draws):
        raise EpsballError(f"{path}: lacks {lack}; remove it and run again to make it anew")
    places = {"sample": _places(held, "seed", samples["seed"].tolist()), "radius": _places(held, "radius", radii)}
    counts = {"draw": draws, "pair": draws * (draws - 1) // 2}
    return held.isel(places).isel({axis: slice(count) for axis, count in counts.items() if axis in held.sizes})


class PreviousStore:
    """What a job may reuse from the previous store at the same path, which has its second name by now.

    If the attributes of the new store that decide its numbers differ from the previous store's, or that is not whole,
    nothing is reused, and the log says so; nor is anything of a sample that has another label now. `attributes` are
    those of the previous store; empty if nothing is reused.
    """

    def __init__(self, path: Path, attributes: Mapping[str, str], samples: pd.DataFrame) -> None:
        self._path = path
        self._held = xr.Dataset(coords={"seed": ("sample", []), "radius": []})
        self.attributes: dict[str, str] = {}
        if not (earlier := files.previous(path)).is_file():
            return
        try:
            held = open_store(earlier, verify=True)
        except EpsballError as error:
            _log.warning("made anew: %s", error)
            return
        deciding = {name: value for name, value in attributes.items() if provenance.decides(name)}
        if unlike := [name for name, value in deciding.items() if held.attrs.get(name) != value]:
            _log.info("%s: made anew for another %s", path, ", ".join(unlike))
            return
        labels = dict(zip(samples["seed"], samples["label"], strict=True))
        pairs = enumerate(zip(held["seed"].values.tolist(), held["label"].values.tolist(), strict=True))
        held = held.isel(sample=[place for place, (seed, label) in pairs if labels.get(seed, label) == label])
        self._held, self.attributes = held, held.attrs

    def restore(
        self,
        samples: pd.DataFrame,
        radii: Sequence[float],
        draws: int,
        exactly: Mapping[str, Sequence[float]] = MappingProxyType({}),
    ) -> bool:
        """Give the previous store its first name again if it holds all requested items, and return whether it does.

        Images must have the names in it that they have now, and coordinates the values that they are to have `exactly`.
        """
        if _lack(self._held, samples, radii, draws) or not self._has(exactly):
            return False
        names = dict(zip(self._held["seed"].values.tolist(), self._held["image"].values.tolist(), strict=True))
        if samples["seed"].map(names).tolist() != samples["image"].tolist():
            return False
        _log.info("%s: the previous store holds everything", self._path)
        files.restore(self._path)
        return True

    def draws(self, seed: int, radius: float) -> int:
        """Return how many draws of one sample at one radius the previous store holds."""
        place = self._place(seed, radius)
        return 0 if -1 in place.values() else self._held.sizes["draw"]

    def cell(self, seed: int, radius: float) -> dict[str, NDArray[Any]]:
        """Return the arrays over the draws of one sample at one radius; empty if the previous store lacks them."""
        if not self.draws(seed, radius):
            return {}
        cell = self._held.isel(self._place(seed, radius))
        return {str(name): cell[name].values for name, held in self._held.data_vars.items() if "radius" in held.dims}

    def whole(self, seed: int, exactly: Mapping[str, Sequence[float]]) -> dict[str, NDArray[Any]]:
        """Return the arrays of one sample over coordinates; empty if their values in the store are not these."""
        place = _places(self._held, "seed", [seed])[0]
        if place < 0 or not self._has(exactly):
            return {}
        sample = self._held.isel(sample=place)
        return {str(name): held.values for name, held in sample.data_vars.items() if set(exactly) <= set(held.dims)}

    def _has(self, exactly: Mapping[str, Sequence[float]]) -> bool:
        return all(name in self._held and self._held[name].values.tolist() == [*v] for name, v in exactly.items())

    def _place(self, seed: int, radius: float) -> dict[str, int]:
        return {"sample": _places(self._held, "seed", [seed])[0], "radius": _places(self._held, "radius", [radius])[0]}


def _lack(held: xr.Dataset, samples: pd.DataFrame, radii: Sequence[float], draws: int) -> str | None:
    """Describe the first requested item that the store lacks; None if it has all."""
    for name, what, wanted in (("seed", "the sample of seed", samples["seed"].tolist()), ("radius", "radius", radii)):
        if missing := [value for value, at in zip(wanted, _places(held, name, wanted), strict=True) if at < 0]:
            return f"{what} {missing[0]}"
    return f"draws, of {draws} it has {held.sizes['draw']}" if held.sizes["draw"] < draws else None


def _places(held: xr.Dataset, name: str, wanted: Sequence[float]) -> list[int]:
    """Return the place of each value of a coordinate, -1 if it is not there."""
    values = pd.Index(np.asarray(wanted, held[name].dtype))
    places: list[int] = held[name].to_index().get_indexer(values).tolist()
    return places
