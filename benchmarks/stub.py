"""Runs with a stub for the forward pass and all else real, for the other benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

REPOSITORY = Path(__file__).parent.parent
OUT = REPOSITORY / "results" / "bench"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
SPARE = 20  # images more than samples

FACTORY = '''
import time

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d


class Stub(nn.Module):
    """Sure of the brightest channel; features of the given width from a coarse look at the image.

    A pass takes as much time of a core as one at the given rates in images/s, if there are any.
    """

    def __init__(self, width, rate, exact_rate):
        super().__init__()
        generator = torch.Generator().manual_seed(width)
        self.features = nn.Linear(48, width)
        self.features.weight.data = torch.randn(width, 48, generator=generator) / 7
        self.head = nn.Linear(width, 3)
        self.rate, self.exact_rate = rate, exact_rate
        self.work = torch.ones(100, 100)

    def forward(self, x):
        start = time.thread_time()
        coarse = adaptive_avg_pool2d(x, 4).flatten(1)
        logits = 0 * self.head(self.features(coarse)) + 60 * x.mean(dim=(2, 3))
        if rate := self.exact_rate if x.dtype == torch.float64 else self.rate:
            while time.thread_time() < start + len(x) / rate:
                self.work @ self.work  # other threads go on, as beside a real pass
        return logits


def make(width, rate=None, exact_rate=None):
    return Stub(width, rate, exact_rate)
'''


def dataset(folder: Path, side: int, samples: int) -> dict[str, Any]:
    """A configured dataset of random images, more than the samples, whose label is the channel that is brightest."""
    path = folder / f"images{side}.npz"
    if not path.exists():
        generator = np.random.default_rng(side)
        labels = np.arange(samples + SPARE) % 3
        pixels = generator.integers(60, 130, (len(labels), side, side, 3), dtype=np.uint8)
        pixels[np.arange(len(labels)), :, :, labels] += 90
        np.savez(path, images=pixels, labels=labels)
    return {"kind": "arrays", "root": path.name, "samples": samples, "threshold": 0.9}


def network(of: str, width: int, **rates: float) -> dict[str, Any]:
    """A configured network."""
    return {"dataset": of, "factory": "stub.py:make", "args": {"width": width, **rates}, "layer": "features"}


def command(folder: Path, configuration: dict[str, Any], *arguments: str) -> list[str]:
    """Write a configuration and the stub into a folder; the command that runs it there on two cores."""
    (folder / "stub.py").write_text(FACTORY)
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(configuration))
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *arguments]
    return [*start, "--cores", "2", "--directory", str(folder), "--configfile", str(file)]


def snakemake(folder: Path, configuration: dict[str, Any], *arguments: str) -> str:
    """Run Snakemake in a folder on two cores; what it printed.

    Raises:
        SystemExit: it failed; with what it printed.
    """
    given = command(folder, configuration, *arguments)
    done = subprocess.run(given, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr


def by_rule(run: Path) -> pd.DataFrame:
    """Of each rule of a run: jobs, core seconds, memory of the largest job in MB, disk in GB."""
    jobs = pd.concat(
        pd.read_csv(path, sep="\t").assign(rule=path.name.split(".")[0]) for path in (run / "benchmarks").glob("*.tsv")
    )
    named = {"jobs": ("s", "size"), "core seconds": ("cpu_time", "sum"), "MB": ("max_rss", "max")}
    table = jobs.groupby("rule").agg(**named)
    folders = {"extract": "activations", "perturb": "perturbations", "measure": "metrics", "build_network": "networks"}
    table["GB"] = [size(run / folders.get(str(rule), str(rule))) / 1e9 for rule in table.index]
    return table


def size(folder: Path) -> int:
    """Bytes of the files below; one with two names counts once."""
    there = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in there}.values())
