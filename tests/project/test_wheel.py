"""The wheel: all of the library is in it, and it works where the repository is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import epsball
import pytest
import yaml
from support.study import PLAIN_FACTORY, TINY, squares
from support.toys import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the repository: building writes beside what it builds."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "workflow", copy / "workflow", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    made = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(made), str(copy))
    [path] = made.glob("*.whl")
    return path


def pip(*arguments: str) -> None:
    """Run pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_everything_is_in_the_wheel(wheel: Path) -> None:
    library = ROOT / "workflow" / "epsball"
    source = {f"epsball/{path.relative_to(library)}" for path in library.rglob("*") if path.is_file()}
    source = {name for name in source if "__pycache__" not in name}
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert {"epsball/py.typed", "epsball/config/keys.py", "epsball/commands/cli.py"} <= source
    assert {name for name in held if name.startswith("epsball/")} == source
    assert wheel.name == f"epsball-{epsball.__version__}-py3-none-any.whl"


def test_it_works_where_the_repository_is_not(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment that sees the packages of this one, but not the library of the repository."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip("--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONPATH"] = os.pathsep.join(sorted(paths))

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(str(python), "-c", "import epsball.commands.cli; print(epsball.commands.cli.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path / "venv")
    command = str(tmp_path / "venv" / "bin" / "epsball")
    assert run(command, "--version") == f"epsball {epsball.__version__}\n"
    (tmp_path / "factory.py").write_text(PLAIN_FACTORY)
    squares(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    assert "squares" in run(command, "check", "mine.yaml")
