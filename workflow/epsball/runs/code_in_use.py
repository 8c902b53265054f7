"""The code that a run began with: a job that has run other code fails, rather than pass for one of that run."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from epsball.errors import EpsballError
from epsball.runs import files, provenance

_KEPT = ".code.json"  # in the folder of a run


@dataclass(frozen=True)
class _Kept:
    code: dict[str, tuple[list[int], str]]  # stamp and digest
    versions: dict[str, str]


def keep(run: Path, own: Iterable[Path]) -> None:
    """Keep size, time and digest of all code that can decide numbers, and the versions of packages.

    Args:
        run: folder of the run.
        own: files of code that are not the library's: scripts, and the user's.
    """
    paths = [*provenance.library(), *(path.absolute() for path in own if path.suffix == ".py" and path.is_file())]
    code = {str(path): [files.stamp(path), files.digest(path)] for path in paths}
    files.write_memory(run / _KEPT, json.dumps({"code": code, "versions": dict(provenance.versions())}))


def require(run: Path, packages: Iterable[str], began: float, mix: bool) -> None:
    """Check that all code which this process has imported is what it was when the run began.

    One that was edited and is again what it was may have been imported in between, if that was after the process began.

    Args:
        run: folder of the run.
        packages: names of the packages that decide the numbers of this job.
        began: when this process began, as `time.time()`.
        mix: whether results of several versions may stand side by side.

    Raises:
        EpsballError: it is not, or a package has another version here.
    """
    kept = files.remembered(run / _KEPT, _Kept) or _Kept({}, {})
    loaded = {str(Path(name).absolute()) for module in list(sys.modules.values()) if (name := _file_of(module))}
    for name, (stamp, digest) in kept.code.items():
        path = Path(name)
        if name not in loaded or (path.is_file() and files.stamp(path) == stamp):
            continue
        if path.is_file() and path.stat().st_mtime < began and files.digest(path) == digest:
            continue
        raise EpsballError(
            f"'{path}' has changed since the run was started, and this job may have run either; start the run again, "
            "which makes anew what depends on it"
        )
    here = provenance.versions()
    for package in sorted(packages):
        if not mix and here[package] != (was := kept.versions.get(package, here[package])):
            raise EpsballError(
                f"{package} is {here[package]} on {platform.node()}, and was {was} where the run was started; install "
                "the same, or set other_versions: mix"
            )


def _file_of(module: Any) -> str | None:
    return getattr(module, "__file__", None)
