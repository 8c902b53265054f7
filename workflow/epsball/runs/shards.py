"""The stores of all shards as one lazy dataset: without dask, xarray itself would join them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing


def joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join datasets of different samples, but of the same variables, radii and draws, along `sample`.

    Lazy data variables stay lazy. The whole has the attributes on which the parts agree.
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
        outer = indexing.IndexingSupport.OUTER
        found: NDArray[Any] = indexing.explicit_indexing_adapter(key, self.shape, outer, self._read)
        return found

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        first, *others = key
        wanted = np.arange(self.shape[0])[first]
        rows = [self._parts[0][(slice(0), *others)].values]
        for number in wanted.flat:  # a sample's chunks are its own
            part = int(np.searchsorted(self._ends, number, side="right"))
            place = number - (self._ends[part] - len(self._parts[part]))
            rows.append(self._parts[part][(slice(place, place + 1), *others)].values)
        return np.concatenate(rows) if wanted.ndim else rows[1][0]
