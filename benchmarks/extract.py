"""Images/s through the extract stage against the best bare forward pass, and against a plain script.

    python benchmarks/extract.py [network ...]

prints a row a network and writes table and figure into results/bench/. All rates are of the whole machine, taken in one
run, with random weights; all but the last with a process on each core, each on one thread, or with one process where
there is a GPU. A machine that others use too changes its pace: both families of the stage and bare passes take turns in
the same process, and a ratio is the middle one of up to three; the plain script runs before and after the stage.

- bare: forward passes alone, the fastest of eager in two batch sizes, and on a CPU compiled in the better one, with the
  stage's layout and allocator;
- uniform, permuted: the stage itself, from noise to store, with the paper's draws, at that batch, compiled where that
  was faster. Its float64 passes, which are the noise floor, are timed apart: the columns "with floor" have them;
- plain: a script as one writes it first, on all cores: eager, NumPy's noise, batches of 100, np.save.

Start-up is a process's time to its first pass: imports, opening, compiling, where kernels are in their cache.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import stub
import torch
from epsball.config import Ball, Compute, DatasetSpec, NetworkSpec
from epsball.data import open_pool
from epsball.data.images import digest
from epsball.networks import model
from epsball.networks.forward import Forward, Passed, configure, device
from epsball.perturbations.ball import perturbed_images
from epsball.runs import provenance
from epsball.stages.extract import extract
from epsball.stages.passes import passes_per_sample
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from torch import Tensor

FACTORIES = {
    "vgg16": "torchvision:vgg16",
    "resnet50": "torchvision:resnet50",
    "googlenet": "torchvision:googlenet",
    "efficientnet-lite0": "efficientnet-lite:0",
    "ciresan2012": "sign:ciresan2012",
    "aghdam2015": "sign:aghdam2015",
}
FAMILIES = ("uniform", "permuted")
DEVICE = device("auto")
PROCESSES = stub.CORES if DEVICE == "cpu" else 1
BATCHES = (10, 20) if DEVICE == "cpu" else (50, 100)
AHEAD = 1 if DEVICE == "cpu" else 8  # passes that are started before the first is waited for
DRAWS = 100
SECONDS, ROUNDS = 2.0, 3
PAPER = Ball(radii=(0.0, 0.1, *map(float, range(1, 21))), epsilon=0.1, draws=DRAWS)
SHARD = 25  # samples, the default


def opened(name: str) -> model.Network:
    """A network with random weights."""
    torch.manual_seed(0)
    return model.open_network(NetworkSpec(name, "noise", FACTORIES[name]), pretrained=False)


def side(name: str) -> int:
    """Pixels of an image's side."""
    return 48 if FACTORIES[name].startswith("sign:") else 224


