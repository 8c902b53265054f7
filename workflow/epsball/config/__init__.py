"""The configuration of a run: read once, checked whole, handed on as frozen dataclasses. Nobody else reads raw keys."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from epsball.config import sweeps, values
from epsball.config.keys import ATTACK_NAMES as ATTACK_NAMES
from epsball.config.keys import NORMS as NORMS
from epsball.config.keys import Attack as Attack
from epsball.config.keys import Ball as Ball
from epsball.config.keys import Compute as Compute
from epsball.config.keys import ConfigFile, DatasetKeys, RunSettings
from epsball.config.keys import NetworkSpec as NetworkSpec
from epsball.config.keys import Noise as Noise
from epsball.config.keys import Norm as Norm
from epsball.config.keys import Normaliser as Normaliser
from epsball.config.keys import Selection as Selection
from epsball.config.keys import TrainingSpec as TrainingSpec
from epsball.config.keys import WhiteBox as WhiteBox
from epsball.config.mistakes import contradictions, violations
from epsball.errors import EpsballError


@dataclass(frozen=True)
class DatasetSpec:
    """A source of images. `options` are the keys that its kind has of its own."""

    name: str
    kind: str
    samples: int
    threshold: float
    limit: int | None = None
    selection: Selection = "all"
    share: float = 1.0
    balanced: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> DatasetSpec:
        """The dataset as a source of images: which samples are wanted, and how many, is not part of it."""
        return DatasetSpec(name=self.name, kind=self.kind, samples=0, threshold=0.0, options=self.options)


@dataclass(frozen=True, kw_only=True)
class Config(RunSettings):
    """A run, whole and valid."""

    ball: Ball
    compute: Compute
    datasets: Mapping[str, DatasetSpec]
    networks: Mapping[str, NetworkSpec]

    @property
    def folder(self) -> Path:
        """Folder of the run, relative to the one that Snakemake works in."""
        return Path("results", self.run)

    def networks_of(self, dataset: str) -> list[NetworkSpec]:
        """Return the networks of a dataset, in the configuration's order."""
        return [network for network in self.networks.values() if network.dataset == dataset]

    def building(self, network: NetworkSpec) -> Compute:
        """Return the settings for building a network: training has its own threads, so it gives the same network."""
        threads = network.training.threads if network.training else self.compute.threads
        return Compute(threads=threads, device=self.compute.device)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration file."""
    return _file().json_schema()


@functools.cache
def _file() -> TypeAdapter[ConfigFile]:
    return TypeAdapter(ConfigFile)


def load_config(raw: Mapping[str, Any]) -> Config:
    """Check a configuration and fill in its defaults.

    Args:
        raw: content of the YAML file.

    Returns:
        The valid configuration.

    Raises:
        EpsballError: there are mistakes; the message has one line for each.
    """
    found: list[str] = []
    expanded = sweeps.expand(raw)
    raw = expanded.raw
    try:
        file = _file().validate_python(raw)
    except ValidationError as first:
        raw = values.as_meant(raw, first)
        try:
            file = _file().validate_python(raw)
        except ValidationError as error:
            found = list(violations(error, schema()))
    mistakes = [*expanded.mistakes, *expanded.condensed([*found, *contradictions(raw)])]
    if mistakes:
        raise EpsballError("\n".join(f"configuration: {mistake}" for mistake in mistakes))
    radii = (0.0, file.epsilon, *map(float, file.radii))
    return Config(
        **_values(RunSettings, file),
        ball=Ball(**_values(Ball, file) | {"radii": radii}),
        compute=Compute(**_values(Compute, file)),
        datasets={name: _dataset(name, entry, file) for name, entry in file.datasets.items()},
        networks={name: _network(name, entry) for name, entry in file.networks.items()},
    )


def _values(kind: type[Ball | Compute | RunSettings], file: ConfigFile) -> dict[str, Any]:
    return {key.name: getattr(file, key.name) for key in fields(kind)}


def _dataset(name: str, entry: DatasetKeys, file: ConfigFile) -> DatasetSpec:
    options = entry.model_dump(exclude=set(DatasetKeys.model_fields), exclude_none=True)
    return DatasetSpec(
        name=name,
        kind=entry.kind,
        samples=entry.samples or file.samples,
        threshold=entry.threshold or file.threshold,
        limit=entry.limit,
        selection=entry.selection,
        share=entry.share if entry.selection == "share" else 1.0,
        balanced=entry.balanced,
        options=dict(sorted(options.items())),
    )


def _network(name: str, entry: NetworkSpec) -> NetworkSpec:
    training = entry.training
    if training is None and entry.factory.startswith("sign:") and entry.weights is None:
        training = TrainingSpec()  # there are no weights of these to be had: they are trained
    return replace(entry, name=name, args=dict(sorted(entry.args.items())), training=training)
