"""A run, opened for reading: tables as pandas, stores as xarray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from epsball import controls, probes
from epsball.analysis.results import Results
from epsball.config import Config, load_config
from epsball.errors import EpsballError, did_you_mean
from epsball.perturbations import families
from epsball.runs import provenance_records
from epsball.runs.shards import joined
from epsball.runs.store import open_part
from epsball.stages.select import shard_rows, shards


def open_run(folder: str | Path) -> Run:
    """Open the folder of a run; nothing is read but its configuration, which the run has kept.

    Args:
        folder: such as ``results/default``.

    Raises:
        EpsballError: it is no folder of a run.
    """
    return Run(Path(folder))


class Run:
    """A run. Each table is read when it is asked for, and of stores what is looked at.

    Names that are not of the run, and files that it has not got to yet, are an EpsballError.

    Args:
        folder: of the run.

    Attributes:
        folder: of the run.
        config: its configuration, as it was last run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: Config = load_config(provenance_records.last_configuration(folder))
        self._results = Results(self.config, folder)

    @property
    def networks(self) -> list[str]:
        """Names of the networks."""
        return list(self.config.networks)

    @property
    def controls(self) -> list[str]:
        """Names of the controls, ``<network>~<control>``."""
        names = self.config.controls
        return [controls.name_of(network, name) for network in self.networks for name in names]

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets."""
        return list(self.config.datasets)

    @property
    def probes(self) -> list[str]:
        """Names of the probes."""
        return probes.chosen_probes(self.config)

    @property
    def families(self) -> list[str]:
        """Names of the families of perturbations that there are stores of."""
        return probes.families(self.config)

    @property
    def claims(self) -> pd.DataFrame:
        """The claims: a row for each claim and network, and for each control that it is compared with.

        Columns are those of ``claims.tsv``, see `epsball.analysis.verdicts.judge`; control is "" in a network's own
        row.
        """
        return self._results.claims()

    def metrics(self, probe: str, network: str | None = None) -> pd.DataFrame:
        """A probe's table.

        Args:
            probe: its name.
            network: a network or a control, ``<network>~<control>``; all networks by default.

        Returns:
            Column network, then those of the probe's own, see ``measure`` in `epsball.probes` (its module of that
            name): sample and radius (L2 norm on the [0, 1] scale, or 1/255) are among them for most.
        """
        if probe in probes.PROBES and probe not in self.probes:
            raise EpsballError(
                f"run '{self.config.run}' has not measured '{probe}'; add it to extra_probes of its configuration "
                "and run again"
            )
        self._require("probe", probe, self.probes)
        if network is None:
            return pd.concat([self.metrics(probe, name) for name in self.networks], ignore_index=True)
        self._require("network", network, [*self.networks, *self.controls])
        control = network.partition("~")[2]
        if control and probe not in controls.measured_by(self.config, control):
            raise EpsballError(f"'{network}' is not measured by '{probe}', which says nothing of this control")
        table = self._results.metrics(network, probe)
        table.insert(0, "network", network)
        return table

    def samples(self, dataset: str) -> pd.DataFrame:
        """The samples of a dataset: sample, image, label, seed, shard, digest, and score_<network> for each network."""
        self._require("dataset", dataset, self.datasets)
        return self._results.samples(dataset)

    def survey(self, network: str) -> pd.DataFrame:
        """A network's predictions and scores over the whole pool; see `epsball.stages.survey.survey`."""
        self._require("network", network, self.networks)
        return self._results.survey(network)

    def card(self, network: str) -> dict[str, Any]:
        """What a network is: parameters, accuracy, digest of its weights, versions."""
        self._require("network", network, self.networks)
        return self._results.card(network)

    def activations(self, network: str, family: str = "uniform") -> xr.Dataset:
        """What came out of a network for each perturbed image, lazily; see `epsball.stages.extract.extract`.

        Args:
            network: its name.
            family: of the perturbations.

        Returns:
            Logits' summary and, where a probe reads them, features, with dimensions sample (as in `samples`), radius,
            draw and unit, whatever the shards.
        """
        if network in self.controls:
            raise EpsballError(
                f"activations of the control '{network}' are not stored; its tables are: metrics(probe, '{network}')"
            )
        self._require("network", network, self.networks)
        self._require("family", family, self.families)
        if not self.config.keep_activations:
            raise EpsballError(
                f"run '{self.config.run}' has dropped its activations once they were measured; set keep_activations: "
                "true in its configuration and run again"
            )
        dataset = self.config.networks[network].dataset
        return self._stores(dataset, family, lambda shard: self._results.activations(network, family, shard))

    def perturbations(self, dataset: str, family: str = "uniform") -> xr.Dataset:
        """What the perturbations of a dataset's samples are, lazily; see `epsball.stages.perturb.perturb`.

        Args:
            dataset: its name.
            family: of the perturbations.

        Returns:
            Norms, root mean squares, shares outside of [0, 1] and, where a probe reads them, distances of pairs.
        """
        self._require("dataset", dataset, self.datasets)
        self._require("family", family, self.families)
        return self._stores(dataset, family, lambda shard: self._results.perturbations(dataset, family, shard))

    def _stores(self, dataset: str, family: str, path: Callable[[int], Path]) -> xr.Dataset:
        samples, ball = self._results.samples(dataset), families.ball(self.config.ball, family)
        parts = [
            open_part(path(shard), shard_rows(samples, shard), ball.radii, ball.draws, verify=False)
            for shard in shards(samples)
        ]
        return joined(parts).sel(sample=samples["sample"].tolist())

    def _require(self, what: str, name: str, known: Sequence[str]) -> None:
        if name not in known:
            raise EpsballError(f"'{name}' is no {what} of run '{self.config.run}'; {did_you_mean(name, known)}")

    def __repr__(self) -> str:
        lines = [f"Run '{self.config.run}' in {self.folder}"]
        for dataset in self.datasets:
            networks = ", ".join(network.name for network in self.config.networks_of(dataset))
            try:
                samples = f"{len(self.samples(dataset))} samples"
            except EpsballError:
                samples = "no samples yet"
            lines.append(f"  dataset   {dataset}, {samples}: {networks}")
        ball = self.config.ball
        radii = ", ".join(f"{radius:g}" for radius in ball.radii)
        lines += [f"  controls  {', '.join(self.config.controls)}"] if self.config.controls else []
        lines += [
            f"  probes    {', '.join(self.probes)}",
            f"  families  {', '.join(self.families)}",
            f"  ball      {ball.norm}, {ball.noise} noise, {ball.draws} draws, radii {radii}",
        ]
        return "\n".join(lines)
