"""What 6, 20 and 60 networks cost, 60 at full size, and the plan of 1,000; a stub for the networks, all else real.

    python benchmarks/networks.py [sizes|full|plan]

`sizes`: a small study with boundary and gradient, by how many networks: the graph's time and memory, jobs, time and
core seconds of the run, memory of its largest process, disk, and the report.
`full`: 60 networks × 300 samples × 22 radii × 100 draws: the graph's time and memory once samples are chosen, jobs, and
the share of their start-up in the core seconds, if 300 images a second pass on a core.
`plan`: the plan and the graph of 1,000 networks.

Takes half an hour on two cores, on which nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import stub
from epsball.config import load_config
from epsball.stages.passes import passes_per_sample
from start_up import start_up

SIZES = (6, 20, 60)
SIDE = 48
FULL = 60
RATE = 300  # images a second on a core, as of a network for signs
MANY = 1000
ARCHITECTURES = 6
SMALL: dict[str, Any] = {
    "radii": [1, 5, 10, 20],
    "draws": 20,
    "extra_probes": ["gradient", "boundary"],
    "white_box": {"draws": 5, "directions": 3},
}


class Cost(NamedTuple):
    """What a command took."""

    seconds: float
    core_seconds: float
    megabytes: float  # of its largest process
    said: str


def measured(command: list[str], folder: Path) -> Cost:
    """Run a command in a folder.

    Raises:
        SystemExit: it failed; with what it printed.
    """
    with tempfile.TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        said.seek(0)
        text = said.read()
    if status:
        raise SystemExit(text)
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def study(folder: Path, networks: int, samples: int, **keys: Any) -> dict[str, Any]:
    """A study of stub networks on one dataset, each with its own width of features."""
    specs = {}
    for number in range(networks):
        factors = {"architecture": f"a{number % ARCHITECTURES}", "seed": f"s{number // ARCHITECTURES}"}
        specs[f"n{number}"] = {**stub.network("images", 300 + number), "factors": factors}
    dataset = {**stub.dataset(folder, SIDE, samples), "selection": "each"}
    return {"run": "many", "datasets": {"images": dataset}, "networks": specs, **keys}


def sizes(folder: Path) -> None:
    """Print a row for each number of networks."""
    rows = []
    for networks in SIZES:
        place = folder / str(networks)
        place.mkdir()
        raw = study(place, networks, samples=6, **SMALL)
        graph = measured(stub.command(place, raw, "--dry-run"), place)
        run = measured(stub.command(place, raw), place)
        made = place / "results" / "many"
        rows.append(
            {
                "networks": networks,
                "graph, s": graph.seconds,
                "graph, MB": graph.megabytes,
                "jobs": len(list((made / "logs").rglob("*.log"))) - 1,  # one is the progress
                "run, s": run.seconds,
                "core s": run.core_seconds,
                "largest process, MB": run.megabytes,
                "disk, MB": stub.size(made) / 1e6,
                "report, MB": (made / "report.html").stat().st_size / 1e6,
            }
        )
        print(pd.DataFrame(rows[-1:]).round(1).to_string(index=False, header=len(rows) == 1), flush=True)


def full(folder: Path) -> None:
    """Print the graph, jobs and start-up of 60 networks at full size."""
    raw = study(folder, FULL, samples=300, extra_probes=SMALL["extra_probes"])
    measured(stub.command(folder, raw, "results/many/samples/images.csv"), folder)
    graph = measured(stub.command(folder, raw, "--dry-run"), folder)
    stats = graph.said.split("Job stats:")[1].split("total")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE) if name != "all"}
    starting = sum(count * start_up(stub.REPOSITORY, stage) for stage, count in jobs.items() if _is_process(stage))
    config = load_config(raw)
    passing = FULL * 300 * 2 * passes_per_sample(config.ball, config.compute) / RATE
    share = starting / (starting + passing)
    print(f"{FULL} networks at full size: the graph takes {graph.seconds:.1f} s and {graph.megabytes:.0f} MB")
    print(f"{sum(jobs.values())} jobs: {starting:.0f} core seconds of start-up are {share:.2%}, beside those of passes")


def plan(folder: Path) -> None:
    """Print what the plan and the graph of 1,000 networks take."""
    raw = study(folder, MANY, samples=300, extra_probes=SMALL["extra_probes"])
    command = stub.command(folder, raw, "--dry-run")
    alone = measured([str(Path(sys.executable).with_name("epsball")), "plan", "config.yaml"], folder)
    graph = measured(command, folder)
    print(f"{MANY} networks: the plan takes {alone.seconds:.1f} s and {alone.megabytes:.0f} MB;", end=" ")
    print(f"the graph {graph.seconds:.1f} s and {graph.megabytes:.0f} MB")


def _is_process(stage: str) -> bool:
    """Return whether the jobs of a rule are processes of their own."""
    return (stub.REPOSITORY / "workflow" / "scripts" / f"{stage}.py").exists()


PARTS = {"sizes": sizes, "full": full, "plan": plan}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS, nargs="?")
    given = parser.parse_args()
    for name, part in PARTS.items():
        if given.part in (None, name):
            with tempfile.TemporaryDirectory() as made:
                part(Path(made))
