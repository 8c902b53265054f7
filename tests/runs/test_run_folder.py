"""The folder of a run, with real processes that are really killed."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from epsball.errors import EpsballError
from epsball.runs import files, run_folder
from snakemake.persistence.file import FilePersistence

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
given = SimpleNamespace(log=log, config=config, input=[], params={})
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


@pytest.mark.slow
@pytest.mark.fault("a second run in the same folder", "refused, with who is at work")
def test_a_second_run_is_refused_by_name_until_the_first_has_ended(tmp_path: Path) -> None:
    first = hold(tmp_path)
    with pytest.raises(EpsballError, match=rf"another run is at work in it \(.*process {first.pid}, since "):
        run_folder.acquire_lock(tmp_path)
    first.communicate("end\n")
    assert not (tmp_path / ".holder").exists()
    hold(tmp_path).communicate("end\n")


@pytest.mark.slow
@pytest.mark.fault("a killed run's lock and unfinished files", "the next run goes on; they are removed")
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


@pytest.mark.slow
@pytest.mark.fault("Snakemake killed while a job is at work", "the job ends within seconds")
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


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Where Snakemake itself has its metadata about a file."""
    monkeypatch.chdir(tmp_path)
    metadata = tmp_path / ".snakemake" / "metadata"
    metadata.mkdir(parents=True)
    own = SimpleNamespace(_fetch_max_len=lambda subject: os.pathconf(subject, "PC_NAME_MAX"))
    return lambda name: Path(FilePersistence._record_path(own, metadata, name)).relative_to(tmp_path)


NAMES = ("results/one/claims.tsv", f"results/one/metrics/{'long' * 100}/topology.parquet")


def write(path: Path, text: str, when: float = 1e9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (when, when))


def kept_in(run: str) -> Path:
    return Path(run) / "provenance" / "snakemake"


@pytest.mark.fault(
    "foreign files among Snakemake's metadata, and results moved", "passed over, and nothing is computed again"
)
def test_metadata_come_back_in_another_folder_whatever_else_is_there(
    known: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*NAMES, "results/other/claims.tsv"):
        write(known(name), '{"params": ["clip"]}')
    metadata = Path(".snakemake/metadata")
    for foreign in (".nfs000000001", "é", "abc", "@x/y"):
        write(metadata / foreign, "of a file system")
    run_folder.save_metadata(Path("results/one"))
    kept = kept_in("results/one")
    assert len([path for path in kept.rglob("*") if path.is_file()]) == 2
    write(kept / ".nfs000000002", "{}")
    shutil.rmtree(metadata)
    run_folder.restore_metadata(Path("results/one"))
    assert all(known(name).read_text() == '{"params": ["clip"]}' for name in NAMES)
    assert len([path for path in metadata.rglob("*") if path.is_file()]) == 2


@pytest.mark.fault("half a file of Snakemake's metadata", "passed over")
def test_half_a_file_of_metadata_is_none(known: Callable[[str], Path]) -> None:
    name, kept = NAMES[0], kept_in("results/one")
    write(known(name), '{"good": 1}')
    run_folder.save_metadata(Path("results/one"))
    [saved] = [path for path in kept.rglob("*") if path.is_file()]
    write(saved, '{"go', when=2e9)
    run_folder.restore_metadata(Path("results/one"))
    assert known(name).read_text() == '{"good": 1}'
    run_folder.save_metadata(Path("results/one"))
    assert saved.read_text() == '{"good": 1}'


@pytest.mark.fault("a disk that is full while metadata are saved", "the good one stays")
def test_metadata_are_saved_whole_or_not_at_all(known: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    write(known(NAMES[0]), '{"good": 1}')
    run_folder.save_metadata(Path("results/one"))
    write(known(NAMES[0]), '{"newer": 1}', when=2e9)

    def half(source: Path, target: Path) -> None:
        Path(target).write_text('{"ne')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", half)
    run_folder.save_metadata(Path("results/one"))
    assert [path.read_text() for path in kept_in("results/one").rglob("*") if path.is_file()] == ['{"good": 1}']


def test_metadata_of_a_job_are_saved_when_it_has_finished(known: Callable[[str], Path]) -> None:
    keeper = run_folder.MetadataKeeper(Path("results/one"))

    def say(**known: object) -> None:
        record = logging.makeLogRecord(known)
        keeper.handle(record)

    say(event="job_info", jobid=3, output=list(NAMES))
    say(event="job_info", jobid=4, output=["results/one/other"])
    for name in NAMES:
        write(known(name), '{"good": 1}')
    say(event="job_finished", job_id=3)
    say(event="job_finished", job_id=4)  # whose metadata are not there
    say(event="job_finished", job_id=5)
    assert len([path for path in kept_in("results/one").rglob("*") if path.is_file()]) == 2
    shutil.rmtree(".snakemake")
    run_folder.restore_metadata(Path("results/one"))
    assert all(known(name).is_file() for name in NAMES)


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
