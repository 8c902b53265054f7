"""Small images and networks with known answers, and the real stages over them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from epsball.config import Ball, Compute, WhiteBox
from epsball.data import Pool
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.probes import Context, family_of
from epsball.probes.normalisers import Scales
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.runs import store
from epsball.stages.extract import extract
from epsball.stages.measure import measure
from epsball.stages.perturb import perturb
from torch import Tensor, nn

ROOT = Path(__file__).parent.parent.parent
SIZE = 6
BALL = Ball(radii=(0.0, 0.1, 1.0, 3.0), epsilon=0.1, draws=12)
UNIFORM, PERMUTED_BASE, PERMUTATION = range(3)  # streams of the noise
CONTEXT = Context(Scales(1.0, 1.0), 199)
COMPUTE = Compute(batch=5, threads=1, device="cpu", float64_draws=3)


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


class Stages:
    """The real perturb, extract and measure stages over one small shard."""

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
        family = family_of(name)
        activations, perturbations = self.folder / "a.zarr.zip", self.folder / "p.zarr.zip"
        activations.unlink(missing_ok=True)
        perturbations.unlink(missing_ok=True)
        self.extract(module, family, activations, ball, compute, layer)
        perturb(family, self.samples, self.pool, ball, perturbations, {})
        return measure(name, self.samples, activations, perturbations, ball, context)

    def extract(
        self, module: nn.Module, family: str, path: Path, ball: Ball, compute: Compute, layer: str | None = None
    ) -> xr.Dataset:
        """The store of a network."""
        configure(compute)
        forward = Forward(Network(module.eval().requires_grad_(False), layer), compute)
        extract(family, forward, self.samples, self.pool, ball, compute, path, {})
        return store.open_store(path)


def white_box_input(
    module: nn.Module, image: Tensor, *, label: int = 0, layer: str | None = None, ball: Ball = BALL, **settings: Any
) -> WhiteBoxInput:
    """What a white-box probe is given of an image (3, height, width) and a network."""
    configure(COMPUTE)
    network = Network(module.eval().requires_grad_(False), layer)
    network.find_classifier(image)
    return WhiteBoxInput(
        sample="s0",
        image=image.permute(1, 2, 0),
        label=label,
        seed=11,
        network=network,
        network_name="net",
        forward=Forward(network, COMPUTE),
        ball=ball,
        settings=WhiteBox(**settings),
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
