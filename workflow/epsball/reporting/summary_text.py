"""A chapter of the report: a sentence or two made of numbers, a table of the numbers by network, and a caveat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

NOTHING = "–"

LEGIBLE = 8  # networks whose columns are legible side by side

Cell = str | float | tuple[float, ...]  # words, a number, or an estimate with the ends of its interval
Row = Mapping[str, Cell]  # a quantity, by network


@dataclass(frozen=True)
class Chapter:
    """A chapter: sentences and a table made of numbers, and how these mislead."""

    title: str
    sentences: str  # with a placeholder, as `str.format` takes them, for the range over networks of each row they use
    rows: Mapping[str, Row]  # by the words for a quantity; percentages if the words end in %
    caveat: str
    remarks: tuple[str, ...] = ()  # further sentences
    question: str = ""  # that it answers
    charts: Mapping[str, str] = field(default_factory=dict)  # titles by name
    figures: tuple[str, ...] = ()  # names

    @property
    def text(self) -> str:
        """What it says."""
        ranges = (format_range(row, "%" if words.endswith("%") else "") for words, row in self.rows.items())
        return " ".join([self.sentences.format(*ranges), *self.remarks])

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of a table: a row per quantity, a column per network; a dash where a number lacks.

        Of many networks, each has a row.
        """
        networks = list(dict.fromkeys(name for row in self.rows.values() for name in row))
        cells = [
            [words, *(format_cell(row.get(name, NOTHING)) for name in networks)] for words, row in self.rows.items()
        ]
        table = [["", *networks], *cells]
        if len(networks) > LEGIBLE:
            table = [list(column) for column in zip(*table, strict=True)]
        return table[0], table[1:]


def format_cell(cell: Cell) -> str:
    """Format a number, or an estimate with its interval; words stay as they are."""
    if isinstance(cell, tuple):
        return "{} ({} to {})".format(*map(format_number, cell))
    return cell if isinstance(cell, str) else format_number(cell)


def format_number(value: float | None) -> str:
    """Format three significant digits; a dash if there is no number."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.3g}" if math.isfinite(value) else "∞" if value > 0 else "−∞"


def format_range(row: Row, unit: str = "") -> str:
    """Format the least and the most of all networks for a sentence: "0.1 to 0.3", or the one that all have."""
    values = [cell[0] if isinstance(cell, tuple) else cell for cell in row.values() if not isinstance(cell, str)]
    known = [value for value in values if not math.isnan(value)]
    return " to ".join(dict.fromkeys(map(format_number, (min(known), max(known))))) + unit if known else "not measured"
