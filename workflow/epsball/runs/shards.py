"""The stores of all shards as one lazy dataset.

Without dask, xarray itself would join them in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join datasets of different samples along `sample`.

    Args:
        parts: datasets with the same variables, radii and draws; lazy data variables stay lazy.

    Returns:
        The samples of all parts, one after the other, with the attributes on which the parts agree.
    """
    bare = [part.drop_vars(list(part.data_vars)) for part in parts]
    whole: xr.Dataset = xr.concat(bare, "sample", coords="minimal", combine_attrs="drop_conflicts")
    for name, variable in parts[0].data_vars.items():
        array = _Joined([part.variables[name] for part in parts])
        whole[name] = xr.Variable(variable.dims, indexing.LazilyIndexedArray(array), variable.attrs)
    return whole


class _Joined(BackendArray):
    """Several arrays, one after the other along their first axis."""

    def __init__(self, parts: Sequence[xr.Variable]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        found: NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )
        return found

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        first, *others = key
        wanted = np.arange(self.shape[0])[first]
        if wanted.ndim == 0:
            return self._at(int(wanted), others)
        if not len(wanted):
            return self._parts[0][(slice(0), *others)].values
        return np.stack([self._at(number, others) for number in wanted])  # a sample's chunks are its own

    def _at(self, number: int, others: Sequence[Any]) -> NDArray[Any]:
        part = int(np.searchsorted(self._ends, number, side="right"))
        start = self._ends[part] - len(self._parts[part])
        return self._parts[part][(number - start, *others)].values
