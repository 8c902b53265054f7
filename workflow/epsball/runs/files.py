"""Files that appear whole or not at all: written under another name, then renamed into place."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd


def temporary_path(path: Path) -> Path:
    """Return the name under which this process writes `path` until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.unfinished")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to, which is renamed to `path` if the block succeeds and removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = temporary_path(path)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame, made_by: str | None = None) -> None:
    """Write a table as .parquet, .csv or .tsv, whole or not at all.

    A Parquet file keeps `made_by`, the fingerprint of what made it, for `restore_table`.
    """
    if made_by is not None:
        table.attrs["made_by"] = made_by
    with atomic_write(path) as unfinished:
        if path.suffix == ".parquet":
            table.to_parquet(unfinished, index=False)
        else:
            table.to_csv(unfinished, index=False, sep="\t" if path.suffix == ".tsv" else ",")


def previous(path: Path) -> Path:
    """Return the second name of a finished file: Snakemake removes the first before it makes the file again."""
    return path.with_name(f".{path.name}.earlier")


def retain(path: Path) -> None:
    """Give a finished file its second name, if the file system has hard links, and keep its digest for `earlier`.

    A store has digests of its own inside.
    """
    previous(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        if path.suffix != ".zip":
            write_text(_digest_path(path), digest(path))
        previous(path).hardlink_to(path)


def forget(path: Path, since: float) -> None:
    """Take a file's second name away if it was written after a time, as `time.time()`."""
    with contextlib.suppress(FileNotFoundError):
        if previous(path).stat().st_mtime >= since:
            previous(path).unlink()


def earlier(path: Path) -> Path | None:
    """Return the second name of a file if it is there and what it was: both names are of one file, on one disk."""
    try:
        kept = _digest_path(path).read_text(encoding="ascii")
        return previous(path) if digest(previous(path)) == kept else None
    except (OSError, ValueError):
        return None


def restore(path: Path) -> None:
    """Give an earlier file its first name again."""
    path.unlink(missing_ok=True)
    path.hardlink_to(previous(path))
    path.touch()


def restore_table(path: Path, made_by: str) -> bool:
    """Give a Parquet table its first name again if `made_by` is what made it, and return whether it is."""
    if (kept := earlier(path)) is None or pd.read_parquet(kept).attrs.get("made_by") != made_by:
        return False  # the caller makes it again
    restore(path)
    return True


def _digest_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.earlier.sha256")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> list[int]:
    """Return size and time of change (ns) of a file."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left below a folder; to be called only while none is at work in it."""
    for path in list(folder.rglob(".*.unfinished")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
