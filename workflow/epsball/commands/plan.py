"""The cost of a run before it starts, from its configuration alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from epsball import controls, probes
from epsball.analysis.claims import unanswered
from epsball.config import Config, NetworkSpec
from epsball.data import missing, pool_size, training_size
from epsball.perturbations import families
from epsball.reporting.figures import names
from epsball.runs import files
from epsball.stages.extract import float64_passes_per_sample, passes_per_sample


@dataclass(frozen=True)
class _Nominal:
    """What is assumed of a network: images a second on one core and on one GPU, width of the features."""

    core: float
    gpu: float
    units: int


# Cores: measured on one of a 2.6 GHz server, or from the count of operations. GPUs: 5 TFLOP/s of plain float32, which
# a data centre's card of 2020 keeps up. Other machines differ by a factor of a few.
_NOMINAL = {
    "efficientnet-lite": _Nominal(55, 3000, 1280),
    "sign": _Nominal(350, 20_000, 300),
    "torchvision:alexnet": _Nominal(75, 3500, 4096),
    "torchvision:googlenet": _Nominal(28, 1650, 1024),
    "torchvision:vgg16": _Nominal(3.5, 160, 4096),
    "torchvision:resnet50": _Nominal(13, 610, 2048),
}
_UNKNOWN = _Nominal(10, 600, 2048)

_RATES = "rates.json"  # in a run's folder

_EXACT_COST = 5  # a pass in float64 against one in float32
_TRAINING_COST = 4  # a training step against a pass
_JOB_SECONDS = 3.5  # start-up of a job: mostly importing
_KEPT = 0.88  # of the features' size, after compression; radius 0 takes next to nothing
_SUMMARY_BYTES = 24  # of a draw's logits, after compression
_LIPSCHITZ_BYTES = 45  # of a draw's row in the tables
_SURVEY_BYTES = 100  # of an image's row


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        samples: at most.
        passes: images forward in float32.
        exact: images forward in float64.
        training: images forward and backward.
        core_seconds: of computing, on one core.
        gpu_seconds: the same on one GPU. Training runs on the CPU and is not in it.
    """

    samples: int
    passes: int
    exact: int
    training: int
    core_seconds: float
    gpu_seconds: float


def _nominal(spec: NetworkSpec) -> _Nominal:
    return _NOMINAL.get(spec.factory) or _NOMINAL.get(spec.factory.split(":", 1)[0], _UNKNOWN)


def keep_rates(rates: Mapping[str, float], folder: Path) -> None:
    """Keep images a second on one core, by network, for the plans of a run that has no cards yet."""
    with contextlib.suppress(OSError):
        files.write_text(folder / _RATES, json.dumps(dict(rates)) + "\n")


def measured(config: Config, folder: Path) -> dict[str, float]:
    """Images a second on one core of the networks that a run has a card of, or that `epsball check` has measured.

    Args:
        config: of the run.
        folder: of the run.
    """
    rates: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads((folder / _RATES).read_text(encoding="utf-8"))
        rates = {name: kept[name] for name in config.networks if name in kept}
    for name in config.networks:
        with contextlib.suppress(OSError, ValueError, KeyError):
            card = json.loads((folder / "networks" / name / "card.json").read_text(encoding="utf-8"))
            rates[name] = card["images_per_second"] / config.compute.threads
    return rates


def cost(config: Config, spec: NetworkSpec, rate: float | None = None) -> Cost:
    """The cost of a network, if every sample that is asked for is found.

    Args:
        config: of the run.
        spec: of the network.
        rate: images a second on one core; the nominal one where it is not known.
    """
    compute, dataset = config.compute, config.datasets[spec.dataset]
    balls = [families.ball(config.ball, name) for name in probes.families(config)]
    nominal = _nominal(spec)
    pool = pool_size(dataset)
    passes = pool + dataset.samples * sum(passes_per_sample(ball, compute) for ball in balls)
    exact = dataset.samples * sum(float64_passes_per_sample(ball, compute) for ball in balls)
    for name in probes.chosen_probes(config):
        if probes.is_white_box(name):
            passes += dataset.samples * probes.white_box_probe(name).passes(config.white_box, config.ball)
    for control in controls.chosen_controls(config):
        times, own = controls.passes(control), controls.has_own_features(control)
        drawn = [families.ball(config.ball, name) for name in controls.families(config, control)]
        passes += times * (pool * own + dataset.samples * sum(passes_per_sample(ball, compute) for ball in drawn))
        exact += times * dataset.samples * sum(float64_passes_per_sample(ball, compute) for ball in drawn)
    training = 0
    if spec.training is not None:
        training = round(training_size(dataset) * (1 - spec.training.validation)) * spec.training.epochs
        if spec.training.adversarial_radius:
            training *= 1 + spec.training.adversarial_steps
    work = passes + exact * _EXACT_COST
    return Cost(
        samples=dataset.samples,
        passes=passes,
        exact=exact,
        training=training,
        core_seconds=(work + training * _TRAINING_COST) / (rate or nominal.core),
        gpu_seconds=work / nominal.gpu,
    )


