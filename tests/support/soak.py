"""Kill a small study at random moments, go on with the same command, and compare with an undisturbed run.

    PYTHONPATH=tests python -m support.soak 20
    PYTHONPATH=tests python -m support.slurm python tests/soak.py 20 --slurm

prints a row a kill and ends with exit code 1 where anything differs. What is killed, by SIGKILL, is in turn a job,
Snakemake, or everything at once; in SLURM, a job is cancelled, and the others outlive their Snakemake. Every second run
goes on from a finished one of half the samples.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
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

WHAT = ("Snakemake", "everything", "a job")


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
    if slurm:
        start = time.monotonic()
        study.run({**config, "run": "timed"}, _claims("timed"), *where)
    duration = time.monotonic() - start
    rows: list[dict[str, Any]] = []
    runs = itertools.count()
    while len(rows) < kills:
        killed = {**config, "run": f"killed{next(runs)}"}
        what, after = WHAT[len(rows) % len(WHAT)], generator.uniform(0.15, 0.95) * duration
        arguments, extends = (_claims(killed["run"]), *where), len(rows) % 2 == 1
        if extends:
            study.run({**killed, "samples": config["samples"] // 2}, *arguments)
            after *= 0.6  # it has less to do
        if not _kill(study, killed, arguments, what, after):
            duration *= 0.9  # it was over before: no kill
            continue
        finished = _finished(study, killed["run"])
        study.run(killed, *arguments)
        rows.append(
            {
                "what": what,
                "extends": extends,
                "after": f"{after:.0f} s of {duration:.0f}",
                "finished": len(finished),
                "lost": sum(not path.samefile(held) for path, held in finished.items()),
                "leftovers": len(list((study.folder / "results" / killed["run"]).rglob(".*.unfinished"))),
                "differences": len(differences(study, "undisturbed", killed["run"])),
            }
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
    return pd.DataFrame(rows)


def _claims(run: str) -> str:
    return f"results/{run}/claims.tsv"


def _finished(study: Study, run: str) -> dict[Path, Path]:
    """Files that are there, each with a second name, which stays with this file if another takes its place."""
    root, kept = study.folder / "results" / run, study.folder / "finished" / run
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
    with tempfile.TemporaryDirectory() as folder:
        table = soak(Study(Path(folder)), config, given.kills, given.seed, given.slurm)
    print(table.groupby("what")[["finished", "lost", "leftovers", "differences"]].agg(["sum", "max"]).to_string())
    return int(table[["leftovers", "differences"]].to_numpy().any())


if __name__ == "__main__":
    sys.exit(main())
