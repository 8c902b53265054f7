"""A GPU for this process alone: a file lock for each GPU, which the system frees however the process ends."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from filelock import FileLock, Timeout

_SECONDS_BETWEEN_TRIES = 0.5

_log = logging.getLogger(__name__)
_held: list[FileLock] = []


@functools.cache
def own_gpu() -> int:
    """Return the number of this process's GPU; the first call waits until one is free and locks it."""
    return take(present())


def present() -> list[str]:
    """Return the UUIDs of the visible GPUs; their numbers alone differ between the jobs of a scheduler."""
    return [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]


def take(gpus: Sequence[str], folder: Path | None = None) -> int:
    """Lock a GPU for the life of this process; wait until one is free.

    Processes of other users do not see these locks and may use the same GPU.

    Args:
        gpus: UUIDs of the GPUs, all different.
        folder: folder of the lock files; by default one for each user and machine.

    Returns:
        The index of the locked GPU in `gpus`.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"epsball-gpus-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    waiting = False
    while True:
        for number, gpu in enumerate(gpus):
            lock = FileLock(folder / gpu, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            _held.append(lock)
            return number
        if not waiting:
            _log.info("waiting for one of %d GPUs", len(gpus))
        waiting = True
        time.sleep(_SECONDS_BETWEEN_TRIES)
