"""Jobs of a run whose code was edited while it was at work."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from epsball.errors import EpsballError
from epsball.runs import code_in_use, provenance


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user's, imported, of a run that has begun."""
    path = tmp_path / "of_the_user.py"
    path.write_text("seed = 1\n")
    os.utime(path, (1e9, 1e9))
    (tmp_path / "other.py").write_text("seed = 1\n")
    code_in_use.keep(tmp_path, [path, tmp_path / "other.py", tmp_path / "missing.py", tmp_path / "data.npz"])
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("of_the_user")
    yield path
    del sys.modules["of_the_user"]


def require(folder: Path, began: float | None = None, packages: tuple[str, ...] = (), mix: bool = False) -> None:
    code_in_use.require(folder, packages, time.time() if began is None else began, mix)


def test_what_has_not_changed_or_was_not_imported(factory: Path) -> None:
    require(factory.parent)
    (factory.parent / "other.py").write_text("seed = 2\n")
    require(factory.parent)


@pytest.mark.fault("a factory edited after the start", "the job fails in a sentence")
def test_an_edit(factory: Path) -> None:
    factory.write_text("seed = 2\n")
    with pytest.raises(EpsballError, match=r"of_the_user.py' has changed since the run was started"):
        require(factory.parent)
    factory.unlink()
    with pytest.raises(EpsballError, match=r"of_the_user.py' has changed since the run was started"):
        require(factory.parent)


@pytest.mark.fault("a factory edited, and put back", "the job fails in a sentence")
def test_an_edit_that_is_taken_back(factory: Path) -> None:
    factory.write_text("seed = 2\n")
    factory.write_text("seed = 1\n")
    require(factory.parent, began=time.time() + 1)  # before the job began
    with pytest.raises(EpsballError, match=r"of_the_user.py' has changed since the run was started"):
        require(factory.parent, began=time.time() - 60)


def test_the_library_counts_but_for_what_decides_no_number(factory: Path) -> None:
    kept = json.loads((factory.parent / ".code.json").read_text())["code"]
    assert str(Path(provenance.__file__)) in kept
    assert str(Path(code_in_use.__file__)) not in kept
    assert not [name for name in kept if name.endswith(".npz") or "missing" in name]


@pytest.mark.fault("another version of a package on a node", "the job fails in a sentence")
def test_another_version_where_a_job_runs(factory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**provenance.versions(), "torch": "1.0"}
    monkeypatch.setattr(provenance, "versions", lambda: other)
    require(factory.parent, packages=("numpy",))
    require(factory.parent, packages=("torch",), mix=True)
    with pytest.raises(EpsballError, match=r"torch is 1.0 on .*, and was .* where the run was started"):
        require(factory.parent, packages=("numpy", "torch"))


@pytest.mark.fault("digests of code that cannot be read", "as without them")
@pytest.mark.parametrize("content", ["", "[]", '{"code": 3}', '{"code": {}', '{"code": {}, "versions": null}'])
def test_a_memory_that_cannot_be_read(factory: Path, content: str) -> None:
    (factory.parent / ".code.json").write_text(content)
    factory.write_text("seed = 2\n")
    require(factory.parent, packages=("torch",))
