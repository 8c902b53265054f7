"""The cost of a run before it starts, from its configuration, and from the networks' cards where there are some."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from epsball.activation import passes_per_sample
from epsball.config import Config, NetworkSpec
from epsball.errors import EpsballError
from epsball.families import FAMILIES, family
from epsball.probes import PROBES


@dataclass(frozen=True)
class _Nominal:
    """What is assumed of a source's networks: images a second on one core, width of the features."""

    rate: float
    units: int


# Measured on one core of a 2.6 GHz server; other machines differ by a factor of a few.
_NOMINAL = {"efficientnet-lite": _Nominal(55, 1280), "sign": _Nominal(350, 300)}
_UNKNOWN = _Nominal(10, 2048)

_EXACT_COST = 4  # a pass in float64 against one in float32
_TRAINING_COST = 4  # a training step against a pass
_JOB_SECONDS = 3.5  # start-up of a job: mostly importing
_KEPT = 0.9  # of the features' size, after compression
_POOL = {"photographs": 20, "signs": 3000}


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        samples: at most.
        passes: images forward in float32.
        exact: images forward in float64.
        training: images forward and backward.
        rate: images a second on one core.
        bytes: on disk.
    """

    samples: int
    passes: int
    exact: int
    training: int
    rate: float
    bytes: int

    @property
    def core_seconds(self) -> float:
        """Of computing, on one core."""
        return (self.passes + self.exact * _EXACT_COST + self.training * _TRAINING_COST) / self.rate


def cost(config: Config, spec: NetworkSpec) -> Cost:
    """The cost of a network, if every sample that is asked for is found."""
    ball, compute, dataset = config.ball, config.compute, config.datasets[spec.dataset]
    nominal = _NOMINAL.get(spec.factory.split(":", 1)[0], _UNKNOWN)
    radii = len(ball.radii) - 1
    families = len(FAMILIES)
    pool = dataset.options.get("test", dataset.limit or _POOL.get(dataset.kind, 0))
    passes = pool + families * dataset.samples * passes_per_sample(ball, compute)
    exact = families * dataset.samples * (radii * compute.floor_draws + 1)
    training = dataset.options["train"] * spec.training.epochs if spec.training else 0
    kept = sum(family(name).KEEPS_FEATURES for name in FAMILIES)
    numbers = dataset.samples * len(ball.radii) * ball.draws
    size = int(numbers * (families * 4 * 8 + kept * nominal.units * 4 * _KEPT + kept * (ball.draws - 1) / 2 * 8))
    return Cost(dataset.samples, passes, exact, training, nominal.rate, size)


def describe(config: Config, cores: int) -> str:
    """The plan of a run, for people."""
    costs = {spec.name: cost(config, spec) for spec in config.networks.values()}
    frame = pd.DataFrame(
        {
            "network": list(costs),
            "samples": [c.samples for c in costs.values()],
            "forward passes": [c.passes for c in costs.values()],
            "in float64": [c.exact for c in costs.values()],
            "training images": [c.training for c in costs.values()],
            "images/s a core": [round(c.rate) for c in costs.values()],
            "disk, MB": [round(c.bytes / 1e6) for c in costs.values()],
            "core minutes": [round(c.core_seconds / 60, 1) for c in costs.values()],
        }
    )
    jobs = _jobs(config)
    minutes = (sum(c.core_seconds for c in costs.values()) + jobs * _JOB_SECONDS) / 60 / cores
    lines = [
        f"Plan of run '{config.run}' (if all samples that are asked for are found; rates are nominal):",
        frame.to_string(index=False),
        f"About {jobs} jobs, {sum(c.bytes for c in costs.values()) / 1e6:.0f} MB on disk, "
        f"{minutes:.0f} minutes on {cores} {'core' if cores == 1 else 'cores'}, from nothing.",
    ]
    return "\n".join(lines) + "\n"


def _jobs(config: Config) -> int:
    shards = {name: -(-spec.samples // config.shard_size) for name, spec in config.datasets.items()}
    networks = sum(2 + 1 + shards[spec.dataset] * (len(FAMILIES) + len(PROBES)) for spec in config.networks.values())
    datasets = sum(
        2 + shards[name] * len(FAMILIES) + 2 * (spec.kind == "signs") for name, spec in config.datasets.items()
    )
    return networks + datasets + 11


def require_writable(folder: Path) -> None:
    """Find out before any computing whether a folder can be written.

    Raises:
        EpsballError: it cannot.
    """
    place = folder
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise EpsballError(f"'{place}' is not a folder that can be written; results go to '{folder}'")
