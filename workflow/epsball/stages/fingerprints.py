"""Fingerprints of the stages: what decides a stage's files, in one place.

A stage's fingerprint has four parts: what it takes from the configuration, the code it runs, the content of the user's
files that it reads, and the fingerprints of the stages above it. It is the one parameter by which Snakemake decides
whether a rule's files are current. `STAGES` says for each stage what counts. This module stays free of PyTorch: rules
ask it whenever they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from epsball import controls, probes
from epsball.config import Ball, Compute, Config, DatasetSpec, NetworkSpec
from epsball.controls import CONTROLS
from epsball.data import KINDS
from epsball.networks import sources
from epsball.perturbations import families
from epsball.perturbations.families import FAMILIES
from epsball.probes import PROBES
from epsball.runs import provenance
from epsball.stages.given import Given
from epsball.stages.studied import studied


@dataclass(frozen=True)
class Job:
    """What a stage's fingerprint depends on besides the code: the configuration, and the wildcards of its rule."""

    config: Config = field(compare=False)
    dataset: str = ""
    network: str = ""
    probe: str = ""
    control: str = ""
    split: str = ""

    @property
    def spec(self) -> NetworkSpec:
        """The network's configuration."""
        return self.config.networks[self.network]

    @property
    def data(self) -> DatasetSpec:
        """The configuration of the dataset, or of the network's."""
        return self.config.datasets[self.dataset or self.spec.dataset]

    @property
    def networks(self) -> list[NetworkSpec]:
        """The networks of the dataset."""
        return self.config.networks_of(self.data.name)

    @property
    def stored(self) -> list[str]:
        """The network's probes that read stores."""
        return probes.stored_probes(self.config, self.network)

    @property
    def controls(self) -> list[str]:
        """The network's controls."""
        return controls.chosen_controls(self.config, self.network)

    @property
    def passed(self) -> tuple[object, ...]:
        """What decides what comes out of the network, files of the user's aside: those are in the stages above."""
        return self.spec, self.data.source

    @property
    def forward(self) -> Compute:
        """What decides float32 passes: another number of float64 draws must not redo them."""
        return replace(self.config.compute, float64_draws=0)

    @property
    def balls(self) -> dict[str, Ball]:
        """The ball of each family that is read of the network, or of any, by name."""
        read = probes.families(self.config, self.network or None)
        return {name: families.ball(self.config.ball, name) for name in read}

    def network_code(self, *more: str) -> list[str]:
        """Return the registered modules behind the network, its images, and `more`."""
        return [KINDS[self.data.kind], sources.source(self.spec), *more]

    def network_packages(self, *more: str) -> list[str]:
        """Return the packages that decide what comes out of the network, and `more`."""
        return [*_PASSES, *sources.packages(self.spec), *more]

    def jobs(self, stage: str) -> list[Job]:
        """Return the jobs of a stage that work on the same network or dataset, or all jobs if this one has neither."""
        config = self.config
        datasets = [self.data] if self.dataset or self.network else list(config.datasets.values())
        match stage:
            case "figures" | "claims" | "illustrate":
                return [Job(config)]
            case "across_networks":
                return [Job(config)] if studied(config) else []
            case "render":
                signs = [data.name for data in datasets if data.kind == "signs"]
                return [Job(config, dataset=name, split=split) for name in signs for split in ("train", "test")]
            case "select" | "perturb":
                return [Job(config, dataset=data.name) for data in datasets]
        specs = [self.spec] if self.network else [spec for data in datasets for spec in config.networks_of(data.name)]
        made: list[Job] = []
        for job in (Job(config, network=spec.name) for spec in specs):
            match stage:
                case "measure_white_box":
                    made += [replace(job, probe=name) for name in probes.white_box_probes(config, job.network)]
                case "survey_control":
                    made += [replace(job, control=name) for name in controls.with_own_features(config, job.network)]
                case "measure_controls":
                    made += [job] if job.controls else []
                case _:
                    made.append(job)
        return made


@dataclass(frozen=True)
class Stage:
    """What decides the files of a stage."""

    configuration: Callable[[Job], object] = lambda job: None  # what it takes from the configuration
    modules: Callable[[Job], Iterable[str]] = lambda job: ()  # that it loads by name; what its script imports counts
    above: tuple[str, ...] = ()  # the stages that its inputs come from, see `Job.jobs`
    packages: Callable[[Job], Iterable[str]] = lambda job: ()  # whose versions decide the numbers that it computes
    # Whose files of the user's it reads, of its "network" or "dataset". One that reads images of samples alone has a
    # digest of their pixels.
    reads: tuple[str, ...] = ()


