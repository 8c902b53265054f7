"""Set up a process for forward passes: threads, determinism, full float32 precision, memory allocator, and its GPU."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from epsball.errors import EpsballError

_TURNED_OFF = (
    (torch.backends.cudnn, "benchmark"),
    (torch.backends.cudnn, "allow_tf32"),
    (torch.backends.cuda.matmul, "allow_tf32"),
    # Writes every new activation once and changes nothing.
    (torch.utils.deterministic, "fill_uninitialized_memory"),
)

_SECONDS_BETWEEN_TRIES = 0.5
_held: list[FileLock] = []
_log = logging.getLogger(__name__)

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
    for module, name in _TURNED_OFF:
        setattr(module, name, False)
    # By default, every pass maps, faults in and unmaps each large activation.
    _set_allocator(0, 2**31 - 1)


@contextlib.contextmanager
def configured(threads: int) -> Iterator[None]:
    """Set up a process as `set_up` does while the block lasts, for one that has other work too."""
    before = [(module, name, getattr(module, name)) for module, name in _TURNED_OFF]
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


@functools.cache
def own_gpu() -> int:
    """Return the number of this process's GPU; the first call waits until one is free and locks it."""
    return take(present())


def own_folder(places: Sequence[Path]) -> Path:
    """Return the folder of this user's locks in the first of these places where it is no other user's.

    Raises:
        EpsballError: it is another's in all of them.
    """
    for place in places:
        folder = place / f".epsball-gpus-{os.getuid()}"
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()  # not of what a link of another's leads to
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
                return folder
    raise EpsballError(f"'{folder}' cannot be this user's folder of locks; set TMPDIR to a folder that can be written")


def present() -> list[str]:
    """Return the UUIDs of the visible GPUs; their numbers alone differ between the jobs of a scheduler."""
    return [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]


def take(gpus: Sequence[str], folder: Path | None = None) -> int:
    """Wait for one of the GPUs with these UUIDs, lock it for the life of this process, and return its index.

    Processes of other users do not see these locks, files in a folder for each user, and may use the same GPU.
    """
    folder = folder or own_folder([Path(tempfile.gettempdir()), Path.home()])
    waiting = False
    while True:
        for number, gpu in enumerate(gpus):
            lock = FileLock(folder / gpu, thread_local=False)
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                _held.append(lock)
                return number
        if not waiting:
            _log.info("waiting for one of %d GPUs", len(gpus))
        waiting = True
        time.sleep(_SECONDS_BETWEEN_TRIES)
