"""What made a file: digests of code and configuration, and versions."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_LIBRARY = Path(__file__).parent.parent

# Modules that cannot change a result, so that editing them redoes nothing. Values of the configuration count by
# themselves.
_INERT = frozenset((_LIBRARY / "config").glob("*.py")) | {
    _LIBRARY / "errors.py",
    *(
        _LIBRARY / "runs" / f"{name}.py"
        for name in (
            "contents",
            "files",
            "integrity",
            "code_in_use",
            "job",
            "progress",
            "provenance_records",
            "run_folder",
            "versions",
        )
    ),
}

# Registries: an entry counts only in the stages that use it, so that a new entry redoes nothing.
_REGISTRIES = frozenset({"FAMILIES", "PROBES", "CONTROLS", "KINDS", "SOURCES", "ARCHITECTURES", "FIGURES"})

# Packages whose versions decide numbers: each stage says which of them decide its own. Pillow's does not count, because
# images are known by their pixels: one that comes out otherwise is refused, or is another image.
DECIDING = frozenset(
    {
        *("torch", "numpy", "scipy", "scikit-bio", "statsmodels"),
        *("torchvision", "timm", "transformers", "onnx2torch", "efficientnet-lite-pytorch"),  # networks
    }
)
NOT_INSTALLED = "not installed"
_PACKAGES = ("epsball", *sorted(DECIDING), "numba", "xarray", "zarr", "pandas", "Pillow")


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = NOT_INSTALLED
    return found


def digest(*values: Any) -> str:
    """Return a short digest of values by their repr: dataclasses, strings, numbers and containers of them."""
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


@functools.cache
def code_digest(script: Path, modules: tuple[str, ...] = ()) -> str:
    """Return a short digest of the code behind a stage, without comments and docstrings.

    Modules of this library that its script imports count too, directly or not, and so do further `modules`, by their
    dotted names, such as entries of a registry that the stage loads.
    """
    files = {script} | {path for name in modules if (path := _file(name)) is not None}
    waiting = list(files)
    while waiting:
        new = _read(waiting.pop()).imports - files
        files |= new
        waiting += new
    return digest(*sorted((path.name, _read(path).essence) for path in files if path not in _INERT))


def library() -> list[Path]:
    """Return the files of this library that can change a result."""
    return sorted(path for path in _LIBRARY.rglob("*.py") if path not in _INERT)


@functools.cache
def declared(module: str) -> dict[str, Any]:
    """Return what a module of this library defines at its top, without importing it: that can take seconds.

    Constants that are literals have their values, all else has None.

    Raises:
        KeyError: there is no such module.
    """
    path = _file(module)
    if path is None:
        raise KeyError(module)
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = None
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            try:
                value = ast.literal_eval(node.value)
            except ValueError:
                value = None
            found |= dict.fromkeys(names, value)
    return found


def _file(name: str) -> Path | None:
    """Return the file of a module of this library; None for any other module."""
    first, *rest = name.split(".")
    if first != "epsball":
        return None
    path = _LIBRARY.joinpath(*rest)
    if path.is_dir():
        return path / "__init__.py"
    path = path.with_suffix(".py")
    return path if path.is_file() else None


class _Source(NamedTuple):
    """What counts of a file."""

    imports: frozenset[Path]  # files of this library that it imports
    essence: str  # digest of its syntax tree without docstrings and registries


@functools.cache
def _read(path: Path) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = frozenset(found for name in _imported_names(tree) if (found := _file(name)) is not None)
    tree.body = [node for node in tree.body if not _registers(node)]
    for node in (tree, *_statements(tree)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return _Source(imports, hashlib.sha256(ast.dump(tree).encode()).hexdigest())


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in _statements(tree, _runs):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _runs(node: ast.AST) -> bool:
    """Return whether a statement can run: what is there for type checking alone does not."""
    return not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")


def _statements(node: ast.AST, into: Callable[[ast.AST], bool] = lambda node: True) -> Iterator[ast.AST]:
    """Yield all statements below a node, with what is between them, and no expression: those are many."""
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        for child in getattr(node, name, ()):
            if into(child):
                yield child
                yield from _statements(child, into)


def _registers(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in _REGISTRIES for t in node.targets)


def in_words(packages: Iterable[str]) -> str:
    """Return the versions of packages, of those that are installed, such as "numpy 2.4.6, torch 2.14.1"."""
    here = versions()
    return ", ".join(f"{name} {here[name]}" for name in sorted(packages) if here[name] != NOT_INSTALLED)


def decides(attribute: str) -> bool:
    """Return whether an attribute of a store decides its numbers; of versions, those that `made_with` names do."""
    return not attribute.startswith("version_")


def attributes(packages: Iterable[str], **parts: Any) -> dict[str, str]:
    """Return the attributes that record how a store was made: digests of parts of the configuration, and versions.

    Args:
        packages: names of those whose versions decide the store's numbers.
        **parts: parts of the configuration.
    """
    digests = {f"{name}_configuration": digest(part) for name, part in parts.items()}
    known = {f"version_{name}": version for name, version in versions().items()}
    return {**digests, "made_with": in_words(packages), **known}
