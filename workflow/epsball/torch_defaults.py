"""The precision and device of new tensors, which a process has one of each of, and users' code may set.

Free of PyTorch: where it is not imported, there is nothing to put back.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

_USUAL = ("float32", "cpu")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Put them back at the end of the block."""
    before = _current() or _USUAL
    try:
        yield
    finally:
        _set(before)


@contextlib.contextmanager
def usual() -> Iterator[None]:
    """Have new tensors in float32 and on the CPU while the block lasts."""
    with kept():
        _set(_USUAL)
        yield


def _current() -> tuple[str, str] | None:
    if (torch := sys.modules.get("torch")) is None:
        return None
    return str(torch.get_default_dtype()).removeprefix("torch."), str(torch.get_default_device())


def _set(wanted: tuple[str, str]) -> None:
    if _current() in (None, wanted):  # a default device that is set, even the CPU, slows every call down
        return
    torch, (dtype, device) = sys.modules["torch"], wanted
    torch.set_default_dtype(getattr(torch, dtype))
    torch.set_default_device(None if device == "cpu" else device)
