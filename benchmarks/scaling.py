"""Cost and memory against samples, draws, radii and networks, each over a factor of 16.

    python benchmarks/scaling.py [PART ...]

With a sign network of random weights, each size in a process of its own, one on each core at a time: the stages of the
run (both families and all stored probes), its controls, and its white-box probes. Prints core seconds, less those of
start-up, and the memory of the process, and writes table and figure into results/bench/.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import stub
import torch
from epsball import controls, probes
from epsball.config import Ball, Compute, DatasetSpec, NetworkSpec, WhiteBox
from epsball.data import Pool, open_pool
from epsball.data.images import digest
from epsball.networks import model
from epsball.networks.forward import Forward, configure
from epsball.probes.normalisers import Scales
from epsball.stages.extract import extract
from epsball.stages.measure import measure
from epsball.stages.measure_controls import measure_control
from epsball.stages.measure_white_box import measure_white_box
from epsball.stages.perturb import perturb
from matplotlib import pyplot as plt

BASE = {"samples": 2, "draws": 20, "radii": 4, "networks": 1}
FACTORS = (1, 4, 16)
CONTEXT = probes.Context(Scales(1, 1), 999)


@dataclass(frozen=True)
class Study:
    """What the parts work on."""

    network: model.Network
    forward: Forward
    samples: pd.DataFrame
    pool: Pool
    ball: Ball
    compute: Compute
    networks: int
    folder: Path


def stages(study: Study) -> None:
    """Perturb, extract and measure of both families."""
    for family in ("uniform", "permuted"):
        drawn = study.folder / f"{family}.zarr.zip"
        perturb(family, study.samples, study.pool, study.ball, drawn, {})
        for number in range(study.networks):
            store = study.folder / f"{family}{number}.zarr.zip"
            extract(family, study.forward, study.samples, study.pool, study.ball, study.compute, store, {})
            for name in probes.PROBES:
                if not probes.is_white_box(name) and family == probes.family_of(name):
                    measure(name, study.samples, store, drawn, study.ball, CONTEXT)


def beside(study: Study) -> None:
    """Every control of the network, by the probes of the paper that it means something for."""
    drawn = {}
    for family in ("uniform", "permuted"):
        drawn[family] = study.folder / f"{family}.zarr.zip"
        perturb(family, study.samples, study.pool, study.ball, drawn[family], {})
    for name in controls.CONTROLS:
        means = [probe for probe in probes.PAPERS if probe in controls.control(name).PROBES]
        families = {probes.family_of(probe): drawn[probes.family_of(probe)] for probe in means}
        forward = Forward(controls.of(name, copy.deepcopy(study.network), study.pool, 0), study.compute)
        measure_control(forward, means, study.samples, study.pool, families, study.ball, study.compute, CONTEXT, name)


def direct(study: Study) -> None:
    """Every white-box probe, whose draws are those of the run."""
    settings = WhiteBox(draws=study.ball.draws)
    for name in filter(probes.is_white_box, probes.PROBES):
        measure_white_box(
            name, study.network, "scaling", study.forward, study.samples, study.pool, study.ball, settings, 1.0
        )


PARTS: dict[str, Callable[[Study], None]] = {"stages": stages, "controls": beside, "white-box probes": direct}


def one(part: str, samples: int, draws: int, radii: int, networks_: int) -> dict[str, float]:
    """Core seconds and MB of a part at a size, in this process."""
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
        torch.manual_seed(0)
        network = model.open_network(NetworkSpec("aghdam2015", "images", "sign:aghdam2015"), pretrained=False)
        forward = Forward(network, compute)
        forward(torch.rand(20, 3, 48, 48))
        start = time.process_time()
        PARTS[part](Study(network, forward, table[:samples], pool, ball, compute, networks_, folder))
        seconds = time.process_time() - start
    return {"core seconds": seconds, "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def apart(part: str, *size: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps([part, *size])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def draw(table: pd.DataFrame) -> None:
    """Cost and memory of each part against each size, relative to the smallest."""
    parts = table["part"].unique()
    figure, axes = plt.subplots(2, len(parts), figsize=(7, 4.4), sharex=True, sharey="row", squeeze=False)
    for (above, below), part in zip(axes.T, parts, strict=True):
        for what, rows in table[table["part"] == part].groupby("of", sort=False):
            above.loglog(rows["times"], rows["core seconds"] / rows["core seconds"].iloc[0], "o-", label=str(what))
            below.semilogx(rows["times"], rows["MB"], "o-", label=str(what))
        above.loglog(FACTORS, FACTORS, color="black", linewidth=0.8, label="linear")
        above.set_title(part, fontsize=9)
        below.set(xlabel="times as many", xticks=FACTORS, xticklabels=FACTORS, ylim=(0, 1.3 * table["MB"].max()))
    axes[0, 0].set_ylabel("core seconds, relative")
    axes[1, 0].set_ylabel("memory, MB")
    axes[0, 0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(stub.OUT / "scaling.png", dpi=200)


def main(parts: list[str]) -> None:
    """Print and draw."""
    rows, running = [], []
    with ThreadPoolExecutor(stub.CORES) as pool:

        @functools.cache  # the smallest size is that of each
        def started(part: str, *size: int) -> Future[dict[str, float]]:
            return pool.submit(apart, part, *size)

        for part, what, times in itertools.product(parts, BASE, FACTORS):
            if what == "networks" and part != "stages":
                continue  # a job each, whatever the others are
            size = BASE | {what: BASE[what] * times}
            running.append(({"part": part, "of": what, "times": times, **size}, started(part, *size.values())))
        for asked, measured in running:
            rows.append({**asked, **measured.result()})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    stub.OUT.mkdir(parents=True, exist_ok=True)
    table.round(2).to_csv(stub.OUT / "scaling.csv", index=False)
    print(table.round(1).to_string(index=False))
    draw(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(*given.one)))
    else:
        main(given.parts or [*PARTS])
