"""Digests of files by their content; what has not been touched since it was last read is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from epsball.runs import files

# A file can change again within a tick of the clock of its file system: one this young is read again next time.
_SETTLED = 2e9  # ns


# Size, times of change of content and of inode (ns), inode, SHA-256.
Entry = tuple[int, int, int, int, str]


@dataclass(frozen=True)
class _Kept:
    asked: dict[str, str]
    files: dict[str, Entry]


class Contents:
    """Digests of files and folders, remembered from run to run.

    Args:
        kept: file that remembers them.
        fixed: whether what was asked for when `kept` was written is taken from there without a look at the files: a job
            has the digests that its run began with.
    """

    def __init__(self, kept: Path, fixed: bool = False) -> None:
        self._kept = kept
        before = files.remembered(kept, _Kept) or _Kept({}, {})
        self._files: Mapping[str, Entry] = before.files
        self._read: dict[str, Entry] = {}
        self._asked: dict[str, str] = before.asked if fixed else {}

    def digest(self, path: Path) -> str:
        """Return the digest of a file, or of the names and contents of all that is in a folder; empty if neither."""
        name = str(path)
        if name not in self._asked:
            self._asked[name] = self._folder(path) if path.is_dir() else self._file(path)
        return self._asked[name]

    def save(self) -> None:
        """Remember the digests."""
        now = time.time_ns()
        settled = {name: entry for name, entry in self._read.items() if max(entry[1], entry[2]) < now - _SETTLED}
        files.write_memory(self._kept, json.dumps({"asked": self._asked, "files": {**self._files, **settled}}))

    def _file(self, path: Path) -> str:
        try:
            entry = entry_of(path, self._files.get(str(path)))
        except OSError:  # what cannot be read is reported where it is used
            return ""
        self._read[str(path)] = entry
        return str(entry[-1])

    def _folder(self, folder: Path) -> str:
        total, seen = hashlib.sha256(), {os.path.realpath(folder)}
        for place, folders, names in os.walk(folder, followlinks=True):
            # An empty folder is a class too. What is hidden belongs to the file system or its viewers.
            shown = sorted(name for name in folders if not name.startswith((".", "@")))
            real = {name: os.path.realpath(os.path.join(place, name)) for name in shown}  # noqa: PTH118 - many
            folders[:] = [name for name in shown if real[name] not in seen]  # links may lead in a circle
            seen.update(real.values())
            for name in sorted(names):
                if not name.startswith("."):
                    path = Path(place, name)
                    total.update(f"{path.relative_to(folder)}\0{self._file(path)}\0".encode(errors="surrogateescape"))
            total.update(f"{Path(place).relative_to(folder)}\0".encode(errors="surrogateescape"))
        return total.hexdigest()


def entry_of(path: Path, before: Entry | None = None) -> Entry:
    """Return size, times of change of content and of inode (ns), inode and SHA-256 of a file.

    The file is read only if the first four are not those of `before`. `cp -p`, `mv` and `touch -d` set the time of the
    content, but not that of the inode.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{path} is no regular file")  # reading a pipe would wait for ever
    stamp = found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
    if before is not None and before[:4] == stamp:
        return before
    return *stamp, files.digest(path)
