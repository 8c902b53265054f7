"""Fingerprints of the stages: what decides a stage's files, in one place.

A stage's fingerprint has three parts: what it takes from the configuration, the code it runs, and the fingerprints of
the stages above it. It is the one parameter by which Snakemake decides whether a rule's files are current. `STAGES`
says for each stage what counts. This module stays free of PyTorch: rules ask it whenever they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from epsball import controls, probes
from epsball.config import Ball, Compute, Config, DatasetSpec, NetworkSpec
from epsball.controls import CONTROLS, with_own_features
from epsball.data import KINDS
from epsball.networks import sources
from epsball.perturbations import families
from epsball.perturbations.families import FAMILIES
from epsball.probes import PROBES, stored_probes, white_box_probes
from epsball.runs import provenance


@dataclass(frozen=True)
class Job:
    """What a stage's fingerprint depends on besides the code.

    Attributes:
        config: configuration of the run.
        dataset: name of the dataset, where the stage works on one.
        network: name of the network, where the stage works on one.
        probe: name of the probe, where the stage measures one.
        control: name of the control, where the stage works on one.
        split: "train" or "test", where the stage makes one.
    """

    config: Config
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
        return stored_probes(self.config, self.network)

    @property
    def controls(self) -> list[str]:
        """The network's controls."""
        return controls.chosen_controls(self.config, self.network)

    @property
    def passed(self) -> tuple[object, ...]:
        """What decides what comes out of the network: its configuration and files, and the images."""
        return self.spec, self.data.source, sources.files_digest(self.spec)

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

    def of_network(self, *stages: str) -> list[Above]:
        """Return these stages' jobs of the network."""
        return [(stage, Job(self.config, network=self.network)) for stage in stages]

    def of_networks(self, *stages: str) -> list[Above]:
        """Return these stages' jobs of all networks of the dataset, or of the run."""
        names = [spec.name for spec in self.networks] if self.dataset else self.config.networks
        return [(stage, Job(self.config, network=name)) for stage in stages for name in names]

    def of_datasets(self, *stages: str) -> list[Above]:
        """Return these stages' jobs of the dataset, or of all datasets of the run."""
        names = [self.data.name] if self.dataset or self.network else self.config.datasets
        return [(stage, Job(self.config, dataset=name)) for stage in stages for name in names]

    def rendered(self, *splits: str) -> list[Above]:
        """Return the jobs that render these splits of the dataset, if it is rendered."""
        made = splits if self.data.kind == "signs" else ()
        return [("render", Job(self.config, dataset=self.data.name, split=split)) for split in made]

    def parts(self) -> list[Above]:
        """Return the jobs that make the parts of the network's tables."""
        names = white_box_probes(self.config, self.network)
        white_box = [("measure_white_box", replace(self, probe=name)) for name in names]
        of_controls = self.of_network("measure_controls") if self.controls else []
        return [*self.of_network("measure"), *white_box, *of_controls]


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