# What networks are passed through with, and what their probes are computed with.
_PASSES = ("numpy", "scipy", "torch")
_PROBES = ("numpy", "scikit-bio", "scipy")

STAGES = {
    "render": Stage(lambda job: (job.data.source, job.split), packages=lambda job: ["numpy"]),
    "download": Stage(lambda job: job.data.source),
    "fetch": Stage(lambda job: job.spec),
    "build_network": Stage(
        lambda job: (job.spec, job.data.source, job.config.building(job.spec), job.config.seed),
        modules=Job.network_code,
        above=("render",),
        packages=lambda job: job.network_packages(),
        reads=("network", "dataset"),
    ),
    "survey": Stage(
        lambda job: (job.passed, job.data.limit, job.forward),
        modules=Job.network_code,
        above=("build_network",),
        packages=lambda job: job.network_packages(),
        reads=("dataset",),
    ),
    "survey_control": Stage(
        lambda job: (job.passed, job.data.limit, job.forward, job.control, job.config.seed),
        modules=lambda job: job.network_code(CONTROLS[job.control]),
        above=("build_network",),
        packages=lambda job: job.network_packages(),
        reads=("dataset",),
    ),
    "select": Stage(
        lambda job: (job.data, [spec.name for spec in job.networks], job.config.seed, job.config.shard_size),
        above=("survey",),
    ),
    "perturb": Stage(
        lambda job: (job.data.source, job.balls, job.config.compute.threads),
        modules=lambda job: [KINDS[job.data.kind], *(FAMILIES[name] for name in job.balls)],
        above=("render",),
        packages=lambda job: ["numpy", "torch"],
    ),
    "extract": Stage(
        lambda job: (job.passed, job.balls, job.config.compute),
        modules=lambda job: job.network_code(*(FAMILIES[name] for name in job.balls)),
        above=("build_network",),
        packages=lambda job: job.network_packages(),
    ),
    "measure": Stage(
        lambda job: (
            job.balls,
            job.config.mantel_permutations,
            {name: PROBES[name].family for name in job.stored},
        ),
        modules=lambda job: [PROBES[name].module for name in job.stored],
        above=("survey", "extract", "perturb"),
        packages=lambda job: _PROBES,
    ),
    "measure_white_box": Stage(
        lambda job: (job.passed, job.config.ball, job.forward, job.config.white_box),
        modules=lambda job: job.network_code(PROBES[job.probe].module, *FAMILIES.values()),
        above=("build_network", "survey"),
        packages=lambda job: job.network_packages(*_PROBES),
    ),
    "measure_controls": Stage(
        lambda job: [_control(job, name) for name in job.controls],
        modules=lambda job: [module for name in job.controls for module in _control_code(job, name)],
        above=("build_network", "survey", "survey_control", "perturb"),
        packages=lambda job: job.network_packages(*_PROBES),
    ),
    "gather": Stage(above=("measure", "measure_white_box", "measure_controls")),
    "illustrate": Stage(
        lambda job: [_illustration(one) for one in job.jobs("select")],
        modules=lambda job: [
            *(module for one in job.jobs("select") for module in _illustration_code(one)),
            FAMILIES["uniform"],
        ],
        above=("select", "extract", "measure"),
        packages=lambda job: [name for each in job.jobs("extract") for name in each.network_packages()],
    ),
    "claims": Stage(lambda job: job.config, above=("gather", "select"), packages=lambda job: ["numpy", "scipy"]),
    "across_networks": Stage(
        lambda job: job.config,
        above=("gather", "select", "survey"),
        packages=lambda job: ["numpy", "scipy", "statsmodels"],
    ),
    "figures": Stage(
        lambda job: job.config,
        above=("gather", "build_network", "survey", "select", "illustrate", "claims", "across_networks"),
    ),
    "report": Stage(
        lambda job: job.config,
        modules=lambda job: KINDS.values(),
        above=("claims", "across_networks", "figures", "illustrate"),
    ),
}


def _control(job: Job, name: str) -> tuple[object, ...]:
    """Return what a control takes from the configuration."""
    config, measured = job.config, controls.measured_by(job.config, name, job.network)
    return name, measured, job.passed, config.ball, config.compute, config.mantel_permutations, config.seed


