"""A free GPU for this process: an operating-system lock for each, which dies with its holder, however that ends."""

from __future__ import annotations

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import torch

_SECONDS_BETWEEN_TRIES = 0.5

_log = logging.getLogger(__name__)
_held: list[TextIO] = []


def present() -> list[str]:
    """The GPUs that this process may use, by UUID: what a scheduler numbers 0 is another one in each of its jobs."""
    return [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]


def take(gpus: Sequence[str], folder: Path | None = None) -> int:
    """Take a GPU for as long as this process lives; wait until one is free.

    Processes of other users are not known of: theirs and ours may meet on one.

    Args:
        gpus: their UUIDs, all different.
        folder: where the locks are; one for each user and machine by default.

    Returns:
        The place of the GPU in the list.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"epsball-gpus-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    waits = False
    while True:
        for place, gpu in enumerate(gpus):
            file = (folder / gpu).open("a", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            return place
        if not waits:
            _log.info("waiting for one of %d GPUs", len(gpus))
        waits = True
        time.sleep(_SECONDS_BETWEEN_TRIES)