STAGES = {
    "render": Stage(lambda job: (job.data.source, job.split)),
    "download": Stage(lambda job: job.data.source),
    "fetch": Stage(lambda job: job.spec),
    "build_network": Stage(
        lambda job: (job.spec, job.data.source, job.config.building(job.spec), job.config.seed),
        modules=Job.network_code,
        above=lambda job: job.rendered("train", "test"),
    ),
    "survey": Stage(
        lambda job: (job.passed, job.data.limit, job.forward),
        modules=Job.network_code,
        above=lambda job: job.of_network("build_network"),
    ),
    "survey_control": Stage(
        lambda job: (job.passed, job.data.limit, job.forward, job.control, job.config.seed),
        modules=lambda job: job.network_code(CONTROLS[job.control]),
        above=lambda job: job.of_network("build_network"),
    ),
    "select": Stage(
        lambda job: (job.data, [spec.name for spec in job.networks], job.config.seed, job.config.shard_size),
        above=lambda job: job.of_networks("survey"),
    ),
    "perturb": Stage(
        lambda job: (job.data.source, job.balls, job.config.compute.threads),
        modules=lambda job: [KINDS[job.data.kind], *(FAMILIES[name] for name in job.balls)],
        above=lambda job: job.rendered("test"),
    ),
    "extract": Stage(
        lambda job: (job.passed, job.balls, job.config.compute),
        modules=lambda job: job.network_code(*(FAMILIES[name] for name in job.balls)),
        above=lambda job: job.of_network("build_network"),
    ),
    "measure": Stage(
        lambda job: (
            job.balls,
            job.config.mantel_permutations,
            {name: PROBES[name].family for name in job.stored},
        ),
        modules=lambda job: [PROBES[name].module for name in job.stored],
        above=lambda job: [*job.of_network("survey", "extract"), *job.of_datasets("perturb")],
    ),
    "measure_white_box": Stage(
        lambda job: (job.passed, job.config.ball, job.forward, job.config.white_box),
        modules=lambda job: job.network_code(PROBES[job.probe].module, *FAMILIES.values()),
        above=lambda job: job.of_network("build_network", "survey"),
    ),
    "measure_controls": Stage(
        lambda job: [_control(job, name) for name in job.controls],
        modules=lambda job: [module for name in job.controls for module in _control_code(job, name)],
        above=lambda job: [
            *job.of_network("build_network", "survey"),
            *(("survey_control", replace(job, control=name)) for name in with_own_features(job.config, job.network)),
            *job.of_datasets("perturb"),
        ],
    ),
    "gather": Stage(above=Job.parts),
    "illustrate": Stage(
        lambda job: (
            job.networks,
            job.data.source,
            [sources.files_digest(spec) for spec in job.networks],
            job.config.ball,
            job.forward,
            job.config.illustration_grid,
        ),
        modules=lambda job: [
            *(KINDS[job.data.kind], FAMILIES["permuted"]),
            *map(sources.source, job.networks),
        ],
        above=lambda job: [*job.of_datasets("select"), *job.of_networks("extract")],
    ),
    "figures": Stage(
        lambda job: job.config,
        above=lambda job: [
            *job.of_networks("gather", "build_network", "survey"),
            *job.of_datasets("select", "illustrate"),
        ],
    ),
    "claims": Stage(
        lambda job: job.config,
        above=lambda job: [*job.of_networks("gather"), *job.of_datasets("select")],
    ),
    "report": Stage(
        lambda job: job.config,
        modules=lambda job: [*KINDS.values(), FAMILIES["uniform"], FAMILIES["permuted"]],
        above=lambda job: [("claims", job), ("figures", job)],
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


class Fingerprints:
    """The fingerprints of a run.

    Args:
        config: configuration of the run.
        scripts: folder of the stages' scripts, each named after its stage.
        modules: modules above this package that a stage loads by name, by stage.
    """

    def __init__(self, config: Config, scripts: Path, modules: Mapping[str, list[str]]) -> None:
        self._config, self._scripts, self._modules = config, scripts, modules
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, stage: str, **wildcards: str) -> str:
        """Return a stage's fingerprint: three named digests, so that a difference tells what has changed.

        Args:
            stage: name of the stage.
            wildcards: dataset, network, probe, control and split of its job, where its rule has them.
        """
        return self._of(stage, Job(self._config, **wildcards))

    def of_store(self, stage: str, family: str, **wildcards: str) -> str:
        """Return the digest of the code behind the store of one family, which another family cannot change.

        Args:
            stage: "perturb" or "extract".
            family: name of the family.
            wildcards: dataset or network of the job.
        """
        job = Job(self._config, **wildcards)
        modules = job.network_code() if job.network else [KINDS[job.data.kind]]
        return self._code(stage, [*modules, FAMILIES[family]])

    def of_control(self, network: str, control: str) -> str:
        """Return the fingerprint of one control's tables, which another control cannot change."""
        job = Job(self._config, network=network)
        code = self._code("measure_controls", _control_code(job, control))
        above = [self._of(*one) for one in job.of_network("build_network", "survey")]
        return provenance.digest(_control(job, control), code, above)

    def _of(self, stage: str, job: Job) -> str:
        key = (stage, job.dataset, job.network, job.probe, job.control, job.split)
        if key not in self._known:
            entry = STAGES[stage]
            configuration = provenance.digest(entry.configuration(job))
            code = self._code(stage, [*entry.modules(job), *self._modules.get(stage, [])])
            above = provenance.digest(stage, *(self._of(*one) for one in entry.above(job)))
            self._known[key] = f"configuration {configuration}, code {code}, above {above}"
        return self._known[key]

    def _code(self, stage: str, modules: Iterable[str]) -> str:
        return provenance.code_digest(self._scripts / f"{stage}.py", tuple(sorted(set(modules))))
