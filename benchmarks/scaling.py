"""Cost and memory against samples, draws, radii and networks, each over a factor of 16.

    python benchmarks/scaling.py

The stages themselves, both families and all probes, with a sign network of random weights, each size in a process of
its own. Prints core seconds, less those of start-up, and the memory of the process, and writes table and figure into
results/bench/.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import stub
import torch
from epsball import networks, probes
from epsball.activation import activate
from epsball.config import Ball, Compute, DatasetSpec, NetworkSpec
from epsball.datasets import open_pool
from epsball.forward import Forward, configure
from epsball.images import digest
from epsball.measurement import measure
from epsball.perturbation import perturb
from matplotlib import pyplot as plt

BASE = {"samples": 2, "draws": 20, "radii": 4, "networks": 1}
FACTORS = (1, 4, 16)


def one(samples: int, draws: int, radii: int, networks_: int) -> dict[str, float]:
    """Core seconds and MB of the stages at a size, in this process."""
    compute = Compute(device="cpu")
    configure(compute)
    ball = Ball((0.0, *map(float, range(1, radii + 1))), epsilon=1.0, draws=draws)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        spec = stub.dataset(folder, 48, samples)
        pool = open_pool(DatasetSpec("images", "arrays", samples, 0.9, options={"root": folder / spec["root"]}), folder)
        table = pd.DataFrame({"sample": pool.names, "image": pool.names, "label": pool.labels, "shard": 0})
        table["seed"] = np.arange(len(pool), dtype=np.uint64)
        table["digest"] = [digest(pool.read(number)) for number in range(len(pool))]
        table = table[:samples]
        torch.manual_seed(0)
        network = networks.open_network(NetworkSpec("aghdam2015", "images", "sign:aghdam2015"), pretrained=False)
        forward = Forward(network, compute)
        forward(torch.rand(20, 3, 48, 48))
        start = time.process_time()
        for family in ("uniform", "permuted"):
            perturb(family, table, pool, ball, folder / f"{family}.zarr.zip", {})
            for number in range(networks_):
                store = folder / f"{family}{number}.zarr.zip"
                activate(family, forward, table, pool, ball, compute, store, {})
                for name in probes.PROBES:
                    if family == probes.probe(name).FAMILY:
                        measure(name, table, store, folder / f"{family}.zarr.zip", ball, probes.Context(1, 1, 999))
        seconds = time.process_time() - start
    return {"core seconds": seconds, "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def apart(size: dict[str, int]) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, json.dumps([*size.values()])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def draw(table: pd.DataFrame) -> None:
    """Cost and memory against each size, relative to the smallest."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6))
    for what, rows in table.groupby("of", sort=False):
        axes[0].loglog(rows["times"], rows["core seconds"] / rows["core seconds"].iloc[0], "o-", label=str(what))
        axes[1].semilogx(rows["times"], rows["MB"], "o-", label=str(what))
    axes[0].loglog(FACTORS, FACTORS, color="black", linewidth=0.8, label="linear")
    axes[0].set(xlabel="times as many", ylabel="core seconds, relative", xticks=FACTORS, xticklabels=FACTORS)
    axes[1].set(xlabel="times as many", ylabel="memory, MB", xticks=FACTORS, xticklabels=FACTORS)
    axes[1].set_ylim(0, 1.3 * table["MB"].max())
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(stub.OUT / "scaling.png", dpi=200)


def main() -> None:
    """Print and draw."""
    rows = []
    for what, least in BASE.items():
        for times in FACTORS:
            size = BASE | {what: least * times}
            rows.append({"of": what, "times": times, **size, **apart(size)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    stub.OUT.mkdir(parents=True, exist_ok=True)
    table.round(2).to_csv(stub.OUT / "scaling.csv", index=False)
    print(table.round(1).to_string(index=False))
    draw(table)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(*json.loads(sys.argv[1]))))
    else:
        main()
