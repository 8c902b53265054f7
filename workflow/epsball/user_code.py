"""Factories: functions in files or packages of the user's own, for networks and datasets; and the files they are in.

The files, which are the factory's and what it imports from beside it, are found in syntax trees, without running code
or importing PyTorch: Snakemake asks at the start of every job.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from epsball import torch_defaults
from epsball.errors import EpsballError, did_you_mean

_imported_files: set[str] = set()  # files that factories have imported from beside them

_AS_A_MODULE = "; name a file of a package as a module, such as package.file:function"
_INSTALLED = {"site-packages", "dist-packages"}


def files(factory: str) -> list[Path]:
    """Return the files, the factory's first; none if that does not exist, an error that calling it reports.

    Args:
        factory: ``path/to/file.py:function`` or ``package.module:function``.
    """
    place = factory.rsplit(":", 1)[0]
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
    found, inside = None, None
    parts = place.split(".")
    for number in range(len(parts)):
        # importlib.util.find_spec would import the packages around it.
        name = ".".join(parts[: number + 1])
        finders = (finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec"))
        found = next((spec for find in finders if (spec := find(name, inside)) is not None), None)
        if found is None:
            return _in_this_folder(parts)
        inside = found.submodule_search_locations
    return None if found is None or found.origin is None else Path(found.origin)


def _in_this_folder(parts: Sequence[str]) -> Path | None:
    """Return the file of a module of a package in the folder that the command runs in; None if there is none."""
    modules = list(_modules(Path(), parts)) if len(parts) > 1 else []
    last = Path(*parts)
    return modules[-1] if modules and modules[-1] in (last.with_suffix(".py"), last / "__init__.py") else None


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


def _modules(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    for number, part in enumerate(parts):
        package = folder.joinpath(*parts[:number])
        for candidate in (package / f"{part}.py", package / part / "__init__.py"):
            if candidate.is_file():
                yield candidate


def digest(paths: Sequence[Path]) -> str:
    """Return a digest of the contents of files; empty if there are none."""
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    return hashlib.sha256(b"".join(digests)).hexdigest() if digests else ""


def call(
    factory: str, arguments: Callable[[Callable[..., Any]], Mapping[str, Any]], sources: Collection[str] = ()
) -> Any:
    """Call a factory; the one place where foreign code runs.

    Args:
        factory: ``path/to/file.py:function`` or ``package.module:function``.
        arguments: function from the factory to its keyword arguments.
        sources: other words that may stand before the colon, for the message.

    Raises:
        EpsballError: it does not exist, or fails, with its own error as the cause.
    """
    place, name = factory.rsplit(":", 1)
    with _beside(place), contained(f"factory '{factory}'"):
        module = _load_file(place) if place.endswith(".py") else _import(place, sources)
        if not callable(function := getattr(module, name, None)):
            known = [key for key, value in vars(module).items() if callable(value)]
            raise EpsballError(f"factory '{name}' does not exist in {place}; {did_you_mean(name, known)}")
        try:
            return function(**arguments(function))
        except EpsballError:
            raise
        except Exception as error:
            where = _where(error, Path(str(module.__file__)).parent)
            raise EpsballError(f"factory '{factory}' fails{where}: {_describe(error)}") from error


@contextlib.contextmanager
def contained(what: str) -> Iterator[None]:
    """Keep what foreign code does to the process within the block.

    That is its end, its folder, threads that outlive it, and PyTorch's default precision and device.

    Raises:
        EpsballError: it ends the program.
    """
    folder, thread = Path.cwd(), threading.current_thread()
    daemon, thread._daemonic = thread.daemon, True  # type: ignore[attr-defined]  # which threads that it starts inherit
    try:
        with torch_defaults.kept():
            yield
    except SystemExit as error:
        raise ends_program(what, error) from error
    finally:
        thread._daemonic = daemon  # type: ignore[attr-defined]
        os.chdir(folder)


def ends_program(what: str, error: SystemExit) -> EpsballError:
    """Return the error that foreign code ends the program."""
    return EpsballError(
        f"{what} ends the program (exit code {error.code}), as sys.exit() does, or parse_args() of arguments that are "
        "not given here; let it return"
    )


@contextlib.contextmanager
def _beside(place: str) -> Iterator[None]:
    """Let a factory's file import what lies beside it, before all else, while the block lasts.

    Let a factory's package be in the folder that the command runs in, after all else.
    """
    if not place.endswith(".py"):
        here = [str(Path.cwd())] if "." in place else []
        sys.path += here
        try:
            yield
        finally:
            for folder in here:
                sys.path.remove(folder)
        return
    folder = str(Path(place).parent.resolve())
    # Another network's factory may have imported modules of the same names from its own folder.
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin in _imported_files and not Path(origin).is_relative_to(folder):
            del sys.modules[name]
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        files = {str(getattr(sys.modules[name], "__file__", None)) for name in set(sys.modules) - before}
        _imported_files.update(file for file in files if Path(file).is_relative_to(folder))


def _load_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise EpsballError(
            f"factory's file '{place}' does not exist; paths are from the folder that the command runs in"
        )
    name = f"epsball_factory_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        how = _AS_A_MODULE if isinstance(error, ImportError) and "relative import" in str(error) else ""
        said = f"factory's file '{place}' fails{_where(error, path.parent)}: {_describe(error)}{how}"
        raise EpsballError(said) from error
    return module


def _import(place: str, sources: Collection[str]) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if not f"{place}.".startswith(f"{error.name}."):
            raise EpsballError(f"factory's module '{place}' lacks the module '{error.name}'; install it") from None
        file = Path(*place.split(".")).with_suffix(".py")
        known = f"write '{file}:…' for the file of that name" if file.is_file() else did_you_mean(place, sources)
        raise EpsballError(f"factory's module '{place}' does not exist; {known}") from None


def _where(error: Exception, folder: Path) -> str:
    """Return the innermost place in a factory's own code that an error came from; empty if there is none."""
    folder, own = folder.resolve(), []
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename).resolve()
        if file.is_file() and file.is_relative_to(folder) and "site-packages" not in file.relative_to(folder).parts:
            own.append(f" ({file.name}, line {frame.lineno})")
    return own[-1] if own else ""


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {textwrap.shorten(str(error), 300)}"
