"""Networks of the user's own: a factory in a file or a package. The one place where foreign code runs."""

from __future__ import annotations

import contextlib
import importlib.util
import pickle
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from torch import nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError, did_you_mean
from epsball.networks.sources import SOURCES

TERMS = "yours"

_imported: set[str] = set()  # files that factories have imported from beside them


@contextlib.contextmanager
def _beside(place: str) -> Iterator[None]:
    """Let a factory's file import what lies beside it, before all else, while the block lasts."""
    if not place.endswith(".py"):
        yield
        return
    folder = str(Path(place).parent.resolve())
    # Another network's factory may have imported modules of the same names from its own folder.
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if origin in _imported and not Path(origin).is_relative_to(folder):
            del sys.modules[name]
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        files = {str(getattr(sys.modules[name], "__file__", None)) for name in set(sys.modules) - before}
        _imported.update(file for file in files if Path(file).is_relative_to(folder))


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
        raise EpsballError(f"factory's file '{place}' fails{_where(error, path.parent)}: {_describe(error)}") from error
    return module


def _import(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if not f"{place}.".startswith(f"{error.name}."):
            raise EpsballError(f"factory's module '{place}' lacks the module '{error.name}'; install it") from None
        file = Path(*place.split(".")).with_suffix(".py")
        known = f"write '{file}:…' for the file of that name" if file.is_file() else did_you_mean(place, SOURCES)
        raise EpsballError(f"factory's module '{place}' does not exist; {known}") from None


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. The factory gets `args`, and `weights` where the configuration has them."""
    place, name = spec.factory.rsplit(":", 1)
    with _beside(place):
        module = _load_file(place) if place.endswith(".py") else _import(place)
        if not callable(factory := getattr(module, name, None)):
            known = [key for key, value in vars(module).items() if callable(value)]
            raise EpsballError(f"factory '{name}' does not exist in {place}; {did_you_mean(name, known)}")
        arguments = dict(spec.args)
        if spec.weights is not None:
            if not Path(spec.weights).is_file():
                raise EpsballError(
                    f"weights '{spec.weights}' do not exist; expected a file; paths are from the folder that the "
                    "command runs in"
                )
            arguments["weights"] = spec.weights
        try:
            network = factory(**arguments)
        except pickle.UnpicklingError as error:
            raise EpsballError(
                f"factory '{spec.factory}' fails: weights '{spec.weights}' hold no plain arrays, which is all that "
                "weights_only=True loads; save them with torch.save(module.state_dict(), path)"
            ) from error
        except Exception as error:
            where = _where(error, Path(str(module.__file__)).parent)
            raise EpsballError(f"factory '{spec.factory}' fails{where}: {_describe(error)}") from error
    if not isinstance(network, nn.Module):
        raise EpsballError(f"factory '{spec.factory}' returned {type(network).__name__}, expected a torch.nn.Module")
    return network


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
