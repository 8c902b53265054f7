"""Fingerprints of the stages: what decides a stage's files, in one place.

A stage's fingerprint has three parts: what it takes from the configuration, the code it runs, and the fingerprints of
the stages above it. It is the one parameter by which Snakemake decides whether a rule's files are current. `STAGES`
says for each stage what counts. This module stays free of PyTorch: rules ask it whenever they are read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from epsball import controls, probes
from epsball.config import Ball, Compute, Config, DatasetSpec, NetworkSpec
from epsball.controls import CONTROLS
from epsball.data import KINDS
from epsball.networks import sources
from epsball.perturbations import families
from epsball.perturbations.families import FAMILIES
from epsball.probes import PROBES
from epsball.runs import provenance


@dataclass(frozen=True)
class Job:
    """Which files of a stage: the wildcards of its rule that its fingerprint depends on.

    Attributes:
        config: configuration of the run.
        dataset: name of the dataset; that of the network where there is one.
        network: name of the network.
        probe: name of the probe.
        split: "train" or "test".
    """

    config: Config
    dataset: str = ""
    network: str = ""
    probe: str = ""
    split: str = ""

    @property
    def network_spec(self) -> NetworkSpec:
        """The network's configuration."""
        return self.config.networks[self.network]

    @property
    def dataset_spec(self) -> DatasetSpec:
        """The configuration of the dataset, or of the network's."""
        return self.config.datasets[self.dataset or self.network_spec.dataset]

    @property
    def networks(self) -> list[NetworkSpec]:
        """The networks of the dataset."""
        return self.config.networks_of(self.dataset_spec.name)

    @property
    def balls(self) -> dict[str, Ball]:
        """What is drawn of the ball, by family."""
        return {name: families.ball(self.config.ball, name) for name in probes.families(self.config)}

    @property
    def stored_probes(self) -> list[str]:
        """The probes of the run that read stores."""
        return [name for name in probes.chosen_probes(self.config) if not probes.is_white_box(name)]

    @property
    def white_box_probes(self) -> list[str]:
        """The probes of the run that ask the network itself."""
        return [name for name in probes.chosen_probes(self.config) if probes.is_white_box(name)]


Above = tuple[str, Job]


@dataclass(frozen=True)
class Stage:
    """What decides the files of a stage.

    Attributes:
        configuration: what it takes from the configuration.
        modules: registered modules that it loads by name; what its script imports counts by itself.
        above: stages that its inputs come from.
    """

    configuration: Callable[[Job], object] = lambda job: None
    modules: Callable[[Job], Iterable[str]] = lambda job: ()
    above: Callable[[Job], Iterable[Above]] = lambda job: ()


def _forward(config: Config) -> Compute:
    """What forward passes depend on, and no more: another number of float64 draws must not redo them."""
    return replace(config.compute, float64_draws=0)


def _network_modules(job: Job) -> list[str]:
    return [KINDS[job.dataset_spec.kind], *sources.modules(job.network_spec)]


def _passed(job: Job) -> tuple[object, ...]:
    """What decides the passes of a network over images: its files and a dataset's."""
    return job.network_spec, job.dataset_spec.source, sources.files_digest(job.network_spec)


def _rendered(job: Job, *splits: str) -> list[Above]:
    made = job.dataset_spec.kind == "signs"
    return [("render", Job(job.config, dataset=job.dataset_spec.name, split=split)) for split in splits if made]


def _of_network(job: Job, *stages: str) -> list[Above]:
    return [(stage, Job(job.config, network=job.network)) for stage in stages]


def _of_dataset(job: Job, *stages: str) -> list[Above]:
    return [(stage, Job(job.config, dataset=job.dataset_spec.name)) for stage in stages]


def _of_all_networks(job: Job, *stages: str) -> list[Above]:
    return [(stage, Job(job.config, network=name)) for stage in stages for name in job.config.networks]


def _of_all_datasets(job: Job, *stages: str) -> list[Above]:
    return [(stage, Job(job.config, dataset=name)) for stage in stages for name in job.config.datasets]


