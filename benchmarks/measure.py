"""Measuring, figures, claims and report of one network at the paper's size.

    python benchmarks/measure.py

300 samples, 22 radii, 100 draws, 4096 features. Images are small: of them measuring knows the distances alone. A stub
makes the stores first, which take 10 GB. Then it prints the wall time of all that comes after them, on two cores.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import stub

SAMPLES, SHARDS, WIDTH = 300, 12, 4096


def main(folder: Path) -> None:
    """Print the times."""
    networks = {"wide": stub.network("images", WIDTH)}
    raw = {"run": "measure", "datasets": {"images": stub.dataset(folder, 16, SAMPLES)}, "networks": networks}
    run = "results/measure"
    stub.snakemake(folder, raw, f"{run}/samples/images.csv")
    families = [f"{family}/{shard}.zarr.zip" for family in ("uniform", "permuted") for shard in range(SHARDS)]
    stores = [f"{run}/{place}/{name}" for place in ("activations/wide", "perturbations/images") for name in families]
    start = time.perf_counter()
    stub.snakemake(folder, raw, *stores)
    print(f"stores: {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    stub.snakemake(folder, raw)
    print(f"measuring, figures, claims, report: {time.perf_counter() - start:.0f} s on two cores\n")
    print(stub.by_rule(folder / run).round(2).to_string())
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nthe largest process of all has {largest:.0f} MB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(Path(made))
