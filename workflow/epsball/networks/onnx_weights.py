"""Files that an ONNX file keeps weights in, beside it: found without the package onnx, which is slow to import."""

from __future__ import annotations

import functools
import mmap
import os
import re
from pathlib import Path

# A message of protobuf with two texts, the key "location" and a path: tag, length, text; 128 and more take two bytes.
_LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])")


def files(path: Path) -> list[Path]:
    """Return those that are there."""
    if not path.is_file():
        return []
    return _files(path, path.stat().st_mtime_ns, path.stat().st_size)


@functools.lru_cache(maxsize=64)  # Snakemake asks for each job, and a file that has its weights in it is large
def _files(path: Path, changed: int, size: int) -> list[Path]:
    if not size:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = {content[found.end() : found.end() + _length(found[1])] for found in _LOCATION.finditer(content)}
    beside = (os.path.join(path.parent, os.fsdecode(name)) for name in sorted(names))  # noqa: PTH118
    return [Path(one) for one in beside if os.path.isfile(one)]  # noqa: PTH113 - a Path of a long text raises


def _length(varint: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(varint))
