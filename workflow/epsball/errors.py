"""The exception that users read, and the messages that they see."""

from __future__ import annotations

import codecs
import contextlib
import difflib
import errno
import io
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

_LISTED = 20  # most names that a message lists
_LONGEST = 300  # characters of another library's message
_PACKAGE = Path(__file__).parent

_NO_ROOM = "; make room and run the same command again"
_NO_RIGHT = "; see to its permissions, or choose another place"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _NO_ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _NO_RIGHT),
    errno.EMFILE: "; raise the limit (ulimit -n)",
}
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
    return f"known: {listed(names)}." if names else "none is known."


def listed(names: Iterable[str], most: int = _LISTED) -> str:
    """Name things in a sentence: all, or as many as that and how many more there are."""
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")


def sentence(error: Exception, log: Path | None = None) -> str:
    """Return what is said of an error that ends a command, a job or the start of a run: never a traceback.

    Args:
        error: any error.
        log: file that gets the traceback of one that was not foreseen; None makes one.
    """
    if isinstance(error, EpsballError):
        return str(error)
    if not is_foreseen(error):
        return f"not foreseen by epsball: {_described(error)}; please report it with {log or _save_traceback(error)}"
    if is_out_of_memory(error):
        return f"memory does not suffice ({_described(error)}); give it more, or run fewer jobs at once"
    assert isinstance(error, OSError)  # what else is foreseen
    place = f": '{error.filename}'" if error.filename else ""
    return f"{error.strerror}{place}{_REMEDIES.get(error.errno or 0, '')}"


def is_foreseen(error: Exception) -> bool:
    """Return whether an error is an `EpsballError`, or a lack of memory, room or rights."""
    return (
        isinstance(error, EpsballError)
        or is_out_of_memory(error)
        or (isinstance(error, OSError) and error.strerror is not None)
    )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out: CUDA has its own exception, MPS and the CPU's allocator have only messages."""
    texts = ("out of memory", "can't allocate memory", "Cannot allocate memory", "failed to map segment")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


def _described(error: Exception) -> str:
    """Return kind, message and place of an error, the place being the last that is epsball's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _PACKAGE in Path(frame.filename).parents]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    message = textwrap.shorten(str(error), _LONGEST)
    return f"{type(error).__name__}{message and f': {message}'}{where}"


def _save_traceback(error: Exception) -> str:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="epsball-", suffix=".log", delete=False, encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        return "the command"
    return file.name


def require_docstrings() -> None:
    """Check that Python has kept docstrings.

    Raises:
        EpsballError: it has not.
    """
    if sys.flags.optimize > 1:
        raise EpsballError(
            "python -OO (PYTHONOPTIMIZE=2) takes docstrings away, which scikit-bio and help texts need; leave it out"
        )


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
