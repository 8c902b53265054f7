"""The cost of a run before it starts, from its configuration alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from epsball import controls, probes
from epsball.analysis.claims import unanswered
from epsball.config import Config, DatasetSpec, NetworkSpec
from epsball.data import missing, pool_size, training_size
from epsball.errors import listed
from epsball.networks import sources
from epsball.perturbations import families
from epsball.runs import files
from epsball.stages.passes import float64_passes_per_sample, passes_per_sample
from epsball.stages.studied import studied

_SEEN = "seen.json"  # in a run's folder


@dataclass(frozen=True)
class Seen:
    """What a check or a run has seen of a network."""

    rate: float  # images a second on one core
    units: int  # width of the features


@dataclass(frozen=True)
class _Card:
    images_per_second: float
    units: int


class _Nominal(NamedTuple):
    """What is assumed of a network: images a second on one core and on one GPU, width of the features."""

    core: float
    gpu: float
    units: int  # unless another layer is asked for


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

_EXACT_COST = 5  # a pass in float64 against one in float32
_TRAINING_COST = 4  # a training step against a pass
_JOB_SECONDS = 3.5  # start-up of a job: mostly importing
_KEPT = 0.88  # of the features' size, after compression; radius 0 takes next to nothing
_SUMMARY_BYTES = 24  # of a draw's logits, after compression
_STORE_BYTES = {"perturbations": 20_000, "activations": 44_000}  # of what describes the arrays of a store
_CHUNK_BYTES = 200  # of what a store's archive says of each of its arrays and samples
_ARRAYS = {"perturbations": 5, "activations": 13}  # of a sample in a store, but for those with a chunk for each radius
_LIPSCHITZ_BYTES = 45  # of a draw's row in the tables
_SURVEY_BYTES = 100  # of an image's row
_NAMED = 8  # networks, at most, that a sentence names


class Cost(NamedTuple):
    """Cost of a network, if all requested samples are found."""

    passes: int  # images forward in float32
    exact: int  # images forward in float64
    training: int  # images forward and backward
    rate: float  # images a second on one core
    guessed: bool  # whether the rate was neither measured nor is known for its architecture
    core_seconds: float  # of computing on one core
    gpu_seconds: float  # the same on one GPU, without training, which runs on the CPU


def network(config: Config, spec: NetworkSpec, rate: float | None = None) -> Cost:
    """Return the cost of a network; `rate` is its images a second on one core, where that was measured."""
    compute, dataset, nominal = config.compute, config.datasets[spec.dataset], _nominal(spec)
    pool, samples = pool_size(dataset), dataset.samples
    balls = [families.ball(config.ball, name) for name in probes.families(config, spec.name)]
    passes = pool + samples * sum(passes_per_sample(ball, compute) for ball in balls)
    exact = samples * sum(float64_passes_per_sample(ball, compute) for ball in balls)
    for name in probes.white_box_probes(config, spec.name):
        passes += samples * probes.passes(name, config.white_box, config.ball)
    for control in controls.chosen_controls(config, spec.name):
        times, own = controls.passes(control), controls.has_own_features(control)
        drawn = [families.ball(config.ball, name) for name in controls.families(config, control, spec.name)]
        passes += times * (pool * own + samples * sum(passes_per_sample(ball, compute) for ball in drawn))
        exact += times * samples * sum(float64_passes_per_sample(ball, compute) for ball in drawn)
    training = 0
    if spec.training is not None:
        training = round(training_size(dataset) * (1 - spec.training.validation)) * spec.training.epochs
        if spec.training.adversarial_radius:
            training *= 1 + spec.training.adversarial_steps
    work = passes + exact * _EXACT_COST
    return Cost(
        passes=passes,
        exact=exact,
        training=training,
        rate=rate or nominal.core,
        guessed=rate is None and nominal is _UNKNOWN,
        core_seconds=(work + training * _TRAINING_COST) / (rate or nominal.core),
        gpu_seconds=work / nominal.gpu,
    )


def disk(config: Config, seen: Mapping[str, Seen]) -> dict[str, float]:
    """Return the bytes that each stage leaves, if all requested samples are found; see `seen_in`."""
    pairs = (config.ball.draws - 1) / 2
    # Cells, a sample at a radius beyond 0, of a sample: in all families, and in those that keep features.
    cells = {name: len(families.ball(config.ball, name).radii) - 1 for name in probes.families(config)}
    kept = sum(count for name, count in cells.items() if families.keeps_features(name))
    every = sum(cells.values())

    def described(stage: str, dataset: DatasetSpec) -> int:
        """Return the bytes of a dataset's stores of a stage beside their numbers."""
        shards = -(-dataset.samples // config.shard_size)
        chunks = dataset.samples * (len(cells) * _ARRAYS[stage] + kept)
        return shards * len(cells) * _STORE_BYTES[stage] + chunks * _CHUNK_BYTES

    draws = {name: spec.samples * config.ball.draws for name, spec in config.datasets.items()}
    specs = list(config.networks.values())
    return {
        "survey": sum(_SURVEY_BYTES * pool_size(config.datasets[spec.dataset]) for spec in specs),
        "perturbations": sum(
            draws[name] * (kept * pairs * 8 + every * 16) + described("perturbations", spec)
            for name, spec in config.datasets.items()
        ),
        "activations": sum(
            draws[spec.dataset] * (kept * _units(spec, seen) * 4 * _KEPT + every * _SUMMARY_BYTES)
            + described("activations", config.datasets[spec.dataset])
            for spec in specs
        ),
        # Each shard's part, and all of them gathered.
        "metrics": 2 * sum(draws[spec.dataset] * cells["uniform"] * _LIPSCHITZ_BYTES for spec in specs),
    }


def jobs(config: Config) -> int:
    """Return the number of jobs of a run, from nothing."""
    shards = {name: -(-spec.samples // config.shard_size) for name, spec in config.datasets.items()}
    # build_network, survey, gather; and for each shard extract and measure.
    of_networks = sum(
        3
        + len(controls.with_own_features(config, name))
        + sources.fetches(spec)
        + shards[spec.dataset] * (2 + len(probes.white_box_probes(config, name)) + _is_controlled(config, name))
        for name, spec in config.networks.items()
    )
    # select; and for each shard perturb.
    of_datasets = sum(
        1 + shards[name] + 2 * (spec.kind == "signs") + bool(spec.options.get("download"))
        for name, spec in config.datasets.items()
    )
    return of_networks + of_datasets + len(("illustrate", "figures", "claims", "report")) + bool(studied(config))


def _is_controlled(config: Config, network: str) -> bool:
    return bool(controls.chosen_controls(config, network))


def keep_seen(seen: Mapping[str, Seen], folder: Path) -> None:
    """Save what a check has seen of each network, by name, for the plans of a run that has no cards yet."""
    with contextlib.suppress(OSError):
        files.write_text(folder / _SEEN, json.dumps({name: asdict(each) for name, each in seen.items()}) + "\n")


def seen_in(config: Config, folder: Path) -> dict[str, Seen]:
    """Return what the run in a folder, or `epsball check`, has seen of the networks, by name."""
    kept = files.remembered(folder / _SEEN, dict[str, Seen]) or {}
    seen = {name: kept[name] for name in config.networks if name in kept}
    for name in config.networks:
        if (card := files.remembered(folder / "networks" / name / "card.json", _Card)) is not None:
            seen[name] = Seen(card.images_per_second / config.compute.threads, card.units)
    return seen


def _units(spec: NetworkSpec, seen: Mapping[str, Seen]) -> int:
    return seen[spec.name].units if spec.name in seen else _nominal(spec).units


def _widths(config: Config, seen: Mapping[str, Seen]) -> Iterator[str]:
    """Yield the networks' numbers of features, by which disk is counted: what was seen, and what is assumed."""
    for what, specs in (
        ("as seen", [spec for spec in config.networks.values() if spec.name in seen]),
        ("assumed", [spec for spec in config.networks.values() if spec.name not in seen]),
    ):
        units = dict.fromkeys(_units(spec, seen) for spec in specs)
        alike = {count: [spec.name for spec in specs if _units(spec, seen) == count] for count in units}
        if specs:
            yield ", ".join(f"{count:,} of {listed(names, _NAMED)}" for count, names in alike.items()) + f" ({what})"


def describe(config: Config, cores: int, seen: Mapping[str, Seen]) -> str:
    """Describe the cost of a run, for people; `seen` is what `seen_in` returns."""
    rates = {name: each.rate for name, each in seen.items()}
    costs = {name: network(config, spec, rates.get(name)) for name, spec in config.networks.items()}
    rows = [
        {
            "samples": config.datasets[config.networks[name].dataset].samples,
            "passes": f"{one.passes:,}",
            "float64": f"{one.exact:,}",
            "trained": f"{one.training:,}",
            "images/s": f"{one.rate:.1f}",
            "core h": f"{one.core_seconds / 3600:.2f}",
            "GPU h": f"{one.gpu_seconds / 3600:.2f}",
        }
        for name, one in costs.items()
    ]
    sizes = disk(config, seen)
    if not config.keep_activations:
        sizes["activations, each dropped once measured"] = sizes.pop("activations")
    on_gpu = _in_words(sum(one.gpu_seconds for one in costs.values()))
    lines = [
        f"Plan of run '{config.run}' (if all samples that are asked for are found; rates are nominal"
        f"{f', but measured for {listed(rates, _NAMED)}' if rates else ''}):",
        pd.DataFrame(rows, index=list(costs)).to_string(),
        "Passes are forward passes, of the survey, draws of each family, probes that ask the network, and controls.",
        "In float64 they are those behind the noise floor; images/s is on one core.",
        "Disk: " + ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in sizes.items()) + ".",
        f"Activations are of as many features: {'; '.join(_widths(config, seen))}.",
        f"About {jobs(config)} jobs, {duration(config, cores, rates)}, or {on_gpu} on one GPU, from nothing.",
    ]
    if guessed := [name for name, one in costs.items() if one.guessed]:
        names = listed(guessed, _NAMED)
        lines.append(f"Of {names} no rate is known, so that may be far off; `epsball check` measures it.")
    lines += unanswered(config)
    lines += [f"Not there yet: {lack}" for spec in config.datasets.values() if (lack := missing(spec)) is not None]
    return "\n".join(lines) + "\n"


def duration(config: Config, cores: int, rates: Mapping[str, float]) -> str:
    """Say how long a run takes from an empty folder; `rates` are images a second on one core, by network."""
    costs = [network(config, spec, rates.get(name)) for name, spec in config.networks.items()]
    seconds = sum(one.core_seconds for one in costs) + jobs(config) * _JOB_SECONDS
    return f"{_in_words(seconds / cores)} on {cores} {'core' if cores == 1 else 'cores'}"


def _in_words(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds / 3600:.1f} hours"


def _nominal(spec: NetworkSpec) -> _Nominal:
    return _NOMINAL.get(spec.factory) or _NOMINAL.get(spec.factory.split(":", 1)[0], _UNKNOWN)
