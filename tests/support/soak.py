"""Kill a small study at random moments, go on with the same command, and compare with an undisturbed run.

    PYTHONPATH=tests python -m support.soak 20
    PYTHONPATH=tests python -m support.slurm python -m support.soak 20 --slurm

prints a row a kill and ends with exit code 1 where anything differs. What is killed, by SIGKILL, is in turn
Snakemake, everything at once, or a job; in SLURM, a job is cancelled, and the others outlive their Snakemake. In every
fourth run a disk fills up instead, which is larger when the run goes on. Every second run goes on from a finished
local one of half the samples, and every third without Snakemake's own memory, as results do that are moved to another
folder. One network is trained, with dropout, augmentation and adversarial images.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from epsball.probes import PAPERS

from support.study import BASE, CLUSTER, TINY, Study, in_reach

DISK = "disk full"
WHAT = ("Snakemake", "everything", "a job", DISK)

# A network that is trained, and its images, which are those of the study.
TRAINED_FACTORY = """

def dropping():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(6, 3)
    )

def squares(split):
    import numpy as np
    with np.load("squares.npz") as arrays:
        return arrays["images"], arrays["labels"]
"""
TRAINED: dict[str, Any] = {
    "datasets": {"drawn": {"kind": "factory", "factory": "factory.py:squares", "threshold": 0.35}},
    "networks": {
        "trained": {
            "dataset": "drawn",
            "factory": "factory.py:dropping",
            "training": {
                "epochs": 150,
                "batch": 8,
                "learning_rate": 0.02,
                "augment": True,
                "adversarial_radius": 0.05,
                "validation": 0,
            },
        }
    },
}


def soak(study: Study, config: dict[str, Any], kills: int, seed: int, slurm: bool = False) -> pd.DataFrame:
    """Kill runs and let them go on, up to the claims.

    Args:
        study: where; its folder is the caller's.
        config: to run.
        kills: how many, each of a run of its own.
        seed: of the moments.
        slurm: whether in the SLURM of this machine; the undisturbed run is a local one all the same.

    Returns:
        A row a kill: what, extends (whether a finished run of half the samples), after (seconds), finished (surveys,
        stores and tables of shards that were there then), lost (of them written again), leftovers (hidden files at
        the end), differences (tables unlike the undisturbed run's).
    """
    generator = random.Random(seed)
    start = time.monotonic()
    undisturbed = study.start({**config, "run": "undisturbed"}, _claims("undisturbed"))  # as those to be killed
    out, err = undisturbed.communicate()
    assert undisturbed.returncode == 0, out + err
    where = CLUSTER if slurm else ()
    what_fails = [what for what in WHAT if what != DISK or _can_mount(study.folder)]
    if slurm:
        start = time.monotonic()
        study.run({**config, "run": "timed"}, _claims("timed"), *where)
    duration = time.monotonic() - start
    rows: list[dict[str, Any]] = []
    runs = itertools.count()
    while len(rows) < kills:
        killed = {**config, "run": f"killed{next(runs)}"}
        what, after = what_fails[len(rows) % len(what_fails)], generator.uniform(0.15, 0.95) * duration
        run = study.folder / "results" / killed["run"]
        if what == DISK:
            _mount(run, generator.randrange(20, 500))
        arguments, extends = (_claims(killed["run"]), *where), len(rows) % 2 == 1
        if extends and what != DISK:
            study.run({**killed, "samples": config["samples"] // 2}, arguments[0])
            after *= 0.6  # it has less to do
        hit = _fill(study, killed, arguments) if what == DISK else _kill(study, killed, arguments, what, after)
        if not hit:
            duration *= 0.9  # it was over before: no kill
            _unmount(run)
            continue
        finished = _finished(study, killed["run"])
        if moved := len(rows) % 3 == 2:
            shutil.rmtree(study.folder / ".snakemake")
        study.run(killed, *arguments)
        rows.append(
            {
                "what": what,
                "extends": extends and what != DISK,
                "moved": moved,
                "after": f"{after:.0f} s of {duration:.0f}",
                "finished": len(finished),
                "lost": sum(not path.samefile(held) for path, held in finished.items()),
                "leftovers": len(list(run.rglob(".*.unfinished"))),
                "differences": len(differences(study, "undisturbed", killed["run"])),
            }
        )
        _unmount(run)
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
    return pd.DataFrame(rows)


def _claims(run: str) -> str:
    return f"results/{run}/claims.tsv"


def _finished(study: Study, run: str) -> dict[Path, Path]:
    """Files that are there, each with a second name, which stays with this file if another takes its place."""
    root = study.folder / "results" / run
    kept = root / ".finished"  # on the same disk; hidden, so it counts for nothing
    names = [name for name in study.times(run) if name.startswith("survey") or len(Path(name).parts) == 4]
    for name in names:
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).hardlink_to(root / name)
    return {root / name: kept / name for name in names}


def _kill(study: Study, config: dict[str, Any], arguments: tuple[str, ...], what: str, after: float) -> bool:
    """Kill after some seconds; whether there was something to kill."""
    slurm = CLUSTER[0] in arguments
    process = study.start(config, *arguments)
    time.sleep(after)
    jobs: list[str] = []
    while what == "a job" and process.poll() is None and not jobs:  # a moment without a job is waited out
        time.sleep(0.05)
        jobs = _in_slurm() if slurm else _jobs(process.pid)
    hit = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        if hit and what == "a job" and slurm:
            subprocess.run(["scancel", jobs[0]], check=True)
        elif hit and what == "a job":
            os.kill(int(jobs[0]), signal.SIGKILL)
        elif hit and what == "Snakemake":
            process.kill()
        elif hit:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return hit


def _can_mount(folder: Path) -> bool:
    """Whether this user may mount a small file system."""
    can = _mount(folder / "small", 16)
    _unmount(folder / "small")
    return can


def _mount(place: Path, kilobytes: int) -> bool:
    place.mkdir(parents=True, exist_ok=True)
    return _quietly("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place))


def _unmount(place: Path) -> None:
    if place.is_mount():
        _quietly("umount", "--lazy", str(place))


def _quietly(*command: str) -> bool:
    return not subprocess.run(command, capture_output=True, check=False).returncode


def _fill(study: Study, config: dict[str, Any], arguments: tuple[str, ...]) -> bool:
    """Run until the disk is full, and make room; whether it was."""
    done = study.snakemake(config, *arguments)
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert done.returncode == 0 or "No space left on device" in said, said
    assert _quietly("mount", "-o", "remount,size=100m", str(study.folder / "results" / config["run"]))
    return done.returncode != 0


def _in_slurm() -> list[str]:
    """Numbers of the running jobs in SLURM."""
    queue = ["squeue", "--noheader", "--states=R", "--format=%i"]
    return subprocess.run(queue, capture_output=True, text=True, check=True).stdout.split()


def _jobs(parent: int) -> list[str]:
    """Processes that a process has started."""
    return [child for path in Path(f"/proc/{parent}/task").glob("*/children") for child in path.read_text().split()]


def differences(study: Study, one: str, other: str) -> list[str]:
    """Tables of two runs that are not identical; the shards of the samples may differ."""
    first, second = (study.folder / "results" / run for run in (one, other))
    tables = [*first.glob("metrics/*/*.parquet"), first / "claims.tsv"]
    assert len(tables) > len(PAPERS)
    names = [str(path.relative_to(first)) for path in tables]
    unlike = [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()]
    for path in first.glob("samples/*.csv"):
        pair = [pd.read_csv(run / "samples" / path.name).drop(columns="shard") for run in (first, second)]
        unlike += [] if pair[0].equals(pair[1]) else [path.name]
    return unlike


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--slurm", action="store_true", help="in the SLURM of this machine")
    given = parser.parse_args()
    if given.slurm and not in_reach():
        print("There is no SLURM here: nothing is killed in it.")
        return 0
    config = TINY if given.slurm else {**BASE, "networks": TINY["networks"]}
    config = {**config, **{key: {**config[key], **entries} for key, entries in TRAINED.items()}}
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder))
        with (study.folder / "factory.py").open("a") as file:
            file.write(TRAINED_FACTORY)
        try:
            table = soak(study, config, given.kills, given.seed, given.slurm)
        finally:
            for place in Path(folder, "results").iterdir():
                _unmount(place)
    print(table.groupby("what")[["finished", "lost", "leftovers", "differences"]].agg(["sum", "max"]).to_string())
    return int(table[["leftovers", "differences"]].to_numpy().any())


if __name__ == "__main__":
    sys.exit(main())
