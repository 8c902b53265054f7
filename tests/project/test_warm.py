"""Processes that are forked from one with the large libraries are told, and tell, what others do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import warm

pytestmark = pytest.mark.slow

_TELLS = """
import os, sys
import epsball
print(__name__, sys.argv, os.getcwd(), epsball.__file__, sys.path[:2], sorted(os.environ.items()))
print("aside", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("end", "code"), [("", 0), ("sys.exit(3)", 3), ("sys.exit('why')", 1), ("raise KeyError(3)", 1)]
)
def test_as_another_process(tmp_path: Path, end: str, code: int) -> None:
    (tmp_path / "own" / "epsball").mkdir(parents=True)
    (tmp_path / "own" / "epsball" / "__init__.py").touch()
    script = tmp_path / "script.py"
    script.write_text(_TELLS + end)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "own"), "OMP_NUM_THREADS": "1"}
    for arguments in ([str(script), "a b"], ["-m", "script", "c"]):
        cold, forked = (
            subprocess.run(
                [python, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            for python in (sys.executable, warm.python())
        )
        assert forked.returncode == cold.returncode == code
        assert forked.stdout == cold.stdout
        assert forked.stderr.splitlines()[0] == "aside"
        assert forked.stderr.splitlines()[-1] == cold.stderr.splitlines()[-1]


def test_one_that_is_killed_ends(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os, time; open('number', 'w').write(str(os.getpid())); time.sleep(600)")
    process = subprocess.Popen([warm.python(), str(script)], cwd=tmp_path)
    number = tmp_path / "number"
    while not (number.is_file() and number.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    end = time.monotonic() + 60
    while Path("/proc", number.read_text()).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
