"""Write parts of pages by a command, between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


def put(page: Path, part: str, lines: Iterable[str]) -> None:
    """Replace a part of a page.

    Args:
        page: Markdown, in UTF-8.
        part: name of the part, as in its marks ``<!-- part -->`` and ``<!-- end of part -->``.
        lines: the new lines between the marks.

    Raises:
        ValueError: the page does not have each mark once.
    """
    start, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->\n"
    before, rest = page.read_text(encoding="utf-8").split(start)
    _, after = rest.split(end)
    page.write_text("".join((before, start, *(f"{line}\n" for line in lines), end, after)), encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table in Markdown, with bars in cells escaped."""
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in cells]
