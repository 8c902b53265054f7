"""Files of a run against their records: one that changed after it was made is named before anything uses it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from epsball.errors import EpsballError
from epsball.runs import files, provenance_records, run_folder

_SHOWN = 5  # files that are named
_LOOKS, _SECONDS_BETWEEN = 4, 1.0  # a network file system may show an earlier record for a while


def require_run(run: Path) -> None:
    """Check that the files of a run are what their records say. Those of unchanged size and time are not read.

    One of a job that was killed may lie before its new record is written; Snakemake makes it again.

    Raises:
        EpsballError: some are not.
    """
    if changed := [path for path in provenance_records.recorded(run) if _has_changed(path)]:
        raise EpsballError("\n".join(_sentence(path) for path in changed[:_SHOWN]) + _more(len(changed) - _SHOWN))


def settle_times(run: Path) -> None:
    """Give files of a run whose time is in the future, as after a clock that was ahead, the time of what they are from.

    Snakemake would make all that is from them again, and fail at the first.
    """
    recorded = {path: path.stat().st_mtime_ns for path in provenance_records.recorded(run)}
    now, earliest = time.time_ns(), min(recorded.values(), default=0)
    ahead = {path for path, changed in recorded.items() if changed > now}

    def settle(path: Path) -> int:
        if path in ahead:
            ahead.remove(path)
            sources = [run / name for name in provenance_records.last(path).get("inputs", ())]
            recorded[path] = min(max([earliest, *map(settle, sources)]), now)
            with contextlib.suppress(OSError):
                os.utime(path, ns=(recorded[path], recorded[path]))
        return recorded.get(path, earliest)

    for path in sorted(ahead):
        settle(path)


def require(path: Path) -> None:
    """Check that a file of a run is what its record says, as `require_run` does of all.

    Raises:
        EpsballError: it is not.
    """
    if _has_changed(path):
        raise EpsballError(_sentence(path))


def _has_changed(path: Path) -> bool:
    facts = provenance_records.last(path)
    return (
        bool(facts)
        and facts.get("stamp") != files.stamp(path)
        and not run_folder.is_incomplete(path)
        and files.digest(path) != facts["sha256"]
    )


@dataclass(frozen=True)
class Inputs:
    """Files that a job reads, as they were when it began.

    Attributes:
        digests: SHA-256 of each.
        stamps: see `epsball.runs.files.stamp`.
    """

    digests: dict[Path, str]
    stamps: dict[Path, list[int]]

    @classmethod
    def of(cls, paths: Iterable[str]) -> Inputs:
        """Read a job's inputs.

        Raises:
            EpsballError: one of the run's is not what its record says.
        """
        sources = sorted(set(map(Path, paths)))
        stamps = {path: files.stamp(path) for path in sources}
        digests = {path: files.digest(path) for path in sources}
        for path, digest in digests.items():
            _require(path, digest)
        return cls(digests, stamps)

    def require_unchanged(self) -> None:
        """Check that they are what they were.

        Raises:
            EpsballError: one has changed since.
        """
        for path, before in self.stamps.items():
            if not path.is_file() or files.stamp(path) != before:
                raise EpsballError(
                    f"'{path}' has changed while this job read it, so that what it made may be of both; start the run "
                    "again, which makes it anew"
                )


def _require(path: Path, digest: str) -> None:
    for look in range(_LOOKS):
        facts = provenance_records.read(path)
        if not facts or facts["sha256"] == digest:
            return
        if look + 1 < _LOOKS:
            time.sleep(_SECONDS_BETWEEN)
            digest = files.digest(path)
    raise EpsballError(_sentence(path))


def _sentence(path: Path) -> str:
    made = provenance_records.last(path)["made"]
    return f"'{path}' is not what the run made on {made}; remove it and run again to make it anew"


def _more(count: int) -> str:
    return f"\nand {count} more" if count > 0 else ""
