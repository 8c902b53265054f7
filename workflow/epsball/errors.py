"""The exception that users read, and the messages that they see."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import errno
import io
import sys
from collections.abc import Iterable, Iterator

_LISTED = 20  # most names that a message lists
# Signs in messages, as a terminal without Unicode can show them.
_PLAIN = str.maketrans({"ε": "epsilon", "α": "alpha", "ρ": "rho", "Φ": "Phi", "²": "^2", "√": "sqrt", "∞": "inf"})
_PLAIN |= str.maketrans(
    {"×": "x", "–": "-", "−": "-", "±": "+-", "≤": "<=", "≥": ">=", "→": "->", "…": "...", "’": "'"}
)


class EpsballError(Exception):
    """Bad input or an impossible request, in one sentence: where, what was found, what to do."""


@contextlib.contextmanager
def about(subject: str) -> Iterator[None]:
    """Begin the message of an `EpsballError` in the block with its subject, such as "networks.mine"."""
    try:
        yield
    except EpsballError as error:
        raise EpsballError(f"{subject}: {error}") from None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the closest known name, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"known: {', '.join(names[:_LISTED])}{more}." if names else "none is known."


def user_message(error: Exception) -> str | None:
    """Return the message for an error that a user can mend: an `EpsballError`, a full disk or quota; else None."""
    if isinstance(error, EpsballError):
        return str(error)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{error.strerror}: '{error.filename or 'results'}'; make room and run the same command again"
    return None


def print_on_any_terminal() -> None:
    """Let standard output and error show what their encoding lacks in other signs, rather than fail."""
    codecs.register_error("epsball", _in_other_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="epsball")


def _in_other_signs(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # the streams are written
    lacking = error.object[error.start : error.end]
    return lacking.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii"), error.end