def disk(config: Config) -> dict[str, float]:
    """Bytes that each stage leaves, if every sample that is asked for is found."""
    pairs = (config.ball.draws - 1) / 2
    # Cells, a sample at a radius beyond 0, of a sample: in all families, and in those that keep features.
    cells = {name: len(families.ball(config.ball, name).radii) - 1 for name in probes.families(config)}
    kept = sum(count for name, count in cells.items() if families.family(name).KEEPS_FEATURES)
    every = sum(cells.values())
    draws = {name: spec.samples * config.ball.draws for name, spec in config.datasets.items()}
    lipschitz = cells["uniform"]
    networks = list(config.networks.values())
    return {
        "survey": sum(_SURVEY_BYTES * pool_size(config.datasets[network.dataset]) for network in networks),
        "perturbations": sum(count * (kept * pairs * 8 + every * 16) for count in draws.values()),
        "activations": sum(
            draws[network.dataset] * (kept * _nominal(network).units * 4 * _KEPT + every * _SUMMARY_BYTES)
            for network in networks
        ),
        # Each shard's part, and all of them gathered.
        "metrics": 2 * sum(draws[network.dataset] * lipschitz * _LIPSCHITZ_BYTES for network in networks),
    }


def duration(config: Config, cores: int, rates: Mapping[str, float]) -> str:
    """How long a run takes from nothing, in words; arguments as for `describe`."""
    seconds = sum(cost(config, spec, rates.get(spec.name)).core_seconds for spec in config.networks.values())
    seconds += _jobs(config) * _JOB_SECONDS
    return f"{_duration(seconds / cores)} on {cores} {'core' if cores == 1 else 'cores'}"


def describe(config: Config, cores: int, rates: Mapping[str, float]) -> str:
    """The plan of a run, for people.

    Args:
        config: of the run.
        cores: that it has.
        rates: images a second on one core of networks where they were measured; nominal ones are taken for others.
    """
    costs = {spec.name: cost(config, spec, rates.get(spec.name)) for spec in config.networks.values()}
    guessed = [spec.name for spec in config.networks.values() if _nominal(spec) is _UNKNOWN and spec.name not in rates]
    frame = pd.DataFrame(
        {
            "samples": [c.samples for c in costs.values()],
            "passes": [f"{c.passes:,}" for c in costs.values()],
            "float64": [f"{c.exact:,}" for c in costs.values()],
            "trained": [f"{c.training:,}" for c in costs.values()],
            "images/s": [f"{rates.get(spec.name, _nominal(spec).core):.1f}" for spec in config.networks.values()],
            "core h": [f"{c.core_seconds / 3600:.2f}" for c in costs.values()],
            "GPU h": [f"{c.gpu_seconds / 3600:.2f}" for c in costs.values()],
        },
        index=list(costs),
    )
    jobs, bytes_of = _jobs(config), disk(config)
    if not config.keep_activations:
        bytes_of["activations, each dropped once measured"] = bytes_of.pop("activations")
    lines = [
        f"Plan of run '{config.run}' (if all samples that are asked for are found; rates are nominal"
        f"{', but measured for ' + ', '.join(rates) if rates else ''}):",
        frame.to_string(),
        "Passes are forward passes, of the survey, draws of each family, probes that ask the network, and controls.",
        "In float64 they are those behind the noise floor; images/s is on one core.",
        "Disk: " + ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in bytes_of.items()) + ".",
        f"About {jobs} jobs, {duration(config, cores, rates)}, or "
        f"{_duration(sum(c.gpu_seconds for c in costs.values()))} on one GPU, from nothing.",
    ]
    if guessed:
        lines.append(f"Of {', '.join(guessed)} no rate is known, so that may be far off; `epsball check` measures it.")
    lines += unanswered(config)
    lines += [f"Not there yet: {lack}" for spec in config.datasets.values() if (lack := missing(spec)) is not None]
    return "\n".join(lines) + "\n"


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds / 3600:.1f} hours"


def _jobs(config: Config) -> int:
    shards = {name: -(-spec.samples // config.shard_size) for name, spec in config.datasets.items()}
    drawn, measured = len(probes.families(config)), len(probes.chosen_probes(config))
    surveyed = sum(controls.has_own_features(name) for name in config.controls)
    networks = sum(
        2 + 1 + surveyed + shards[spec.dataset] * (drawn + measured + len(config.controls))
        for spec in config.networks.values()
    )
    datasets = sum(2 + shards[name] * drawn + 2 * (spec.kind == "signs") for name, spec in config.datasets.items())
    return networks + datasets + len(names(config)) + 3
