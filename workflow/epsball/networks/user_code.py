"""The user's files that build a network: the factory's file, and what it imports from beside it.

They are found in syntax trees, without running code or importing PyTorch: Snakemake asks at the start of every job.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from epsball.config import NetworkSpec

_INSTALLED = {"site-packages", "dist-packages"}


def files(spec: NetworkSpec) -> list[Path]:
    """Return the files, the factory's first; none if that does not exist, an error that building the network reports.

    Args:
        spec: network whose factory is ``path/to/file.py:function`` or ``package.module:function``.
    """
    place = spec.factory.rsplit(":", 1)[0]
    first = factory_file(place)
    if first is None or not first.is_file():
        return []
    if _INSTALLED.intersection(first.parts):
        return [first]  # a package has a version, and may be large
    ups = 0 if place.endswith(".py") else place.count(".") + (first.name == "__init__.py")
    found = [first]
    for path in found:  # grows
        for other in _imported(path, first.parents[ups]):
            if other not in found:
                found.append(other)
    return found


def factory_file(place: str) -> Path | None:
    """Return the file of a factory; None for a module that is not found."""
    if place.endswith(".py"):
        return Path(place)
    try:
        found = importlib.util.find_spec(place)
    except ModuleNotFoundError:
        return None
    return None if found is None or found.origin is None else Path(found.origin)


def _imported(path: Path, root: Path) -> Iterator[Path]:
    """Yield the files below a folder that a file there imports, with the packages around them."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names, start = [alias.name for alias in node.names], root
        elif isinstance(node, ast.ImportFrom):
            start = path.parents[node.level - 1] if node.level else root
            names = [".".join(filter(None, (node.module, alias.name))) for alias in node.names]
        else:
            continue
        for name in names:
            yield from _modules(start, name.split("."))


def _modules(folder: Path, parts: list[str]) -> Iterator[Path]:
    for number, part in enumerate(parts):
        package = folder.joinpath(*parts[:number])
        for candidate in (package / f"{part}.py", package / part / "__init__.py"):
            if candidate.is_file():
                yield candidate
