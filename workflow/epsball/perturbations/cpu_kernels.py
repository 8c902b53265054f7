"""Loops over random bits, compiled for the CPU: a few passes over memory instead of the many of tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

# Constants of Philox-4x32-10.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Compile a function for one signature, and cache it if Numba finds a writable folder; sums stay in their order.

    What cannot be read of the cache, such as a file that a full disk has cut, is removed and made anew.
    """

    def compile_function(function: _Function) -> _Function:
        for cache in (True, True, False):
            try:
                made: _Function = numba.njit(signature, cache=cache, nogil=True)(function)
                return made
            except RuntimeError:  # no writable folder
                pass
            except Exception:
                if not cache:
                    raise
                for kept in Path(__file__).parent.glob(f"__pycache__/*.{function.__name__}-*.nb[ci]"):
                    kept.unlink(missing_ok=True)
        raise AssertionError

    return compile_function


@compiled("void(int32[:, ::1], int64, uint32, uint32, uint32, uint32)")
def random_bits(out: NDArray[np.int32], first_draw: int, radius_bits: int, stream: int, key0: int, key1: int) -> None:
    """Fill rows with the words of `philox.random_bits`: one row for each draw, a multiple of four elements."""
    sign, half = np.uint32(2**31), np.uint64(32)
    m0, m1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
    w0, w1 = np.uint32(WEYL[0]), np.uint32(WEYL[1])
    for row in range(out.shape[0]):
        place = out[row]
        for block in range(place.shape[0] // 4):
            c0, c1, c2, c3 = np.uint32(block), np.uint32(first_draw + row), np.uint32(radius_bits), np.uint32(stream)
            k0, k1 = np.uint32(key0), np.uint32(key1)
            for _ in range(ROUNDS):
                p0, p1 = np.uint64(c0) * m0, np.uint64(c2) * m1
                c0, c1 = np.uint32(p1 >> half) ^ c1 ^ k0, np.uint32(p1)
                c2, c3 = np.uint32(p0 >> half) ^ c3 ^ k1, np.uint32(p0)
                k0, k1 = np.uint32(k0 + w0), np.uint32(k1 + w1)
            place[4 * block], place[4 * block + 1] = np.int32(c0 ^ sign), np.int32(c1 ^ sign)
            place[4 * block + 2], place[4 * block + 3] = np.int32(c2 ^ sign), np.int32(c3 ^ sign)


@compiled("void(int32[:, ::1], int64[:, ::1])")
def argsort_keys(keys: NDArray[np.int32], order: NDArray[np.int64]) -> None:
    """Fill each row with the indices that sort a row of random keys, equal keys by index.

    A radix sort by the upper 22 bits in two stable passes, the lower half first; insertion then orders the few keys
    that still are not. NumPy's vectorised sort is as fast on some processors with AVX-512, and many times slower on
    others.
    """
    sign, half = np.uint32(2**31), np.uint64(32)
    count, mask = keys.shape[1], np.uint32(2**11 - 1)
    first, second = np.empty(count, np.uint64), np.empty(count, np.uint64)
    upper, lower = np.empty(2**11, np.int32), np.empty(2**11, np.int32)  # next place of each value
    for row in range(keys.shape[0]):
        upper[:] = 0
        lower[:] = 0
        for element in range(count):
            key = np.uint32(keys[row, element]) ^ sign
            first[element] = np.uint64(key) << half | np.uint64(element)
            upper[key >> np.uint32(21)] += 1
            lower[(key >> np.uint32(10)) & mask] += 1
        above, below = np.int32(0), np.int32(0)
        for value in range(2**11):
            above, upper[value] = above + upper[value], above
            below, lower[value] = below + lower[value], below
        for element in range(count):
            place = (np.uint32(first[element] >> half) >> np.uint32(10)) & mask
            second[lower[place]] = first[element]
            lower[place] += 1
        for element in range(count):
            place = np.uint32(second[element] >> half) >> np.uint32(21)
            first[upper[place]] = second[element]
            upper[place] += 1
        for element in range(1, count):
            value, before = first[element], element
            while before > 0 and first[before - 1] > value:
                first[before] = first[before - 1]
                before -= 1
            first[before] = value
        for element in range(count):
            order[row, element] = np.int64(first[element] & np.uint64(0xFFFFFFFF))


@compiled("void(int64[:, ::1], int64[::1], int64[::1], int64[::1], int64[:, ::1])")
def scatter_to_groups(
    order: NDArray[np.int64],
    groups: NDArray[np.int64],
    slots: NDArray[np.int64],
    starts: NDArray[np.int64],
    permutations: NDArray[np.int64],
) -> None:
    """Put the elements of each row of `order` (draw, element), in that order, into the slots of their groups.

    Slots (element,) are the elements sorted by group, starts (group,) where each begins. Fills permutations.
    """
    for row in range(order.shape[0]):
        following = starts.copy()
        for element in order[row]:
            group = groups[element]
            permutations[row, slots[following[group]]] = element
            following[group] += 1


@compiled("void(int32[:, ::1], int64[:, ::1])")
def squares(integers: NDArray[np.int32], sums: NDArray[np.int64]) -> None:
    """Sum the squares of each row, their parts above and below 24 bits apart, as `ball.squares` does."""
    for row in range(integers.shape[0]):
        high, low = np.int64(0), np.int64(0)
        for element in range(integers.shape[1]):
            wide = np.int64(integers[row, element])
            high += (wide * wide) >> 24
            low += (wide * wide) & 0xFFFFFF
        sums[row, 0], sums[row, 1] = high, low
