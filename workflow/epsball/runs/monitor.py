"""A run while it is going: what each stage has done, how fast, and the time left, on the terminal and in a log."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TextIO

import numpy as np

from epsball.runs import progress

_SECONDS_BETWEEN_LINES = 15.0
_ENOUGH_JOBS = 3  # finished jobs before the time left is estimated

# Snakemake's records about single jobs, which the progress lines summarise.
_SUMMARISED = {"job_started", "job_finished", "progress"}
_CHATTER = ("Select jobs to execute", "Updating checkpoint dependencies", "DAG of jobs will be updated")


@dataclass(frozen=True)
class RunningJob:
    """A job at work, or one that failed; `start` is in seconds on the monotonic clock."""

    stage: str
    wildcards: Mapping[str, str]
    log: Path | None
    start: float

    def standing(self) -> progress.Standing | None:
        """Return where the job stands by its own log; what an earlier job of that name wrote does not count."""
        with contextlib.suppress(OSError):
            if self.log is not None and time.time() - self.log.stat().st_mtime <= time.monotonic() - self.start:
                return progress.read_standing(self.log)
        return None


_AtWork = tuple[RunningJob, progress.Standing | None]


class Monitor(logging.Handler):
    """Handler that follows Snakemake's log records, prints a line now and then, and remembers the failed jobs.

    The plan returns the number of jobs of each stage, finished and to come, in the order of the stages, and whether
    there may be more; it is called in the scheduler's thread. Lines are appended to the file `path`, and go to the
    terminal if there is one.
    """

    def __init__(self, plan: Callable[[], tuple[Mapping[str, int], bool]], path: Path, terminal: TextIO | None) -> None:
        super().__init__()
        self._plan, self._path, self._terminal = plan, path, terminal
        self._totals, self._open = plan()
        self._running: dict[int, RunningJob] = {}
        self._finished: defaultdict[str, list[float]] = defaultdict(list)  # seconds of each job
        self._failed: dict[int, RunningJob] = {}
        self.interrupted, self._before = False, signal.getsignal(signal.SIGINT)
        self._news: list[str] = []  # stages completed since the last line
        self._said = ""
        self._start = time.monotonic()
        self._ended = threading.Event()
        self._turn = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._tick, daemon=True).start()

    def listen(self, logger: logging.Logger) -> None:
        """Listen to a logger, and hide from the terminal the records that the progress lines summarise."""
        for handler in logger.handlers:
            terminal = isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
            if terminal and logger.level > logging.DEBUG:
                handler.addFilter(_is_not_summarised)
        logger.addHandler(self)
        # After Ctrl-C, jobs that had no time to tidy up look as if they had failed.
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._before = signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True
        if callable(self._before):
            self._before(number, frame)

    def emit(self, record: logging.LogRecord) -> None:
        """Take account of one of Snakemake's records."""
        known = record.__dict__
        with self._turn:
            match known.get("event"):
                case "job_started":
                    self._totals, self._open = self._plan()
                case "job_info":
                    self._failed.pop(known["jobid"], None)  # Snakemake tries it again
                    log = Path(known["log"][0]) if known["log"] else None
                    begun = RunningJob(known["rule_name"], dict(known["wildcards"]), log, time.monotonic())
                    self._running[known["jobid"]] = begun
                case "job_finished" if known["job_id"] in self._running:
                    job = self._running.pop(known["job_id"])
                    if job.stage in self._totals:
                        self._finished[job.stage].append(time.monotonic() - job.start)
                        if self._done(job.stage) == self._totals[job.stage]:
                            self._news.append(job.stage)
                            self._say()
                case "job_error" if known["jobid"] in self._running:
                    self._failed[known["jobid"]] = self._running.pop(known["jobid"])

    def end(self) -> list[RunningJob]:
        """Print the last line and return the failed jobs (none after Ctrl-C)."""
        with self._turn:
            if not self._ended.is_set():
                self._ended.set()
                self._totals, self._open = self._plan()
                self._say()
        return [] if self.interrupted else list(self._failed.values())

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def close(self) -> None:
        """Stop printing lines."""
        self._ended.set()
        super().close()

    def _tick(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LINES):
            with self._turn:
                self._say()

    def _say(self) -> None:
        running = [(job, job.standing()) for job in self._running.values()]
        line = self._line(running)
        if line == self._said:
            return
        self._said, self._news = line, []
        if (left := self._left(running)) is not None:
            line += f", about {clock(left)} left"
        now = datetime.now()
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            print(f"{now:%Y-%m-%d %H:%M:%S}  {line}", file=file)
        if self._terminal is not None:
            print(f"{now:%H:%M:%S}  {line}", file=self._terminal, flush=True)

    def _line(self, running: Sequence[_AtWork]) -> str:
        stages = []
        for stage, total in self._totals.items():
            standings = [standing for job, standing in running if job.stage == stage]
            if standings or stage in self._news:
                stages.append(f"{stage} {self._done(stage)}/{total}{_inside(standings)}")
        done, total = sum(map(self._done, self._totals)), sum(self._totals.values())
        more = " so far, more to come" if self._open else ""
        return "; ".join(filter(None, [", ".join(stages), f"{done} of {total} jobs{more}"]))

    def _done(self, stage: str) -> int:
        return len(self._finished[stage])

    def _left(self, running: Sequence[_AtWork]) -> float | None:
        """Estimate the seconds left; None while there is no basis for it.

        Assume that the jobs of each stage take as long as its finished ones did on average, and that as many run side
        by side as so far. For a stage with no finished job, assume the lower quartile of the other stages' paces:
        passes come first and take longest, and most later jobs take little more than their start. For a running job,
        use its own log.
        """
        durations = [seconds for stage in self._finished.values() for seconds in stage]
        waiting = sum(self._totals.values()) - len(durations)
        if self._open or len(durations) < _ENOUGH_JOBS or not waiting or self._ended.is_set():
            return None
        now, work, busy = time.monotonic(), 0.0, sum(durations)
        paces = {stage: statistics.mean(seconds) for stage, seconds in self._finished.items() if seconds}
        unknown = float(np.quantile(list(paces.values()), 0.25))
        for stage, total in self._totals.items():
            pace = paces.get(stage, unknown)
            at_work = [(now - job.start, standing) for job, standing in running if job.stage == stage]
            work += (total - self._done(stage) - len(at_work)) * pace
            for elapsed, at in at_work:
                busy += elapsed
                work += max(0.0, elapsed * (at.total - at.done) / at.done if at and at.done else pace - elapsed)
        side_by_side = min(max(1.0, busy / (now - self._start)), waiting)
        return work / side_by_side


def _inside(standings: Sequence[progress.Standing | None]) -> str:
    """Describe where the jobs of a stage stand together, by unit."""
    units: defaultdict[str, list[progress.Standing]] = defaultdict(list)
    for standing in filter(None, standings):
        units[standing.unit].append(standing)
    parts = [
        f"{sum(s.done for s in found)} of {sum(s.total for s in found)} {unit}, {sum(s.rate for s in found)}/s"
        for unit, found in units.items()
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _is_not_summarised(record: logging.LogRecord) -> bool:
    return getattr(record, "event", None) not in _SUMMARISED and not str(record.msg).startswith(_CHATTER)


def in_ci() -> bool:
    """Return whether this is a job of continuous integration, which nobody watches: CI is set to a true value."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def clock(seconds: float) -> str:
    """Format a duration as 0:05, 12:40 or 3:07:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
