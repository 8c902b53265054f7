"""The frame of a job: its log, its errors, its exit code."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from epsball.errors import EpsballError


@contextlib.contextmanager
def job(log: str) -> Iterator[None]:
    """Log to a file and to the terminal; end with one sentence, and no traceback, where the input is at fault.

    Args:
        log: path of the log file; written anew.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    form = logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S")
    for handler in (logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler(sys.stderr)):
        handler.setFormatter(form)
        logging.getLogger("epsball").addHandler(handler)
    logging.getLogger("epsball").setLevel(logging.INFO)
    try:
        yield
    except EpsballError as error:
        logging.getLogger("epsball").error("error: %s", error)
        sys.exit(1)
    except Exception:
        logging.getLogger("epsball").exception("an error that epsball did not expect")
        sys.exit(1)
