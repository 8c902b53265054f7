"""The exception that users read, and the messages that they see."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

_LISTED = 20  # most names that a message lists


class EpsballError(Exception):
    """Bad input or an impossible request, in one sentence: where, what was found, what to do."""


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
