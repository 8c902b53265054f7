"""Folders of images as they come: what is in them, and names that can be compared and written."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

# Of macOS, Synology, QNAP and Windows; hidden ones, such as .DS_Store and ._1.png, are foreign anyway.
_FOREIGN = {
    "__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information", "lost+found",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r",
}  # fmt: skip

_COMMON = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}  # suffixes, of some 70
_LISTED = 5  # most kinds of other files that a message lists


@functools.cache
def _suffixes() -> frozenset[str]:
    Image.init()
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN)


def is_image(path: Path) -> bool:
    """Return whether a file's suffix is that of an image that Pillow reads."""
    return path.suffix.lower() in _suffixes()


def other_files(root: Path) -> str | None:
    """Return the end of a sentence about a folder without an image: what it holds instead; None if it is empty."""
    found = Counter(path.suffix.lower() or "without suffix" for path in files(root))
    if not found:
        return None
    listed = ", ".join(f"{count} {suffix}" for suffix, count in found.most_common(_LISTED))
    listed += f" and {len(found) - _LISTED} more kinds" if len(found) > _LISTED else ""
    common = ", ".join(sorted(_COMMON & _suffixes()))
    return f"{readable(root)} has only other files ({listed}); expected {common}, or what else Pillow reads"


def is_foreign(name: str) -> bool:
    """Return whether a file or folder was left by an operating system or a tool, or is hidden."""
    return name.startswith(".") or name.lower() in _FOREIGN


def folders(root: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted, without foreign ones."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_foreign(entry.name))


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, folder by folder in sorted order, without foreign ones; follow links once.

    Raises:
        PermissionError: a folder cannot be read.
    """
    seen = {os.path.realpath(folder)}
    for place, inner, names in os.walk(folder, onerror=_without_right, followlinks=True):
        real = {name: os.path.realpath(os.path.join(place, name)) for name in inner}  # noqa: PTH118 - many files
        inner[:] = sorted(name for name in inner if not is_foreign(name) and real[name] not in seen)
        seen.update(real[name] for name in inner)
        yield from (Path(place, name) for name in sorted(names) if not is_foreign(name))


def _without_right(error: OSError) -> None:
    """Raise what `os.walk` would pass over in silence: that it has no right to read a folder."""
    if isinstance(error, PermissionError):
        raise error


def readable(path: Path | str) -> str:
    """Return a path as composed Unicode (NFC), whichever way its file system has it; a name in Latin-1 is decoded."""
    return "/".join(map(_decoded, os.fsencode(path).split(b"/")))


def _decoded(name: bytes) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        text = name.decode("latin-1")
    return unicodedata.normalize("NFC", text)
