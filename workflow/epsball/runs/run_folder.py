"""The folder of a run: check that it is writable, lock it for one run, and remove what a killed run left unfinished."""

from __future__ import annotations

import atexit
import base64
import contextlib
import errno
import json
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from epsball.errors import EpsballError
from epsball.runs import files
from epsball.runs.job import SECONDS_TO_NOTICE

_LOCK, _HOLDER = ".lock", ".holder"

# Snakemake's metadata about how each file was made, and where a run saves its part of it.
_KNOWN = Path(".snakemake") / "metadata"
_INCOMPLETE = Path(".snakemake") / "incomplete"
_KEPT = Path("provenance") / "snakemake"

_NOTE = 1000  # characters at most
_FORMAT = 6  # of Snakemake's metadata, since which they tell whether parameters have changed
_FINGERPRINT = "'configuration "  # how Snakemake has one; see `epsball.stages.fingerprints`

_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

_SLURM = "jobs in SLURM: "
_SECONDS_BETWEEN_LOOKS = 3.0

_log = logging.getLogger(__name__)


def require_writable(folder: Path, names: Iterable[str]) -> None:
    """Check, before anything is computed, that the folder of a run and those of some files in it can be written.

    Raises:
        EpsballError: one cannot.
    """
    below = {place for name in names for place in Path(name).parents if place.is_relative_to(folder)}
    for place in sorted({folder, folder / _KEPT} | below):
        there = next(there for there in (place, *place.parents) if os.path.lexists(there))
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise EpsballError(f"'{there}' is not a folder that can be written; results go to '{folder}'")


def restore_metadata(folder: Path) -> None:
    """Give Snakemake back the metadata saved with a run, where it is missing or older.

    So a folder that came from elsewhere is not computed again, and a change of its configuration is noticed.
    """
    for kept in filter(Path.is_file, (folder / _KEPT).rglob("*")):
        place = kept.relative_to(folder / _KEPT)
        if _name(place) is not None and _is_whole(kept):
            _copy_newer(kept, _KNOWN / place)


def settle_fingerprint(path: Path, made: str, asked: bool) -> None:
    """Let Snakemake know a file by the fingerprint of its record, whatever it remembers of another file in its place.

    Args:
        path: the file.
        made: fingerprint in its record.
        asked: whether it would be made with this one now. If Snakemake remembers nothing, the file is current then.
    """
    _KNOWN.mkdir(parents=True, exist_ok=True)
    known, own = _KNOWN / _place(str(path)), repr(made)
    facts = files.remembered(known, dict[str, Any])
    if facts is None:
        if not asked:
            files.write_memory(known, json.dumps({"record_format_version": _FORMAT, "params": [own]}))
    elif asked and "rule" not in facts:  # written above, when another one was asked for
        known.unlink()
    else:
        params = [own if str(one).startswith(_FINGERPRINT) else one for one in facts.get("params") or ()]
        if params != (facts.get("params") or []):
            files.write_memory(known, json.dumps(facts | {"params": params}))


def save_metadata(folder: Path) -> None:
    """Save Snakemake's metadata about a run's files in the run's folder."""
    for known in filter(Path.is_file, _KNOWN.rglob("*")):
        place = known.relative_to(_KNOWN)
        if (name := _name(place)) is not None and Path(name).is_relative_to(folder):
            with contextlib.suppress(OSError):  # only a memory; a full disk is the next job's to report
                _copy_newer(known, folder / _KEPT / place)


class MetadataKeeper(logging.Handler):
    """Listens to Snakemake's log, and saves the metadata about the files of each job that has finished.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._made: dict[int, list[str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take account of one of Snakemake's records."""
        known = record.__dict__
        match known.get("event"):
            case "job_info":
                self._made[known["jobid"]] = list(known.get("output") or ())
            case "job_finished":
                for name in self._made.pop(known["job_id"], ()):
                    with contextlib.suppress(OSError):
                        place = _place(name)
                        _copy_newer(_KNOWN / place, self._folder / _KEPT / place)


