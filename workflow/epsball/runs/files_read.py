"""The files that a factory reads by itself: recorded when its network or images are made, and compared ever after.

So are the names in the folders that its code lists, such as to find the newest checkpoint.

They are known only once the factory has run, so Snakemake cannot be told of them before; see `since`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from epsball.errors import EpsballError
from epsball.runs import contents, files, provenance

# Readers that open a file in native code, which Python's audit events do not show: module and name.
_NATIVE = (("safetensors", "safe_open"), ("safetensors.torch", "safe_open"), ("torch.jit", "load"))
_KEPT = ".read.json"  # hidden: Snakemake would remove an output before the rule that makes it runs again
_LISTINGS = ("os.listdir", "os.scandir")
_SYSTEM = ("/proc", "/sys", "/dev", "/etc")


@dataclass(frozen=True)
class _Kept:
    since: str
    files: dict[str, contents.Entry]
    folders: dict[str, str] = field(default_factory=dict)  # digests of the names in them


_reading: list[set[str]] = []  # sets that note what is read, while a block of `recording` lasts
_writing: list[set[str]] = []


@contextlib.contextmanager
def recording() -> Iterator[set[str]]:
    """Yield a set that has, at the end of the block, the files read in it and the folders listed by the user's code.

    Those of packages are not among them, nor what it has written.
    """
    _listen()
    read: set[str] = set()
    written: set[str] = set()
    _reading.append(read)
    _writing.append(written)
    try:
        with contextlib.ExitStack() as stack:
            for module, name in _NATIVE:
                stack.enter_context(_noting(importlib.import_module(module), name, read))
            yield read
    finally:
        _reading.remove(read)
        _writing.remove(written)
        kept = {_source(name) for name in read - written - {str(Path(name).parent) for name in written}}
        read.clear()
        read.update(_portable(Path(name)) for name in kept if _is_given(Path(name)))


def keep(folder: Path, read: set[str], since: str) -> dict[str, str]:
    """Keep the SHA-256 of the files that a factory has read, and return them.

    Args:
        folder: a run's folder of the network or dataset that the factory makes.
        read: the files, and folders that were listed.
        since: what `since` returned when the job was begun.
    """
    entries = {name: contents.entry_of(Path(name)) for name in sorted(read) if not Path(name).is_dir()}
    listed = {name: _names(Path(name)) for name in sorted(read) if Path(name).is_dir()}
    kept = {"since": since, "files": entries, "folders": listed}
    files.write_memory(folder / _KEPT, json.dumps(kept, indent=1) + "\n")
    return {name: entry[-1] for name, entry in entries.items()} | listed


def since(folder: Path, digest: Callable[[Path], str]) -> str:
    """Return a text that changes when a file does that the factory of a network or dataset has read.

    It is empty until then, as before the first time, when these files are not known.
    """
    kept = _kept(folder)
    now = {name: digest(Path(name)) for name in kept.files} | {name: _names(Path(name)) for name in kept.folders}
    before = {name: entry[-1] for name, entry in kept.files.items()} | kept.folders
    if all(now[name] in ("", made) for name, made in before.items()):
        return kept.since
    return provenance.digest(now)


def _names(folder: Path) -> str:
    """Return a digest of the names in a folder, and of where links among them lead; empty if it cannot be read."""
    try:
        shown = sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "__pycache__")))
        return provenance.digest([(entry.name, str(entry.readlink()) if entry.is_symlink() else "") for entry in shown])
    except OSError:
        return ""


def digest(folder: Path) -> str:
    """Return a digest of the files that the factory of a network has read; empty if there are none."""
    entries = _kept(folder).files
    return provenance.digest({name: entry[-1] for name, entry in entries.items()}) if entries else ""


def require_unchanged(folder: Path) -> None:
    """Check that what the factory of a run's network reads is what it was when the network was built.

    Raises:
        EpsballError: a file has changed.
    """
    for name, entry in _kept(folder).files.items():
        path = Path(name)
        if path.is_file() and contents.entry_of(path, entry)[-1] != entry[-1]:
            raise EpsballError(
                f"'{name}', which its factory reads, has changed since the network was built; start the run again, "
                "which builds it anew"
            )


def _kept(folder: Path) -> _Kept:
    return files.remembered(folder / _KEPT, _Kept) or _Kept("", {})


@functools.cache
def _listen() -> None:
    """Listen to Python's audit events, once: nothing ends that."""

    def hear(event: str, given: tuple[Any, ...]) -> None:
        if event in _LISTINGS and _reading and not isinstance(given[0], int) and _is_user_code(sys._getframe(1)):
            for found in _reading:
                found.add(os.fsdecode(given[0] or "."))
        if event != "open" or not _reading:
            return
        path, mode, flags = given
        if isinstance(path, str | bytes | os.PathLike):
            reads = "r" in mode if mode is not None else flags & os.O_ACCMODE == os.O_RDONLY
            for found in _reading if reads else _writing:
                found.add(os.fsdecode(path))

    sys.addaudithook(hear)


def _is_user_code(frame: FrameType | None) -> bool:
    """Return whether code of the user's lists a folder, directly or by a module such as glob: not Python's imports."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<"):
            return False
        if not Path(name).is_relative_to(sysconfig.get_path("stdlib")) or "site-packages" in Path(name).parts:
            return _is_given(Path(name))
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _noting(module: Any, name: str, read: set[str]) -> Iterator[None]:
    reader = getattr(module, name)

    @functools.wraps(reader)
    def noting(path: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(path, str | bytes | os.PathLike):
            read.add(os.fsdecode(path))
        return reader(path, *arguments, **named)

    setattr(module, name, noting)
    try:
        yield
    finally:
        setattr(module, name, reader)


def _source(name: str) -> str:
    """Return the source of a compiled module, and any other file as it is."""
    if not name.endswith(".pyc"):
        return name
    try:
        return importlib.util.source_from_cache(name)
    except ValueError:
        return name


def _portable(path: Path) -> str:
    """Return a path from the folder that the run is in, where it is below it: the folder may move."""
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)


def _is_given(path: Path) -> bool:
    place = path.absolute()
    own = (*_SYSTEM, sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), Path(__file__).parents[1])
    if any(place.is_relative_to(folder) for folder in own):
        return False
    return not {"site-packages", "dist-packages"}.intersection(place.parts) and (place.is_file() or place.is_dir())
