"""Files of a run: they appear whole or not at all, and one that cannot be read is named."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import TypeAdapter

from epsball.errors import EpsballError

T = TypeVar("T")

_LONGEST = 200  # characters of what a reader says
_LARGEST = 1 << 30  # bytes of what is only remembered


def temporary_path(path: Path) -> Path:
    """Return the name under which this process writes `path` until it is whole."""
    return path.with_name(f".{path.name}.{os.getpid()}.unfinished")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to, which is renamed to `path` if the block succeeds and removed if not."""
    if path.is_dir():
        raise EpsballError(f"'{path}' is a folder, expected a file of the run; remove it and run again")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = temporary_path(path)
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except Exception as error:
        if (full := _of_a_full_disk(error)) is not None and full is not error:
            raise OSError(full.errno, full.strerror, str(path)) from error
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def _of_a_full_disk(error: BaseException | None) -> OSError | None:
    """Return the error of a full disk that another one followed, as where a library goes on with half a file."""
    while error is not None and getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        error = error.__cause__ or error.__context__
    return error if isinstance(error, OSError) else None


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_memory(path: Path, text: str) -> None:
    """Write a text file that is only a memory of ours, whatever is in its place."""
    make_way(path)
    write_text(path, text)


def make_way(path: Path) -> None:
    """Remove what is in the place of a file that is only a memory of ours and is none, such as a folder or a pipe."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path) and not path.is_file():
        path.unlink()


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


@contextlib.contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Say of a file of a run that it is damaged, if its content cannot be read in the block.

    Raises:
        EpsballError: it is. That there is no such file, or no right to it, remains an OSError.
    """
    if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
        raise EpsballError(f"'{path}' is no regular file; remove it and run again to make it anew")
    try:
        yield
    except EpsballError:
        raise
    except Exception as error:  # readers of damaged content raise anything, OSErrors without a number among it
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = " ".join(str(error).split())[:_LONGEST]
        raise EpsballError(f"'{path}' is damaged ({said}); remove it and run again to make it anew") from None


def read_table(path: Path | str, columns: list[str] | None = None, **options: Any) -> pd.DataFrame:
    """Read a table of a run that `write_table` wrote.

    Args:
        path: .parquet, .csv or .tsv.
        columns: those to read; None for all.
        options: further ones of `pandas.read_csv`.

    Raises:
        EpsballError: it is damaged.
    """
    with reading(path):
        if Path(path).suffix == ".parquet":
            return pd.read_parquet(path, columns=columns)
        separator = "\t" if Path(path).suffix == ".tsv" else ","
        table: pd.DataFrame = pd.read_csv(path, sep=separator, usecols=columns, **options)
        return table


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run, which has keys.

    Raises:
        EpsballError: it is damaged.
    """
    with reading(path):
        found: dict[str, Any] = _adapter(dict[str, Any]).validate_json(path.read_bytes())
        return found


def remembered(path: Path, kind: type[T]) -> T | None:
    """Return what a JSON file holds that is only a memory of ours; None if it is of another kind or cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        found: T = _adapter(kind).validate_json(path.read_bytes())  # type: ignore[arg-type]  # a type can be hashed
    except (OSError, ValueError, MemoryError):
        return None
    return found


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


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
            write_memory(_digest_path(path), digest(path))
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
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        EpsballError: it is a pipe, say, which would be waited for.
    """
    if path.exists() and not path.is_file():
        raise EpsballError(f"'{path}' is no regular file; remove it and run again")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> list[int]:
    """Return size and time of change (ns) of a file."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left below a folder; to be called only while none is at work in it."""
    for path in list(folder.rglob(".*.unfinished")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
