"""Small datasets and networks with known answers, and the real stages over them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from epsball import forward, store
from epsball.activation import activate
from epsball.config import Ball, Compute, DatasetSpec, Direct, load_config
from epsball.datasets import Pool, arrays
from epsball.files import write_table
from epsball.forward import Forward, configure
from epsball.images import digest
from epsball.measurement import measure
from epsball.networks import Network
from epsball.perturbation import perturb
from epsball.probes import Context, probe
from epsball.subject import Subject
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent
SIZE = 6
BALL = Ball(radii=(0.0, 0.1, 1.0, 3.0), epsilon=0.1, draws=12)
UNIFORM, PERMUTED_BASE, PERMUTATION = range(3)  # streams of the noise
CONTEXT = Context(1.0, 1.0, 199)
COMPUTE = Compute(batch=5, threads=1, device="cpu", floor_draws=3)


def recipe(target: str) -> list[str]:
    """Lines that the Makefile runs for a target, once the environment is there."""
    command = ["make", "-n", "--no-print-directory", "-o", ".venv/.installed", target]
    # Those of a `make test` that runs this are for its own targets.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def pictures(count: int, size: int = SIZE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random images whose label, 0 to 2, is the channel that is brightest."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = generator.integers(60, 130, (count, size, size, 3))
    images[np.arange(count), :, :, labels] += 90
    return images.astype(np.uint8), labels


@pytest.fixture(autouse=True)
def shared_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of pytest takes a GPU for itself alone: it lives until the last test."""
    monkeypatch.setattr(forward, "own_gpu", lambda: 0)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Four small images."""
    images, labels = pictures(4)
    np.savez(tmp_path / "pool.npz", images=images, labels=labels)
    return arrays.load(tmp_path / "pool.npz")


@pytest.fixture
def samples(pool: Pool) -> pd.DataFrame:
    """All of them as a sample table."""
    return pd.DataFrame(
        {
            "sample": [f"s{number}" for number in range(len(pool))],
            "image": list(pool.names),
            "label": pool.labels,
            "seed": np.array([11, 2**63 + 5, 13, 14], dtype=np.uint64),
            "shard": 0,
            "digest": [digest(pool.read(number)) for number in range(len(pool))],
        }
    )


class Stages:
    """The real perturb, activate and measure stages over one small shard."""

    def __init__(self, folder: Path, samples: pd.DataFrame, pool: Pool) -> None:
        self.folder, self.samples, self.pool = folder, samples, pool

    def run(
        self,
        module: nn.Module,
        name: str,
        ball: Ball = BALL,
        compute: Compute = COMPUTE,
        layer: str | None = None,
        context: Context = CONTEXT,
    ) -> pd.DataFrame:
        """A probe's table of a network."""
        family = probe(name).FAMILY
        activations, perturbations = self.folder / "a.zarr.zip", self.folder / "p.zarr.zip"
        activations.unlink(missing_ok=True)
        perturbations.unlink(missing_ok=True)
        self.activate(module, family, activations, ball, compute, layer)
        perturb(family, self.samples, self.pool, ball, perturbations, {})
        return measure(name, self.samples, activations, perturbations, ball, context)

    def activate(
        self, module: nn.Module, family: str, path: Path, ball: Ball, compute: Compute, layer: str | None = None
    ) -> xr.Dataset:
        """The store of a network."""
        configure(compute)
        forward = Forward(Network(module.eval().requires_grad_(False), layer), compute)
        activate(family, forward, self.samples, self.pool, ball, compute, path, {})
        return store.open_store(path)


@pytest.fixture
def stages(tmp_path: Path, samples: pd.DataFrame, pool: Pool) -> Stages:
    return Stages(tmp_path, samples, pool)


@pytest.fixture
def dataset_spec() -> Callable[..., DatasetSpec]:
    """Makes a dataset's specification."""

    def make(kind: str = "arrays", **options: Any) -> DatasetSpec:
        return DatasetSpec(name="mine", kind=kind, samples=10, threshold=0.99, options=options)

    return make


def subject(
    module: nn.Module, image: Tensor, *, label: int = 0, layer: str | None = None, ball: Ball = BALL, **settings: Any
) -> Subject:
    """What a direct probe is given of an image (3, height, width) and a network."""
    configure(COMPUTE)
    network = Network(module.eval().requires_grad_(False), layer)
    return Subject(
        sample="s0",
        image=image.permute(1, 2, 0),
        label=label,
        seed=11,
        network=network,
        network_name="net",
        forward=Forward(network, COMPUTE),
        ball=ball,
        settings=Direct(**settings),
        scale=0.5,
    )