def _control_code(job: Job, name: str) -> list[str]:
    """Return the registered modules behind a control's tables."""
    measuring = [PROBES[probe].module for probe in controls.measured_by(job.config, name, job.network)]
    drawn = [FAMILIES[family] for family in controls.families(job.config, name, job.network)]
    return job.network_code(CONTROLS[name], *measuring, *drawn)


def _illustration(job: Job) -> tuple[object, ...]:
    """Return what Fig. 2 takes from the configuration for a dataset."""
    config = job.config
    return [each.passed for each in job.jobs("extract")], config.ball, job.forward, config.illustration_grid


def _illustration_code(job: Job) -> list[str]:
    """Return the registered modules behind Fig. 2 for a dataset."""
    return [KINDS[job.data.kind], FAMILIES["permuted"], *map(sources.source, job.networks)]


class Fingerprints:
    """The fingerprints of a run, whose stages have a script each.

    Modules above this package that a stage loads by name are given by stage; without `given`, no file of the user's
    counts.
    """

    def __init__(
        self, config: Config, scripts: Path, modules: Mapping[str, list[str]], given: Given | None = None
    ) -> None:
        self._config, self._scripts, self._modules, self._given = config, scripts, modules, given
        self._known: dict[tuple[str, Job], str] = {}

    def of(self, stage: str, **wildcards: str) -> str:
        """Return the fingerprint of a stage's job: four named digests, so that a difference tells what has changed."""
        return self._of(stage, Job(self._config, **wildcards))

    def is_of(self, facts: Mapping[str, Any]) -> bool:
        """Return whether a file was made as it would be now, by its record, or is none of this configuration's.

        Args:
            facts: what `epsball.runs.provenance_records.last` returned.
        """
        try:
            wildcards = {name: value for name, value in facts["wildcards"].items() if name != "shard"}
            asked = self.of(facts["rule"], **wildcards)
        except (KeyError, TypeError):  # of a network or a stage that there is no more
            return True
        return bool(facts["fingerprint"] == asked)

    def packages(self, stage: str, **wildcards: str) -> list[str]:
        """Return the packages whose versions decide the numbers that a stage's job computes, sorted."""
        return sorted(set(STAGES[stage].packages(Job(self._config, **wildcards))))

    def of_stores(self, stage: str, **wildcards: str) -> dict[str, str]:
        """Return the digest of the code behind each family's store, which another family cannot change."""
        job = Job(self._config, **wildcards)
        modules = job.network_code() if job.network else [KINDS[job.data.kind]]
        return {name: self._code(stage, [*modules, FAMILIES[name]]) for name in job.balls}

    def of_control(self, network: str, control: str) -> str:
        """Return the fingerprint of one control's tables, which another control cannot change."""
        job = Job(self._config, network=network)
        code = self._code("measure_controls", _control_code(job, control))
        return provenance.digest(_control(job, control), code, self._above(job, "build_network", "survey"))

    def of_illustration(self, dataset: str) -> str:
        """Return the fingerprint of a dataset's plane of Fig. 2, which another dataset or a probe cannot change."""
        job = Job(self._config, dataset=dataset)
        code = self._code("illustrate", _illustration_code(job))
        return provenance.digest(_illustration(job), code, self._above(job, "select", "extract"))

    def _of(self, stage: str, job: Job) -> str:
        if (stage, job) not in self._known:
            entry = STAGES[stage]
            configuration = provenance.digest(entry.configuration(job))
            code = self._code(stage, [*entry.modules(job), *self._modules.get(stage, [])])
            above = provenance.digest(stage, *self._above(job, *entry.above))
            given = provenance.digest([self._content(what, job) for what in entry.reads])
            self._known[stage, job] = f"configuration {configuration}, code {code}, given {given}, above {above}"
        return self._known[stage, job]

    def _above(self, job: Job, *stages: str) -> list[str]:
        return [self._of(stage, one) for stage in stages for one in job.jobs(stage)]

    def _content(self, what: str, job: Job) -> str:
        if self._given is None:
            return ""
        return self._given.network(job.network) if what == "network" else self._given.dataset(job.data.name)

    def _code(self, stage: str, modules: Iterable[str]) -> str:
        return provenance.code_digest(self._scripts / f"{stage}.py", tuple(sorted(set(modules))))