def _tables(job: Job) -> list[Above]:
    return [*_of_all_networks(job, "gather"), *_of_all_datasets(job, "select")]


def _gathered(job: Job) -> list[Above]:
    asked = [("measure_white_box", replace(job, probe=name)) for name in job.white_box_probes]
    return [
        *_of_network(job, "measure"),
        *asked,
        *(_of_network(job, "measure_controls") if job.config.controls else []),
    ]


def _figure_inputs(job: Job) -> list[Above]:
    return [*_tables(job), *_of_all_datasets(job, "illustrate"), *_of_all_networks(job, "build_network", "survey")]


STAGES = {
    "render": Stage(
        configuration=lambda job: (job.dataset_spec.source, job.split),
    ),
    "download": Stage(
        configuration=lambda job: job.dataset_spec.source,
    ),
    "fetch": Stage(
        configuration=lambda job: job.network_spec,
    ),
    "build_network": Stage(
        configuration=lambda job: (
            job.network_spec,
            job.dataset_spec.source,
            job.config.building(job.network_spec),
            job.config.seed,
        ),
        modules=_network_modules,
        above=lambda job: _rendered(job, "train", "test"),
    ),
    "survey": Stage(
        configuration=lambda job: (*_passed(job), job.dataset_spec.limit, _forward(job.config)),
        modules=_network_modules,
        above=lambda job: _of_network(job, "build_network"),
    ),
    "survey_controls": Stage(
        configuration=lambda job: (
            *_passed(job),
            job.dataset_spec.limit,
            _forward(job.config),
            controls.with_own_features(job.config),
            job.config.seed,
        ),
        modules=lambda job: [
            *_network_modules(job),
            *(CONTROLS[name] for name in controls.with_own_features(job.config)),
        ],
        above=lambda job: _of_network(job, "build_network"),
    ),
    "select": Stage(
        configuration=lambda job: (
            job.dataset_spec,
            [network.name for network in job.networks],
            job.config.seed,
            job.config.shard_size,
        ),
        above=lambda job: [("survey", Job(job.config, network=network.name)) for network in job.networks],
    ),
    "perturb": Stage(
        configuration=lambda job: (job.dataset_spec.source, job.balls, job.config.compute.threads),
        modules=lambda job: [KINDS[job.dataset_spec.kind], *(FAMILIES[name] for name in job.balls)],
        above=lambda job: _rendered(job, "test"),
    ),
    "extract": Stage(
        configuration=lambda job: (*_passed(job), job.balls, job.config.compute),
        modules=lambda job: [*_network_modules(job), *(FAMILIES[name] for name in job.balls)],
        above=lambda job: _of_network(job, "build_network"),
    ),
    "measure": Stage(
        configuration=lambda job: (
            job.balls,
            job.config.mantel_permutations,
            {name: PROBES[name].family for name in job.stored_probes},
        ),
        modules=lambda job: [PROBES[name].module for name in job.stored_probes],
        above=lambda job: [*_of_network(job, "survey", "extract"), *_of_dataset(job, "perturb")],
    ),
    "measure_white_box": Stage(
        configuration=lambda job: (*_passed(job), job.config.ball, _forward(job.config), job.config.white_box),
        modules=lambda job: [*_network_modules(job), PROBES[job.probe].module, *FAMILIES.values()],
        above=lambda job: _of_network(job, "build_network", "survey"),
    ),
    "measure_controls": Stage(
        configuration=lambda job: (
            *_passed(job),
            job.config.ball,
            job.config.compute,
            job.config.mantel_permutations,
            job.config.seed,
            {name: controls.measured_by(job.config, name) for name in job.config.controls},
        ),
        modules=lambda job: [
            *_network_modules(job),
            *(CONTROLS[name] for name in job.config.controls),
            *(PROBES[name].module for name in job.stored_probes),
            *(FAMILIES[name] for name in job.balls),
        ],
        above=lambda job: [
            *_of_network(job, "build_network", "survey"),
            *(_of_network(job, "survey_controls") if controls.with_own_features(job.config) else []),
            *_of_dataset(job, "perturb"),
        ],
    ),
    "gather": Stage(
        above=_gathered,
    ),
    "illustrate": Stage(
        configuration=lambda job: (
            job.networks,
            job.dataset_spec.source,
            [sources.files_digest(network) for network in job.networks],
            job.config.ball,
            _forward(job.config),
            job.config.illustration_grid,
        ),
        modules=lambda job: [
            KINDS[job.dataset_spec.kind],
            FAMILIES["permuted"],
            *(module for network in job.networks for module in sources.modules(network)),
        ],
        above=lambda job: [
            *_of_dataset(job, "select"),
            *(("extract", Job(job.config, network=network.name)) for network in job.networks),
        ],
    ),
    "figures": Stage(
        configuration=lambda job: job.config,
        above=_figure_inputs,
    ),
    "claims": Stage(
        configuration=lambda job: job.config,
        above=_tables,
    ),
    "report": Stage(
        configuration=lambda job: job.config,
        modules=lambda job: [*KINDS.values(), FAMILIES["uniform"], FAMILIES["permuted"]],
        above=lambda job: [("claims", Job(job.config)), ("figures", Job(job.config))],
    ),
}


