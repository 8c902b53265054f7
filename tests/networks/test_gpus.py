"""GPUs, pretended ones, shared by real processes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks import process

JOB = """
import sys
from pathlib import Path
from epsball.networks import process
print(process.take(sys.argv[2:], Path(sys.argv[1])), flush=True)
sys.stdin.readline()
"""

TWICE = """
from epsball.networks import process

places = iter([0])  # a second one would wait for the first for ever
process.present, process.take = lambda: ["GPU-a"], lambda names: next(places)
print(process.own_gpu(), process.own_gpu())
"""


def start(folder: Path, *names: str) -> subprocess.Popen[str]:
    """A job that wants one of these GPUs."""
    command = [sys.executable, "-c", JOB, str(folder), *names]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def place(job: subprocess.Popen[str]) -> int:
    """The GPU that a job was given."""
    assert job.stdout is not None
    return int(job.stdout.readline())


@pytest.mark.fault("a job killed that held a GPU", "the GPU is free")
@pytest.mark.slow
def test_jobs_share_no_gpu_and_a_killed_one_frees_its_own(tmp_path: Path) -> None:
    owners = {}
    for _ in range(2):
        job = start(tmp_path, "GPU-a", "GPU-b")
        owners[place(job)] = job
    assert set(owners) == {0, 1}
    # The same GPU in another place, as in a job that may use this one alone.
    third = start(tmp_path, "GPU-b")
    assert third.stdout is not None
    assert not select.select([third.stdout], [], [], 8)[0]
    owners[1].kill()
    owners[1].communicate()
    assert place(third) == 0
    owners[0].communicate("end\n")
    third.communicate("end\n")


@pytest.mark.slow
def test_a_process_takes_one_gpu_however_many_networks_it_passes() -> None:
    """In a process of its own: one that has a GPU must not forget it."""
    assert subprocess.check_output([sys.executable, "-c", TWICE], text=True).split() == ["0", "0"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpus_of_this_machine_have_names_of_their_own() -> None:
    names = process.present()
    assert len(set(names)) == torch.cuda.device_count()


@pytest.mark.fault(
    "a folder of GPU locks that another user made first", "passed over: no lock is another user's to hold"
)
def test_the_folder_of_locks_is_this_users(tmp_path: Path) -> None:
    squatted, linked, own = (tmp_path / name for name in ("squatted", "linked", "own"))
    for place in (squatted, linked, own):
        place.mkdir()
    name = f".epsball-gpus-{os.getuid()}"
    (squatted / name).mkdir()
    (squatted / name).chmod(0o777)  # as of one who lets us write
    (linked / name).symlink_to(squatted)
    assert process.own_folder([squatted, linked, own]) == own / name
    assert (own / name).stat().st_mode & 0o077 == 0
    with pytest.raises(EpsballError, match="set TMPDIR to a folder that can be written"):
        process.own_folder([squatted, linked])
