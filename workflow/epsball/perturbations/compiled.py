"""Loops that Numba compiles for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compile a function for one signature, and cache it if Numba finds a writable folder.

    Sums are in the order of the source, whatever the processor.
    """

    def compile_function(function: _Function) -> _Function:
        try:
            made: _Function = numba.njit(signature, cache=True, nogil=True)(function)
        except RuntimeError:  # no writable folder
            made = numba.njit(signature, nogil=True)(function)
        return made

    return compile_function
