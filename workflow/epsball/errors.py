"""The one exception that users are meant to read, and what is said of it and of a full disk."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class EpsballError(Exception):
    """Bad input or an impossible request, said in one sentence: where, what was found, what to do."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The hint that ends a sentence about an unknown name: the closest known one, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}." if names else "none is known."


def user_message(error: Exception) -> str | None:
    """What is said of an error where a user can mend it: an `EpsballError`, a full disk or quota; None of any other."""
    if isinstance(error, EpsballError):
        return str(error)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{error.strerror}: '{error.filename or 'results'}'; make room and run the same command again"
    return None