def is_incomplete(path: Path) -> bool:
    """Return whether Snakemake has noted that the job which makes a file was begun and not ended."""
    return _INCOMPLETE.is_dir() and (_INCOMPLETE / _place(str(path))).exists()


def _name(place: Path) -> str | None:
    """Return the path of the file that a file of metadata is about; None if it is none, as a file system's `.nfs…`."""
    try:
        return base64.urlsafe_b64decode("".join(part.removeprefix("@") for part in place.parts)).decode()
    except ValueError:
        return None


def _place(name: str) -> Path:
    """Return where Snakemake has the metadata about a file; it splits a long name into folders that begin with @."""
    encoded, longest = base64.urlsafe_b64encode(name.encode()).decode(), os.pathconf(_KNOWN.parent, "PC_NAME_MAX") - 1
    parts = [encoded[start : start + longest] for start in range(0, len(encoded), longest)]
    return Path(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _is_whole(kept: Path) -> bool:
    return files.remembered(kept, dict[str, Any]) is not None


def _copy_newer(source: Path, target: Path) -> None:
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime or not _is_whole(target):
        files.make_way(target)
        with files.atomic_write(target) as unfinished:
            shutil.copy2(source, unfinished)


def acquire_lock(folder: Path, slurm: str | None = None) -> None:
    """Lock a run's folder for as long as this process lives.

    The lock is the operating system's: it ends with its holder, however that ends. On NFS the server keeps it, for all
    hosts. A note next to it names the holder. If the note is still there, its holder was killed: wait for its jobs,
    which notice within seconds or, in SLURM, are cancelled, and remove what they were writing. `slurm` is the name that
    this run's jobs have in SLURM, if they run there.

    Raises:
        EpsballError: another live run holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, note = FileLock(folder / _LOCK), folder / _HOLDER
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise EpsballError(
            f"{folder}: another run is at work in it ({_read(note) or 'no note of it yet'}); wait for its end, stop "
            "it, or set another 'run'"
        ) from None
    except (OSError, NotImplementedError) as error:
        if not isinstance(error, NotImplementedError) and error.errno not in _WITHOUT_LOCKS:
            raise EpsballError(
                f"'{folder / _LOCK}' cannot be locked ({error.strerror}); if no run is at work in '{folder}', remove it"
            ) from None
        _log.warning(
            "%s: this file system has no locks (%s); see to it that no second run uses the folder", folder, error
        )
    if killed := _read(note):
        _log.warning("%s: going on after a run that was killed (%s)", folder, killed)
        time.sleep(2 * SECONDS_TO_NOTICE)
        _cancel(killed)
        save_metadata(folder)
    files.remove_unfinished(folder)
    files.make_way(note)
    jobs = f", {_SLURM}{slurm}" if slurm else ""
    holder = f"{platform.node()}, process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}{jobs}"
    note.write_text(holder, encoding="utf-8")
    atexit.register(_release, folder, lock)


def _cancel(note: str) -> None:
    """Cancel the jobs that a killed run left in SLURM, whose results nobody would collect, and wait for their end."""
    name = note.partition(_SLURM)[2]
    if not name or shutil.which("squeue") is None:
        return
    queue = ["squeue", "--noheader", "--format=%i", "--name", name]
    while jobs := subprocess.run(queue, capture_output=True, text=True, check=True).stdout.split():
        _log.warning("cancelling %d jobs that it left in SLURM", len(jobs))
        subprocess.run(["scancel", "--name", name], check=True)
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _release(folder: Path, lock: FileLock) -> None:
    save_metadata(folder)
    (folder / _HOLDER).unlink(missing_ok=True)
    lock.release()


def _read(note: Path) -> str:
    if not note.is_file():
        return ""
    with note.open(encoding="utf-8", errors="replace") as file:
        return file.read(_NOTE).strip("\0 \n")
