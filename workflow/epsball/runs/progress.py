"""Progress as lines in a log, readable by people and by the monitor of the run: what is done, how fast, time left."""

from __future__ import annotations

import logging
import math
import re
import time
from pathlib import Path
from typing import NamedTuple, Self

_SECONDS_BETWEEN_LINES = 5.0
_LINE = re.compile(r": (\d+) of (\d+) (\S+), (\d+)/s, ")
_TAIL_BYTES = 2000

_log = logging.getLogger(__name__)


class Progress:
    """Progress of one long task, of `total` units of work; `unit` is their name, plural."""

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name, self._unit = name, unit
        self._done, self._total = 0, total
        self._said = self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._say("done")

    def advance(self, units: int) -> None:
        """Count finished units, and log a line every few seconds."""
        self._done += units
        if time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            passed = time.monotonic() - self._start
            minutes, seconds = divmod(math.ceil(passed * (self._total - self._done) / max(self._done, 1)), 60)
            self._say(f"{minutes}:{seconds:02} left")

    def _say(self, ending: str) -> None:
        self._said = time.monotonic()
        rate = self._done / max(self._said - self._start, 1e-9)
        _log.info("%s: %d of %d %s, %.0f/s, %s", self._name, self._done, self._total, self._unit, rate, ending)


class Standing(NamedTuple):
    """Where a task stands: units done, units in total, their name, and units per second."""

    done: int
    total: int
    unit: str
    rate: int


def read_standing(log: Path) -> Standing | None:
    """Return where the task of a log file stands, by the last line about it; None if there is none."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        found = _LINE.findall(file.read().decode("utf-8", "replace"))
    if not found:
        return None
    done, total, unit, rate = found[-1]
    return Standing(int(done), int(total), unit, int(rate))
