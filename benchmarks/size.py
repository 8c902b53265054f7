"""A simulated run of the paper's size: a stub for the forward pass, all else real.

    python benchmarks/size.py [--rate IMAGES_A_SECOND --exact-rate IMAGES_A_SECOND]

Six networks with the paper's images, radii, draws and widths of features, at a twentieth of its samples, on two cores:
core seconds, memory and disk of each rule, and what they are at full size, if they grow with the samples. Then the
jobs of the run at full size, and how long Snakemake takes to lay them out.

With rates: one network of ResNet-50's width whose passes take as long as a real one's, in float32 and in float64, and
the run's wall time ÷ that of its forward passes.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import stub
from epsball.config import load_config
from epsball.stages.passes import float64_passes_per_sample, passes_per_sample

SAMPLES, PART = 300, 20
WIDTHS = {"alexnet": 4096, "googlenet": 1024, "vgg16": 4096, "resnet50": 2048, "ciresan2012": 300, "aghdam2015": 300}


def configuration(folder: Path, samples: int) -> dict[str, Any]:
    """The paper's, on images and networks that are made for it."""
    datasets = {"imagenet": stub.dataset(folder, 224, SAMPLES), "gtsrb": stub.dataset(folder, 48, SAMPLES)}
    for spec in datasets.values():
        spec["samples"] = samples
    networks = {name: stub.network("imagenet" if width > 300 else "gtsrb", width) for name, width in WIDTHS.items()}
    return {"run": "size", "datasets": datasets, "networks": networks}


def six(folder: Path) -> None:
    """Print the tables of the run of six networks."""
    start = time.perf_counter()
    stub.snakemake(folder, configuration(folder, SAMPLES // PART))
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\n{SAMPLES // PART} samples a dataset: {time.perf_counter() - start:.0f} s on two cores;", end=" ")
    print(f"the largest process has {children:.0f} MB\n")
    table = stub.by_rule(folder / "results" / "size")
    grown = table.loc[["perturb", "extract", "measure"], ["core seconds", "GB"]] * [PART / 3600, PART]
    grown.columns = ["core hours at full size", "GB at full size"]
    print(table.join(grown).round(2).to_string(), flush=True)
    whole = configuration(folder, SAMPLES)
    stub.snakemake(folder, whole, *(f"results/size/samples/{name}.csv" for name in whole["datasets"]))
    start = time.perf_counter()
    stats = stub.snakemake(folder, whole, "--dry-run").split("Job stats:")[1].split("total")
    print(f"\n{SAMPLES} samples: the graph takes {time.perf_counter() - start:.1f} s")
    print(stats[0] + "total" + stats[1].splitlines()[0])


def one(folder: Path, rate: float, exact_rate: float) -> None:
    """Print wall time ÷ forward time of a run whose passes take their time."""
    network = stub.network("imagenet", WIDTHS["resnet50"], rate=rate, exact_rate=exact_rate)
    dataset = stub.dataset(folder, 224, SAMPLES // PART)
    raw = {"run": "one", "datasets": {"imagenet": dataset}, "networks": {"resnet50": network}}
    start = time.perf_counter()
    stub.snakemake(folder, raw)
    wall = time.perf_counter() - start
    config = load_config(raw)
    families, cores = 2, 2
    seconds = SAMPLES // PART * families * passes_per_sample(config.ball, config.compute) / rate / cores
    exact = SAMPLES // PART * families * float64_passes_per_sample(config.ball, config.compute) / exact_rate / cores
    print(f"\nwall time {wall:.0f} s; forward passes in float32 {seconds:.0f} s, in float64 {exact:.0f} s")
    print(f"wall time ÷ forward passes: {wall / (seconds + exact):.3f}; ÷ those in float32: {wall / seconds:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--exact-rate", type=float)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if given.rate:
            one(Path(made), given.rate, given.exact_rate or given.rate)
        else:
            six(Path(made))
