"""Files that appear whole or not at all: written under another name, then renamed into place."""

from __future__ import annotations

import contextlib
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
    """Give a finished file its second name, if the file system has hard links."""
    previous(path).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        previous(path).hardlink_to(path)


def restore(path: Path) -> None:
    """Give an earlier file its first name again."""
    path.unlink(missing_ok=True)
    path.hardlink_to(previous(path))
    path.touch()


def restore_table(path: Path, made_by: str) -> bool:
    """Give a Parquet table its first name again if `made_by` is what made it, and return whether it is."""
    try:
        if pd.read_parquet(previous(path)).attrs.get("made_by") != made_by:
            return False
    except (OSError, ValueError):  # missing or not whole: the caller makes it again
        return False
    restore(path)
    return True


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left below a folder; to be called only while none is at work in it."""
    for path in list(folder.rglob(".*.unfinished")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
