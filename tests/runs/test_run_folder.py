"""The folder of a run, with real processes that are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from epsball.errors import EpsballError
from epsball.runs import files, run_folder

HOLDER = """
import sys, time
from pathlib import Path
from epsball.runs import run_folder
run_folder.acquire_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
print(child.pid, flush=True)
child.wait()
"""

JOB = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from epsball.runs import files
from epsball.runs.job import job
config = {"datasets": {"d": {"kind": "arrays", "root": "r"}}, "networks": {"n": {"dataset": "d", "factory": "a.b:c"}}}
log = [sys.argv[1] + "/log"]
given = SimpleNamespace(log=log, config=config, input=[])
with job(given), files.atomic_write(Path(sys.argv[1], "table")) as unfinished:
    unfinished.write_text("half")
    time.sleep(60)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that has the folder."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_refused_by_name_until_the_first_has_ended(tmp_path: Path) -> None:
    first = hold(tmp_path)
    with pytest.raises(EpsballError, match=rf"another run is at work in it \(.*process {first.pid}, since "):
        run_folder.acquire_lock(tmp_path)
    first.communicate("end\n")
    assert not (tmp_path / ".holder").exists()
    hold(tmp_path).communicate("end\n")


def test_a_killed_run_holds_nothing_and_its_unfinished_files_go(tmp_path: Path) -> None:
    first = hold(tmp_path)
    half, folder, whole = (tmp_path / "metrics" / name for name in ("one", "two", ".hidden"))
    files.write_text(whole, "whole")
    files.temporary_path(half).write_text("half")
    files.temporary_path(folder).mkdir()
    (files.temporary_path(folder) / "chunk").write_text("half")
    first.kill()
    first.communicate()
    assert str(first.pid) in (tmp_path / ".holder").read_text()
    hold(tmp_path).communicate("end\n")
    assert list((tmp_path / "metrics").iterdir()) == [whole]


def test_a_job_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, JOB, str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    job = int(parent.stdout.readline())
    _wait_for(lambda: list(tmp_path.glob(".table.*.unfinished")))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _wait_for(lambda: not _alive(job))
    assert not (tmp_path / "table").exists()
    files.remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"log"}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Whoever inherits orphans here may be slow to collect them.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
