"""What is in a file that should be weights or a network: a failed download, a pointer, another format."""

from __future__ import annotations

from pathlib import Path

from epsball.errors import EpsballError

_START = 512  # bytes
_LONGEST_HEADER = 100_000_000  # bytes, of safetensors


def start_of(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as opened:
        return opened.read(_START)


def require_content(path: Path, what: str) -> None:
    """Check that a file is not what stands in its place after a failed download.

    Args:
        path: the file.
        what: what messages begin with.

    Raises:
        EpsballError: it is empty, a web page or a pointer of Git LFS.
    """
    start = start_of(path)
    if not start:
        raise EpsballError(f"{what} is an empty file; get it again")
    if start.startswith(b"version https://git-lfs"):
        raise EpsballError(f"{what} is a pointer of Git LFS, not the file itself; run git lfs pull")
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise EpsballError(
            f"{what} is a web page, as of a failed download; download it again, and look at it if it stays"
        )


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as those of safetensors do: the length of a header, and the header, JSON."""
    start = start_of(path)
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < _LONGEST_HEADER
