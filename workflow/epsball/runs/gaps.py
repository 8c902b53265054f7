"""Gaps: what a probe or a control cannot measure of a network, kept as an empty table that says why."""

from __future__ import annotations

import contextlib
import logging
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from epsball.errors import EpsballError, is_out_of_memory
from epsball.runs import files

LEFT_OUT = "not asked for of this network"
REMEDY = "leave it out by the network's own extra_probes or controls, or set on_failure: gap"

_ATTRIBUTE = "unavailable"  # of a table; Parquet keeps it
_LONGEST = 300  # characters of a reason

_log = logging.getLogger(__name__)


class UnavailableError(EpsballError):
    """A probe or a control cannot be measured, or was not.

    Attributes:
        reason: why, without the names of probe and network, which a table or a figure has beside it.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


def gap(reason: str) -> pd.DataFrame:
    """Return a table without rows that says why it has none."""
    table = pd.DataFrame({"sample": pd.Series(dtype=str)})
    table.attrs[_ATTRIBUTE] = reason
    return table


def reason_of(table: pd.DataFrame) -> str:
    """Return why a table is a gap; empty if it is none."""
    return str(table.attrs.get(_ATTRIBUTE, ""))


def read_reason(path: Path) -> str:
    """Return why the table of a Parquet file is a gap; empty if it is none. No column is read."""
    return reason_of(files.read_table(path, columns=[]))


def require(path: Path) -> None:
    """Check that the table of a Parquet file is no gap.

    Raises:
        UnavailableError: it is; the reason is the table's.
    """
    if why := read_reason(path):
        raise UnavailableError(why)


@contextlib.contextmanager
def explained(what: str, network: str) -> Iterator[None]:
    """Say in a sentence what fails in the block: a probe or a control, on a network.

    Args:
        what: the probe or the control, such as "probe 'gradient'".
        network: name of the network.

    Raises:
        UnavailableError: whatever the block raises, but for a lack of memory or disk, which is not of the network.
    """
    try:
        yield
    except (OSError, UnavailableError):
        raise
    except Exception as error:  # of foreign code too, which can raise anything
        if is_out_of_memory(error):
            raise
        known = isinstance(error, EpsballError)
        first = (str(error).strip().splitlines() or [""])[0]
        said = str(error) if known else f"{type(error).__name__}: {first}"
        said = textwrap.shorten(said.removeprefix(f"networks.{network}: "), _LONGEST)
        _log.info("%s fails on network '%s'", what, network, exc_info=not known)
        raise UnavailableError(said, f"networks.{network}: {what} cannot be measured ({said})") from error


@contextlib.contextmanager
def collected(names: Iterable[str], on_failure: str) -> Iterator[dict[str, pd.DataFrame]]:
    """Collect the tables of these names in the block; they are gaps if it cannot make them and `on_failure` is "gap".

    Raises:
        UnavailableError: it cannot, and `on_failure` is "stop".
    """
    tables: dict[str, pd.DataFrame] = {}
    try:
        yield tables
    except UnavailableError as error:
        if on_failure == "stop":
            raise UnavailableError(error.reason, f"{error}; {REMEDY}") from error
        _log.warning("left as a gap: %s", error)
        tables.update({name: gap(error.reason) for name in names})


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join the parts of a table; all of it is a gap where one part is, since what is left is no sample of samples."""
    tables = list(parts)
    reasons = list(dict.fromkeys(filter(None, map(reason_of, tables))))
    if not tables or reasons:
        return gap("; ".join(reasons) or LEFT_OUT)
    table = pd.concat(tables, ignore_index=True)
    table.attrs = {}  # what made a part is not said of the whole
    return table
