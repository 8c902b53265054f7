"""A small study in a copy of the repository: what the workflow's tests and the soak run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from support import warm
from support.toys import ROOT, pictures

FACTORY = """
import os
import sys
from pathlib import Path

import torch
from torch import nn

def count(net, inputs):
    if Path("broken").exists() and "extract" in sys.argv[0]:
        raise ValueError("no such\\nluck")
    # Images of each stage's float32 passes; one image alone is a look at shapes.
    if inputs[0].dtype == torch.float32 and len(inputs[0]) > 1:
        stage = Path(sys.argv[0]).name.split(".")[-2]
        Path("passes").mkdir(exist_ok=True)
        with Path("passes", f"{stage}.{os.getpid()}").open("a") as file:
            print(len(inputs[0]), file=file)

def make(seed, sharpness):
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    weight = 0.05 * torch.randn(6, 3, 3, 3, generator=generator)
    for unit in range(6):
        weight[unit, unit % 3] += 1 / 9
    net[0].weight.data, net[0].bias.data = weight, torch.zeros(6)
    net[4].weight.data = sharpness * torch.eye(3).repeat(1, 2)
    net[4].bias.data = torch.zeros(3)
    net.register_forward_pre_hook(count)
    return net
"""

# The same where no stage's passes are counted.
PLAIN_FACTORY = FACTORY.replace("    net.register_forward_pre_hook(count)\n", "")

BASE: dict[str, Any] = {
    "run": "small",
    "radii": [1],
    "draws": 6,
    "batch": 4,
    "float64_draws": 2,
    "samples": 4,
    "shard_size": 2,
    "mantel_permutations": 99,
    "illustration_grid": 5,
    "datasets": {"squares": {"kind": "arrays", "root": "squares.npz"}},
    "networks": {
        "one": {"dataset": "squares", "factory": "factory.py:make", "args": {"seed": 1, "sharpness": 20}},
        "two": {"dataset": "squares", "factory": "factory.py:make", "args": {"seed": 2, "sharpness": 25}},
    },
}

# Folders of a run that are not its results.
ASIDE = {"logs", "benchmarks", "provenance"}

# As few jobs as have each of the stages.
TINY = {**BASE, "samples": 2, "networks": {"one": BASE["networks"]["one"]}}

# A cluster of one node whose queue answers at once.
CLUSTER = (
    "--workflow-profile=profiles/slurm",
    "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks=2",
    "--seconds-between-status-checks=2",
    "--latency-wait=10",
)


def kinds(files: set[str]) -> set[str]:
    """First folders of files."""
    return {Path(name).parts[0] for name in files}


def in_reach() -> bool:
    """Whether there is a SLURM that answers."""
    return (
        shutil.which("sinfo") is not None and not subprocess.run(["sinfo"], capture_output=True, check=False).returncode
    )


def squares(folder: Path) -> None:
    """Write the images of the study."""
    images, labels = pictures(24, size=10, seed=8)
    np.savez(folder / "squares.npz", images=images, labels=labels)


class Study:
    """A copy of the repository with small data in it.

    Args:
        folder: for the copy.
        warm: whether processes that are waited for are forked from one with the large libraries.
    """

    def __init__(self, folder: Path, warm: bool = False) -> None:
        self.folder, self.warm = folder, warm
        for name in ("workflow", "config", "envs", "profiles"):
            # With what Python and Numba have compiled, but for files that they are writing.
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*", "*.tmp.*"))
        shutil.copy(ROOT / "Snakefile", folder)
        (folder / "factory.py").write_text(FACTORY)
        squares(folder)

    def snakemake(self, config: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on a configuration."""
        process = self._start(warm.python() if self.warm else sys.executable, config, *arguments)
        try:
            out, err = process.communicate(timeout=900)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, config: dict[str, Any], *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake on a configuration, in a process group of its own."""
        return self._start(sys.executable, config, *arguments)

    def _start(self, python: str, config: dict[str, Any], *arguments: str) -> subprocess.Popen[str]:
        (self.folder / "mine.yaml").write_text(yaml.safe_dump(config))
        cores = () if CLUSTER[0] in arguments else ("--cores", "2")  # as the README has it
        command = [python, "-m", "snakemake", *arguments, *cores, "--configfile", "mine.yaml"]
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "workflow")}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, config: dict[str, Any], *arguments: str) -> set[str]:
        """Run to the end; the files of the run that were made or made again, logs aside."""
        before = self.times(config["run"])
        done = self.snakemake(config, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        after = self.times(config["run"])
        return {name for name, time in after.items() if before.get(name) != time}

    def passes(self) -> dict[str, int]:
        """Images that passed the networks since the last call, by stage."""
        counts: dict[str, int] = {}
        for path in (self.folder / "passes").glob("*"):
            stage = path.name.split(".")[0]
            if stage != "__main__":  # the check before the run
                counts[stage] = counts.get(stage, 0) + sum(map(int, path.read_text().split()))
            path.unlink()
        return counts

    def times(self, run: str) -> dict[str, int]:
        """When each file of a run was written; hidden files and those that are no results aside."""
        root = self.folder / "results" / run
        return {
            str(path.relative_to(root)): path.stat().st_mtime_ns
            for path in root.rglob("*")
            if path.is_file() and path.name[0] != "." and path.relative_to(root).parts[0] not in ASIDE
        }

    def table(self, run: str, network: str, probe: str) -> pd.DataFrame:
        """A gathered table."""
        return pd.read_parquet(self.folder / "results" / run / "metrics" / network / f"{probe}.parquet")

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file of the copy."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new, 1))
