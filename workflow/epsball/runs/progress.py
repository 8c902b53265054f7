"""What is done, how fast, and what is left, a line now and then: readable in a terminal and in a log file."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich import progress

_SECONDS_BETWEEN_LINES = 5.0
_LINE = re.compile(r": (\d+) of (\d+) (\S+), (\d+)/s, ")
_TAIL_BYTES = 2000

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


@dataclass(frozen=True)
class Standing:
    """Where a task stands: units done, of how many, their name, and how many a second."""

    done: int
    total: int
    unit: str
    rate: int


def read_standing(log: Path) -> Standing | None:
    """Where the task of a log file stands, by the last line about it; None where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            found = _LINE.findall(file.read().decode("utf-8", "replace"))
    except OSError:
        return None
    if not found:
        return None
    done, total, unit, rate = found[-1]
    return Standing(int(done), int(total), unit, int(rate))
