"""What is done, how fast, and what is left, a line now and then: readable in a terminal and in a log file."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Self

from rich import progress

_SECONDS_BETWEEN_LINES = 5.0

_log = logging.getLogger(__name__)


class Progress:
    """Progress of one long task.

    Args:
        name: of the task.
        total: units of work.
        unit: their name, plural.
    """

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name, self._unit = name, unit
        self._tracker = progress.Progress(disable=True)
        self._task = self._tracker.add_task(name, total=total)
        self._said = self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._say("done")

    def advance(self, units: int) -> None:
        """Count finished units; say where it stands every few seconds."""
        self._tracker.advance(self._task, units)
        if time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            task = self._tracker.tasks[0]
            left = task.time_remaining
            self._say("" if left is None else f"{left // 60:.0f}:{left % 60:02.0f} left")

    def _say(self, ending: str) -> None:
        self._said = time.monotonic()
        task = self._tracker.tasks[0]
        rate = task.completed / max(self._said - self._start, 1e-9)
        _log.info("%s: %d of %d %s, %.0f/s, %s", self._name, task.completed, task.total, self._unit, rate, ending)