def conv_net(classes: int = 3, seed: int = 0) -> nn.Sequential:
    """A small convolutional network for images of SIZE."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(5 * 2 * 2, 7),
        nn.Tanh(),
        nn.Linear(7, classes),
    )


def sure_net(seed: int = 0) -> nn.Sequential:
    """A small convolutional network that is right and sure about all of `pictures`."""
    torch.manual_seed(seed)
    conv, head = nn.Conv2d(3, 3, 3), nn.Linear(3, 3)
    conv.weight.data = 0.03 * torch.randn(3, 3, 3, 3) + torch.eye(3)[:, :, None, None] / 9
    head.weight.data = 20 * torch.eye(3) + torch.randn(3, 3)
    return nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


MINIMAL_RUN = load_config(
    {
        "radii": [1, 10],
        "draws": 40,
        "bootstrap": 200,
        "datasets": {"mine": {"kind": "arrays", "root": "unused.npz"}},
        "networks": {"net": {"dataset": "mine", "factory": "a.b:c"}},
    }
)


def write_run(
    folder: Path,
    *,
    samples: int,
    growth: float,
    floor: float,
    radii: tuple[float, ...] = (0.0, 0.1, 1.0, 10.0),
    topology: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table,
) -> None:
    """Tables of a run of one network: ranges 0, 0.001, then growing with each radius; permuted, twice that."""
    names = [f"s{number}" for number in range(samples)]
    frame = pd.DataFrame(
        {"sample": names, "image": names, "label": 0, "seed": 1, "shard": 0, "digest": names, "score_net": 0.995}
    )
    write_table(folder / "samples" / "mine.csv", frame)
    rows = pd.DataFrame(
        [(name, radius, place) for name in names for place, radius in enumerate(radii)],
        columns=["sample", "radius", "place"],
    )
    size = np.where(rows["place"] == 0, 0, 0.001 * growth ** (rows["place"] - 1.0))
    for probe_name, factor in (("isotropy", 1), ("symmetry", 2)):
        table = rows.assign(range=factor * size, margin_range=factor * size, floor=floor, margin_floor=floor)
        table = table.assign(score_mean=0.99 - 0.01 * rows["place"], misclassified=np.where(rows["place"] > 2, 0.1, 0))
        write_table(folder / "metrics" / "net" / f"{probe_name}.parquet", table)
    rho = np.where(rows["place"] == 0, np.nan, 0.05)
    write_table(folder / "metrics" / "net" / "topology.parquet", topology(rows.assign(rho=rho, p_value=0.5)))
    d_in = rows["radius"] / 2
    ratio = np.where(rows["radius"] == 0, np.nan, 1.5)
    write_table(
        folder / "metrics" / "net" / "lipschitz.parquet",
        rows.assign(draw=0, d_in=d_in, d_out=1.5 * d_in, ratio=ratio, ratio_raw=ratio),
    )
    ends = rows[rows["radius"].isin((0.0, radii[-1]))].assign(p_value=0.001, condition=99.0)
    ends["rho_first"] = ends["rho_second"] = np.linspace(0, 1, len(ends))
    ends["rho"], ends["distance"], ends["shuffled"] = (
        np.where(ends["radius"] == 0, np.nan, x) for x in (0.8, 0.2, 0.7)
    )
    for probe_name in ("topology_mixed", "alpha", "alpha_mixed"):
        write_table(folder / "metrics" / "net" / f"{probe_name}.parquet", ends)
    _write_further(folder, rows, size)


def _write_further(folder: Path, rows: pd.DataFrame, size: np.ndarray) -> None:
    """Tables of the probes beyond the paper, with values at random that grow with the radius."""
    generator = np.random.default_rng(0)
    metrics = folder / "metrics" / "net"
    beyond = rows[rows["radius"] > 0]
    names = rows["sample"].unique()
    for name, factor in (("pixels", 1), ("channels", 1), ("patches", 1), ("coarse", 0.2)):
        ranges = rows.assign(range=factor * size, margin_range=factor * size)
        write_table(metrics / f"symmetry_{name}.parquet", ranges)
    write_table(metrics / "isotropy_coarse.parquet", rows.assign(range=size, margin_range=size))
    one = pd.DataFrame({"sample": names, "margin": generator.uniform(5, 9, len(names))})
    write_table(metrics / "gradient.parquet", one.assign(gradient_margin=generator.uniform(1, 2, len(names))))
    shares = {
        f"{quantity}_{order}": 1 - beyond["place"] / 5
        for quantity in ("score", "margin")
        for order in ("first", "second")
    }
    write_table(metrics / "expansion.parquet", beyond.assign(**shares))
    layers = beyond.merge(pd.DataFrame({"depth": range(4), "layer": ["image", "conv", "pool", "fc"]}), how="cross")
    layers = layers.assign(rho=1 - layers["depth"] / 5, relative=1.0 + layers["depth"], kind="")
    write_table(metrics / "depth.parquet", pd.concat([layers.assign(family=name) for name in ("uniform", "mixed")]))
    columns = ("sampled_rms", "sampled_max", "jacobian_norm", "margin_gradient", "clever_largest", "clever_lipschitz")
    bounds = one.assign(**{name: 10.0**place for place, name in enumerate(columns)}, global_bound=np.nan)
    write_table(
        metrics / "lipschitz_bounds.parquet", bounds.assign(unavailable="mul of two tensors is not on the list")
    )
    directions = pd.DataFrame(
        {"kind": ["random"] * 3 + ["attack"] * 2, "direction": ["0", "1", "2", "fgsm", "deepfool"]}
    )
    found = beyond.merge(directions, how="cross")
    distance = generator.uniform(0.5, 1.5, len(names)).repeat(len(found) // len(names))
    distance = np.where(found["kind"] == "random", np.where(found["direction"] == "2", np.inf, 40 * distance), distance)
    found = found.assign(
        score=1 / (1 + found["radius"]), distance=distance, censored=np.isinf(distance), flat=20.0, reach=80.0
    )
    write_table(metrics / "boundary.parquet", found)
    filters = pd.DataFrame({"filter": range(5), "measured": 10.0 ** np.arange(5)})
    filters = filters.merge(pd.DataFrame({"family": ["permuted", "coarse", "permuted_coarse"]}), how="cross")
    filters = filters.merge(one[["sample"]], how="cross").assign(spread=0.1)
    write_table(metrics / "frequency.parquet", filters.assign(white=filters["measured"], parseval=filters["measured"]))
