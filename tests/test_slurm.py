"""The small study on a real SLURM: `make test-slurm` starts one."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from soak import differences
from study import TINY, Study

_THERE = shutil.which("sinfo") and not subprocess.run(["sinfo"], capture_output=True, check=False).returncode

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workflow"),
    pytest.mark.skipif(not _THERE, reason="needs a SLURM; make test-slurm starts one"),
]

# A cluster of one node whose queue answers at once.
CLUSTER = (
    "--workflow-profile=profiles/slurm",
    "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks=2",
    "--seconds-between-status-checks=2",
    "--latency-wait=10",
)


def test_slurm_gives_the_tables_of_a_local_run_although_snakemake_is_killed_and_a_job_cancelled(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.run({**TINY, "run": "local"})
    config = {**TINY, "run": "slurm"}
    killed = study.start(config, *CLUSTER)
    orphan = _running("activate")
    killed.kill()
    killed.communicate()
    process = study.start(config, *CLUSTER)
    cancelled = _running("activate", after=orphan)
    subprocess.run(["scancel", str(cancelled)], check=True)
    out, err = process.communicate(timeout=1500)
    assert process.returncode == 0, out + err
    assert "jobs that it left in SLURM" in err
    assert str(cancelled) in err
    assert differences(study, "local", "slurm") == []


def _running(rule: str, after: int = 0) -> int:
    """Number of a running job of a rule, the first that is above a number."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        queue = subprocess.run(
            ["squeue", "--noheader", "--states=R", "--format=%i %k"], capture_output=True, text=True, check=True
        )
        for line in queue.stdout.splitlines():
            number = int(line.split()[0])
            if rule in line and number > after:
                return number
        time.sleep(0.5)
    raise AssertionError(f"no job of {rule} ran")
