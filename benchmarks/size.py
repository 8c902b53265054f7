"""A simulated run of the paper's size: a stub for the forward pass, all else real.

python benchmarks/size.py [folder]

Six networks with the paper's images, radii, draws and widths of features, at a twentieth of its samples, on two cores:
core seconds, memory and disk of each rule, and what they are at full size, if they grow with the samples. Then the
jobs of the run at full size, and how long Snakemake takes to lay them out.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

REPOSITORY = Path(__file__).parent.parent
SAMPLES, PART = 300, 20

STUB = '''
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d


class Stub(nn.Module):
    """Sure of the brightest channel; features of the given width from a coarse look at the image."""

    def __init__(self, width):
        super().__init__()
        generator = torch.Generator().manual_seed(width)
        self.features = nn.Linear(48, width)
        self.features.weight.data = torch.randn(width, 48, generator=generator) / 7
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        coarse = adaptive_avg_pool2d(x, 4).flatten(1)
        return 0 * self.head(self.features(coarse)) + 60 * x.mean(dim=(2, 3))


def make(width):
    return Stub(width)
'''

WIDTHS = {"alexnet": 4096, "googlenet": 1024, "vgg16": 4096, "resnet50": 2048, "ciresan2012": 300, "aghdam2015": 300}


def configuration(samples: int) -> dict[str, Any]:
    """The paper's, on images and networks that are made for it."""
    datasets = {
        name: {"kind": "arrays", "root": f"{name}.npz", "samples": samples, "threshold": 0.9}
        for name in ("imagenet", "gtsrb")
    }
    networks = {
        name: {
            "dataset": "imagenet" if width > 300 else "gtsrb",
            "factory": "stub.py:make",
            "args": {"width": width},
            "layer": "features",
        }
        for name, width in WIDTHS.items()
    }
    return {"run": "size", "datasets": datasets, "networks": networks}


def images(path: Path, side: int) -> None:
    """Random images, more than the samples, whose label is the channel that is brightest."""
    generator = np.random.default_rng(side)
    labels = np.arange(SAMPLES + 20) % 3
    pixels = generator.integers(60, 130, (len(labels), side, side, 3), dtype=np.uint8)
    pixels[np.arange(len(labels)), :, :, labels] += 90
    np.savez(path, images=pixels, labels=labels)


def snakemake(folder: Path, samples: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder on two cores."""
    (folder / "size.yaml").write_text(yaml.safe_dump(configuration(samples)))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *arguments]
    command += ["--cores", "2", "--directory", str(folder), "--configfile", str(folder / "size.yaml")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done


def _size(folder: Path) -> int:
    """Bytes of the files below; one with two names counts once."""
    there = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({stat.st_ino: stat.st_size for stat in there}.values())


def by_rule(run: Path) -> pd.DataFrame:
    """Jobs, core seconds, memory of the largest and disk of each rule, here and extrapolated to all samples."""
    jobs = pd.concat(
        pd.read_csv(path, sep="\t").assign(rule=path.name.split(".")[0]) for path in (run / "benchmarks").glob("*.tsv")
    )
    named = {"jobs": ("s", "size"), "core seconds": ("cpu_time", "sum"), "MB": ("max_rss", "max")}
    table = jobs.groupby("rule").agg(**named)
    folders = {"activate": "activations", "perturb": "perturbations", "measure": "metrics", "network": "networks"}
    table["GB"] = [_size(run / folders.get(str(rule), str(rule))) / 1e9 for rule in table.index]
    grown = table.loc[["perturb", "activate", "measure"], ["core seconds", "GB"]] * [PART / 3600, PART]
    return table.join(grown.set_axis(["core hours at full size", "GB at full size"], axis=1)).round(2)


def main(folder: Path) -> None:
    """Print the tables."""
    (folder / "stub.py").write_text(STUB)
    images(folder / "imagenet.npz", 224)
    images(folder / "gtsrb.npz", 48)
    start = time.perf_counter()
    snakemake(folder, SAMPLES // PART)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\n{SAMPLES // PART} samples a dataset: {time.perf_counter() - start:.0f} s on two cores;", end=" ")
    print(f"the largest process has {children:.0f} MB\n")
    print(by_rule(folder / "results" / "size").to_string(), flush=True)
    selected = [f"results/size/samples/{name}.csv" for name in ("imagenet", "gtsrb")]
    snakemake(folder, SAMPLES, *selected)
    start = time.perf_counter()
    done = snakemake(folder, SAMPLES, "--dry-run")
    stats = (done.stdout + done.stderr).split("Job stats:")[1].split("total")
    print(f"\n{SAMPLES} samples: the graph takes {time.perf_counter() - start:.1f} s")
    print(stats[0] + "total" + stats[1].splitlines()[0])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
