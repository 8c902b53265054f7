"""Set up a process for forward passes: threads, determinism, full float32 precision and the memory allocator."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import torch

_SETTINGS = (
    (torch.backends.cudnn, "benchmark", False),
    (torch.backends.cudnn, "allow_tf32", False),
    (torch.backends.cuda.matmul, "allow_tf32", False),
    # Writes every new activation once and changes nothing.
    (torch.utils.deterministic, "fill_uninitialized_memory", False),
)

# Parameters of glibc's mallopt (malloc.h), and their defaults.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_DEFAULT_TRIM_THRESHOLD, _DEFAULT_MMAP_MAX = 128 * 1024, 65536


def set_up(threads: int) -> None:
    """Make passes of this process deterministic and in full float32 precision, on so many threads."""
    torch.set_num_threads(threads)
    # Unlike use_deterministic_algorithms(True), this does not import the compiler, which takes a second of every job.
    torch.set_deterministic_debug_mode("error")
    # PyTorch requires it for deterministic matrix products on CUDA.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for module, name, value in _SETTINGS:
        setattr(module, name, value)
    # By default, every pass maps, faults in and unmaps each large activation.
    _set_allocator(0, 2**31 - 1)


@contextlib.contextmanager
def configured(threads: int) -> Iterator[None]:
    """Set up a process as `set_up` does while the block lasts, for one that has other work too."""
    before = [(module, name, getattr(module, name)) for module, name, _ in _SETTINGS]
    threads_before, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    set_up(threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.set_deterministic_debug_mode(mode)
        for module, name, value in before:
            setattr(module, name, value)
        _set_allocator(_DEFAULT_MMAP_MAX, _DEFAULT_TRIM_THRESHOLD)


def _set_allocator(mmap_max: int, trim_threshold: int) -> None:
    """Set how many blocks glibc may map, and above how many free bytes it returns memory to the system."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_MMAP_MAX, mmap_max)
        libc.mallopt(_M_TRIM_THRESHOLD, trim_threshold)
