"""Time and core seconds of a run from nothing, and the share of its jobs' start-up.

    python benchmarks/start_up.py [CONFIG] [--cores N] [--slurm ARGUMENTS]

Runs a configuration, the default's if none is given, in a copy of the repository, and prints wall time, core seconds of
all processes, jobs, and what starting costs: of each stage's script, the core seconds of a process that does its
imports and nothing else (the least of three), times its jobs.

`--slurm` runs it under a SLURM on this machine too, with further arguments of Snakemake's, such as
`--slurm=--slurm-no-account`. Each of its jobs starts Snakemake: what the machine does more counts as starting. Nothing
else should run.
"""

from __future__ import annotations

import argparse
import ast
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
SLURM = ("--workflow-profile", "profiles/slurm")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=ROOT / "config" / "config.yaml")
    parser.add_argument("--cores", default="2")
    parser.add_argument("--slurm")
    options = parser.parse_args()
    config = ["--configfile", str(options.config.resolve())]
    with tempfile.TemporaryDirectory() as place:
        folder = _copy(Path(place) / "local")
        wall, cores = _run(folder, "--cores", options.cores, *config)
        [logs] = folder.glob("results/*/logs")
        jobs = _jobs(logs)
        starts = {stage: start_up(folder, stage) for stage in jobs}
        if options.slurm is not None:
            folder = _copy(Path(place) / "slurm")
            slurm_wall, slurm_cores = _run(folder, *SLURM, *shlex.split(options.slurm), *config)
            slurm_jobs = len(list((folder / ".snakemake" / "slurm_logs").rglob("*.log")))
    print(f"{'stage':20} {'jobs':>5} {'start-up of one, core s':>24}")
    for stage, count in jobs.items():
        print(f"{stage:20} {count:5} {starts[stage]:24.2f}")
    total = sum(count * starts[stage] for stage, count in jobs.items())
    print(f"{sum(jobs.values())} jobs, {wall:.0f} s, {cores:.0f} core seconds; start-up of jobs {total:.0f}")
    print(f"{total / cores:.1%} of the core seconds")
    if options.slurm is not None:
        total += slurm_cores - cores
        print(f"SLURM: {slurm_jobs} jobs, {slurm_wall:.0f} s, {slurm_cores:.0f} core seconds; start-up {total:.0f}")
        print(f"{total / slurm_cores:.1%} of the core seconds")


def _copy(folder: Path) -> Path:
    """Copy what a run needs of the repository."""
    folder.mkdir()
    for name in ("workflow", "config", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


def _run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run Snakemake; return seconds and core seconds."""
    before, began = _busy(), time.monotonic()
    with (folder / "said.txt").open("w") as said:
        command = [sys.executable, "-m", "snakemake", *arguments]
        done = subprocess.run(command, cwd=folder, stdout=said, stderr=said, check=False)
    if done.returncode:
        sys.exit((folder / "said.txt").read_text())
    return time.monotonic() - began, _busy() - before


def _busy() -> float:
    """Return the core seconds of the whole machine: SLURM's jobs are no children of Snakemake's."""
    times = psutil.cpu_times()
    return float(times.user + times.system)


def _core_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _jobs(logs: Path) -> Counter[str]:
    """Return the jobs of each stage that ran, by their logs."""
    paths = (path.relative_to(logs) for path in logs.rglob("*.log"))
    return Counter(path.with_suffix("").parts[0] for path in paths if path.name != "progress.log")


def start_up(folder: Path, stage: str) -> float:
    """Return the core seconds of a process that does the imports of a stage's script, and Snakemake's before it."""
    tree = ast.parse((folder / "workflow" / "scripts" / f"{stage}.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    # As in `epsball.runs.job.job`, before anything large is imported.
    collector = ["import gc", "from epsball.runs.job import GC_THRESHOLD", "gc.set_threshold(*GC_THRESHOLD)"]
    lines = ["from snakemake import script", *collector, *map(ast.unparse, imports)]
    code = "\n".join(line for line in lines if line != "from snakemake.script import snakemake")
    seconds = []
    for _ in range(3):
        before = _core_seconds()
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
        seconds.append(_core_seconds() - before)
    return min(seconds)


if __name__ == "__main__":
    main()