def per_second(run: Callable[[], int], duration: float = SECONDS) -> float:
    """Images a second of a function that passes some and says how many, and is warm."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < duration:
        count += run()
    return count / (time.perf_counter() - start)


def bare(name: str, batches: Sequence[int], compiled: bool) -> dict[str, float]:
    """Rate of forward passes alone, by batch size."""
    rates = {}
    for batch in batches:
        compute = Compute(batch=batch, compile=compiled)
        configure(compute)
        forward = Forward(opened(name), compute)
        forward(torch.rand(batch, 3, side(name), side(name)))
        rates[str(batch)] = _passes(forward, name, SECONDS)
    return rates


def _passes(forward: Forward, name: str, duration: float = SECONDS / 2) -> float:
    images = torch.rand(forward.size, 3, side(name), side(name), device=DEVICE)
    images = images.contiguous(memory_format=forward.layout)

    def passed() -> int:
        started = [forward.start(images) for _ in range(AHEAD)]
        return sum(len(each()[0]) for each in started)

    passed()  # right after the first one, or one in float64, a pass is up to 5% slower
    return per_second(passed, duration)


class _Timed(Forward):
    """Measures the time of the float64 passes: on a GPU that between two events of its stream."""

    def __init__(self, network: torch.nn.Module, compute: Compute) -> None:
        super().__init__(network, compute)
        self._spans: list[tuple[torch.Event, torch.Event]] = []
        self._seconds = 0.0

    def start_float64(self, images: Tensor) -> Passed:
        if DEVICE == "cpu":
            start = time.perf_counter()
            out = super().start_float64(images)
            self._seconds += time.perf_counter() - start
            return out
        span = torch.Event(DEVICE, enable_timing=True), torch.Event(DEVICE, enable_timing=True)
        span[0].record()
        out = super().start_float64(images)
        span[1].record()
        self._spans.append(span)
        return out

    def taken(self) -> float:
        """Seconds since the last call; all passes have to be over."""
        seconds = self._seconds + sum(begin.elapsed_time(end) for begin, end in self._spans) / 1000
        self._seconds, self._spans = 0.0, []
        return seconds


def stage(name: str, families: Sequence[str], batch: int, compiled: bool, rate: float) -> dict[str, float]:
    """Rates of the extract stage without and with its float64 passes; warmed up, as in a shard of many samples."""
    compute = Compute(batch=batch, compile=compiled)
    configure(compute)
    forward = _Timed(opened(name), compute)
    passes = 1.5 * SECONDS * rate / PROCESSES
    radii = min(len(PAPER.radii) - 1, max(1, round(passes / DRAWS)))
    samples = max(1, round(passes / DRAWS / radii))
    ball = Ball(radii=tuple(map(float, range(1 + radii))), epsilon=1.0, draws=DRAWS)
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        pixels = np.random.default_rng(0).integers(0, 256, (samples, side(name), side(name), 3), dtype=np.uint8)
        np.savez(Path(folder) / "noise.npz", images=pixels, labels=np.zeros(samples, dtype=np.int64))
        spec = DatasetSpec("noise", "arrays", samples, 0.9, options={"root": f"{folder}/noise.npz"})
        pool = open_pool(spec, Path(folder))
        table = pd.DataFrame(
            {"sample": pool.names, "image": pool.names, "label": 0, "seed": range(samples), "shard": 0}
        )
        table["digest"] = [digest(pool.read(number)) for number in range(samples)]
        image = torch.zeros(side(name), side(name), 3, device=DEVICE)
        for family in families:
            perturbed_images(family, image, 0, 1.0, range(batch), ball, DEVICE)
        forward(torch.rand(batch, 3, side(name), side(name)))
        start_up = time.time() - psutil.Process().create_time()
        forward.float64(torch.rand(1, 3, side(name), side(name)))
        begun, after = time.perf_counter(), _passes(forward, name)
        limit = 2 * ROUNDS * SECONDS * len(families)
        while not rounds or (len(rounds) < ROUNDS and time.perf_counter() - begun < limit):
            rounds.append({})
            for family in families:
                before = after
                forward.taken()
                start = time.perf_counter()
                path = Path(folder) / f"{family}{len(rounds)}.zarr.zip"
                extract(family, forward, table, pool, ball, compute, path, {})
                seconds = time.perf_counter() - start
                exact = forward.taken()
                after = _passes(forward, name)
                around = (before + after) / 2
                rate = samples * passes_per_sample(ball, compute) / (seconds - exact)
                floored = samples * passes_per_sample(ball, compute) / seconds
                rounds[-1] |= {
                    f"{family} rate": rate,
                    f"{family} ÷ bare": rate / around / PROCESSES,
                    f"{family}, with floor": floored / around / PROCESSES,
                }
    return {"start-up": start_up / PROCESSES, **dict(pd.DataFrame(rounds).median())}


def plain(name: str) -> dict[str, float]:
    """Rate of a plain script."""
    network = opened(name).to(DEVICE)
    generator = np.random.default_rng(0)
    image = generator.random((3, side(name), side(name)))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():

        def passed(draws: int = DRAWS) -> int:
            noise = generator.uniform(-1, 1, (draws, *image.shape))
            noise *= 10 / np.linalg.norm(noise.reshape(draws, -1), axis=1)[:, None, None, None]
            logits, features = network(torch.from_numpy((image + noise).astype(np.float32)).to(DEVICE))
            np.save(f"{folder}/scores.npy", logits.softmax(dim=1).cpu().numpy())
            np.save(f"{folder}/features.npy", features.cpu().numpy())
            return draws

        passed(10)
        return {"rate": per_second(passed)}


def apart(processes: int, *arguments: object) -> dict[str, float]:
    """A measurement in processes of their own, at once: sums over them."""
    command = [sys.executable, __file__, "--one", json.dumps(arguments)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    printed = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"{arguments} failed")
    return dict(pd.DataFrame([json.loads(lines.splitlines()[-1]) for lines in printed]).sum())


def row(name: str) -> dict[str, object]:
    """All that is measured of a network."""
    eager = apart(PROCESSES, "bare", name, BATCHES, False)
    batch = max(eager, key=eager.__getitem__)
    best = eager[batch]
    if DEVICE == "cpu":
        best = max(best, apart(PROCESSES, "bare", name, [int(batch)], True)[batch])
    compiled = bool(best > eager[batch])
    before = apart(1, "plain", name)["rate"]
    measured = apart(PROCESSES, "stage", name, FAMILIES, int(batch), compiled, best)
    slow = (before + apart(1, "plain", name)["rate"]) / 2
    shard = SHARD * passes_per_sample(PAPER, Compute()) / best * PROCESSES
    return {
        "network": name,
        "eager": eager[batch],
        "bare": best,
        "form": f"{'compiled' if compiled else 'eager'}, batches of {batch}",
        "plain": slow,
        **{f"{family} ÷ bare": measured[f"{family} ÷ bare"] for family in FAMILIES},
        **{f"{family}, with floor": measured[f"{family}, with floor"] for family in FAMILIES},
        "uniform ÷ plain": measured["uniform rate"] / slow,
        "start-up, s": measured["start-up"],
        "start-up ÷ shard": measured["start-up"] / shard,
        "shard, core s": shard,
    }


def draw(table: pd.DataFrame) -> None:
    """The ratios to the bare pass as bars."""
    columns = ["uniform ÷ bare", "permuted ÷ bare", "uniform, with floor", "permuted, with floor"]
    colours = ListedColormap(["#0072b2", "#56b4e9", "#d55e00", "#e69f00"])
    axes = table.set_index("network")[columns].plot.bar(figsize=(7, 3), width=0.8, rot=0, fontsize=7, colormap=colours)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(ylabel="images/s ÷ best bare pass", xlabel="", ylim=(0, 1.2))
    axes.legend(ncols=4, fontsize=7, loc="upper center", frameon=False)
    plt.tight_layout()
    plt.savefig(stub.OUT / "extract.png", dpi=200)


def main(names: list[str]) -> None:
    """Print and draw."""
    stub.OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in names:
        rows.append(row(name))
        print(pd.DataFrame(rows[-1:]).T.to_string(header=False) + "\n", flush=True)
    table = pd.DataFrame(rows)
    table.round(3).to_csv(stub.OUT / "extract.csv", index=False)
    draw(table)
    share = float(table["start-up, s"].sum()) / float(table["shard, core s"].sum())
    machine = f"{platform.processor() or platform.machine()}, {stub.CORES} cores"
    if DEVICE == "cuda":
        machine = torch.cuda.get_device_name()
    print(f"start-up is {share:.2%} of the forward time of all of them at the paper's size")
    print(f"{machine}, torch {provenance.versions()['torch']}; see {stub.OUT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(FACTORIES), help="of " + ", ".join(FACTORIES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        what, *arguments = json.loads(given.one)
        measures: dict[str, Callable[..., dict[str, float]]] = {"bare": bare, "stage": stage, "plain": plain}
        print(json.dumps(measures[what](*arguments)))
    else:
        main(given.networks)