class Fingerprints:
    """The fingerprints of a run.

    Args:
        config: configuration of the run.
        scripts: folder of the stages' scripts, each named after its stage.
        modules: by stage, modules above this package that it loads by name.
    """

    def __init__(self, config: Config, scripts: Path, modules: dict[str, list[str]]) -> None:
        self._config, self._scripts, self._modules = config, scripts, modules
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, stage: str, **wildcards: str) -> str:
        """Return a stage's fingerprint: three named digests, so that a change of one tells what has changed.

        Args:
            stage: name of the stage.
            wildcards: dataset, network, probe and split of its job, where its rule has them.
        """
        return self._of(stage, Job(self._config, **wildcards))

    def code(self, stage: str, modules: Iterable[str] = ()) -> str:
        """Return the digest of the code of a stage's script and of modules that it loads by name."""
        return _code(self._scripts / f"{stage}.py", tuple(modules))

    def extraction(self, network: str, family: str) -> str:
        """Return the digest of the code behind a network's store of one family, which another family cannot change."""
        return self.code("extract", [*_network_modules(Job(self._config, network=network)), FAMILIES[family]])

    def perturbation(self, dataset: str, family: str) -> str:
        """Return the digest of the code behind a dataset's store of one family."""
        return self.code("perturb", [KINDS[self._config.datasets[dataset].kind], FAMILIES[family]])

    def control(self, network: str, control: str) -> str:
        """Return what decides a control's tables of one network, which another control cannot change."""
        job = Job(self._config, network=network)
        names = controls.measured_by(self._config, control)
        drawn = controls.families(self._config, control)
        modules = [CONTROLS[control], *(PROBES[name].module for name in names), *(FAMILIES[name] for name in drawn)]
        code = self.code("measure_controls", [*_network_modules(job), *modules])
        above = [self._of(*one) for one in _of_network(job, "build_network", "survey")]
        config = self._config
        values = (_passed(job), config.ball, config.compute, config.mantel_permutations, config.seed, names)
        return provenance.digest(code, values, above)

    def _of(self, stage: str, job: Job) -> str:
        key = (stage, job.dataset, job.network, job.probe, job.split)
        if key not in self._known:
            entry = STAGES[stage]
            configuration = provenance.digest(entry.configuration(job))
            code = self.code(stage, [*entry.modules(job), *self._modules.get(stage, [])])
            above = provenance.digest(stage, *(self._of(*one) for one in entry.above(job)))
            self._known[key] = f"configuration {configuration}, code {code}, above {above}"
        return self._known[key]


@functools.cache
def _code(script: Path, modules: tuple[str, ...]) -> str:
    return provenance.code_digest(script, modules)
