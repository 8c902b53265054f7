"""Stores: one-file Zarr 3 archives, checksummed by their zip."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import xarray as xr
import zarr
import zarr.codecs
import zarr.errors
import zarr.storage

from epsball import files
from epsball.errors import EpsballError


class StoreWriter:
    """Writes a store sample by sample: a folder beside, zipped once without compression, renamed.

    Use as a context manager; what is left behind when the block fails is removed.

    Args:
        path: of the finished .zarr.zip.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = files.beside(path.with_suffix(".folder"))
        self._samples = 0

    def __enter__(self) -> StoreWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def append(self, sample: xr.Dataset) -> None:
        """Add samples along the dimension `sample`; attributes must be the same for all."""
        if self._samples:
            # Appending writes the attributes of the group again: they must be there each time.
            rest = sample.drop_vars([name for name in sample.variables if "sample" not in sample[name].dims])
            rest.to_zarr(self._folder, append_dim="sample", consolidated=False)
        else:
            sample.to_zarr(self._folder, mode="w", zarr_format=3, consolidated=False, encoding=_encoding(sample))
        self._samples += sample.sizes["sample"]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                with warnings.catch_warnings():
                    # "Not part of the specification yet": readers that do not know it pass over it.
                    warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
                    zarr.consolidate_metadata(str(self._folder), zarr_format=3)
                with files.whole(self._path) as beside, zipfile.ZipFile(beside, "w") as archive:
                    for file in sorted(self._folder.rglob("*")):
                        if file.is_file():
                            archive.write(file, file.relative_to(self._folder))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """One chunk a sample and radius; Blosc zstd with bit shuffle."""
    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.data_vars.items():
        sizes = {"sample": 1, "radius": 1} if variable.nbytes > 2**20 else {"sample": 1}
        chunks = tuple(sizes.get(str(dim), size) for dim, size in variable.sizes.items())
        encoding[str(name)] = {"compressors": [codec], "chunks": chunks}
    return encoding


def open_store(path: str | Path, verify: bool = False) -> xr.Dataset:
    """Open a .zarr.zip store of a run, lazily.

    Args:
        path: of the store.
        verify: whether to read all of it first and compare the checksums, at the speed of the disk.

    Returns:
        Its variables with named dimensions, coordinates and attributes.

    Raises:
        EpsballError: there is no such store, or it is not whole.
    """
    path = Path(path)
    if not path.is_file():
        raise EpsballError(f"{path}: no such store")
    try:
        if verify:
            _verify(path)
        opened: xr.Dataset = xr.open_zarr(zarr.storage.ZipStore(path, mode="r"))
        return opened
    except (zipfile.BadZipFile, OSError, ValueError, KeyError) as error:
        raise EpsballError(f"{path}: not a whole store ({error}); remove it and run again to make it anew") from None


def _verify(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
