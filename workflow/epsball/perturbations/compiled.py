"""Loops that Numba compiles for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compile a function for one signature, kept in Numba's cache where there is a place for one.

    Sums are in the order of the source, whatever the processor.
    """

    def compile_(function: _Function) -> _Function:
        for cache in (True, False):
            try:
                made: _Function = numba.njit(signature, cache=cache, nogil=True)(function)
                return made
            except RuntimeError:  # no folder that can be written
                continue
        raise AssertionError

    return compile_
