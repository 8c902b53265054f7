"""A run, opened for reading: tables as pandas, stores as xarray."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from epsball import controls, probes
from epsball.config import Config, load_config
from epsball.errors import EpsballError, did_you_mean
from epsball.perturbations import families
from epsball.runs import files, gaps, integrity, provenance_records
from epsball.stages.select import read_samples, shard_rows, shards

if TYPE_CHECKING:
    import xarray as xr

CLAIM_COLUMNS = (
    *("claim", "kind", "quantity", "statement", "network", "dataset", "threshold", "control"),
    *("estimate", "ci_low", "ci_high", "bound", "samples", "scale", "difference", "difference_low", "difference_high"),
    *("smallest", "verdict", "adjusted_verdict", "unavailable"),
)


def open_run(folder: str | Path) -> Run:
    """Open the folder of a run. Only the configuration that the run has kept is read at once.

    Args:
        folder: folder of the run, such as ``results/default``.

    Raises:
        EpsballError: it is not the folder of a run.
    """
    folder = Path(folder)
    return Run(load_config(provenance_records.last_configuration(folder)), folder)


def read_claims(path: Path) -> pd.DataFrame:
    """Read a claims table; see `epsball.analysis.verdicts.judge`. Empty cells of text columns become empty strings.

    Raises:
        EpsballError: it is not a claims table, or another version's.
    """
    words = {
        "quantity": "str",
        "dataset": "str",
        "control": "str",
        "unavailable": "str",
    }  # empty throughout in some runs
    table = files.read_table(path, dtype=words)
    if "unavailable" not in table:  # of an earlier version
        table["unavailable"] = ""
    if missing := [column for column in CLAIM_COLUMNS if column not in table]:
        raise EpsballError(f"'{path}' has no column {missing[0]}; expected the claims of a run, made by this version")
    return table.fillna(dict.fromkeys(words, ""))


class Run:
    """A run: its names, its tables and its stores. Each is read when you ask for it.

    An EpsballError says so of a name that the run does not have, a file that it has not got to yet, or one that is not
    what the run has made.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder

    @property
    def networks(self) -> list[str]:
        """Names of the networks."""
        return list(self.config.networks)

    @property
    def controls(self) -> list[str]:
        """Names of the controls, ``<network>~<control>``."""
        return [
            controls.name_of(network, name)
            for network in self.networks
            for name in controls.chosen_controls(self.config, network)
        ]

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
        """Names of the families of perturbations that have stores."""
        return probes.families(self.config)

    @property
    def claims(self) -> pd.DataFrame:
        """The table of claims, see `epsball.analysis.verdicts.judge`; control is "" in a network's own row."""
        return read_claims(self._existing("claims.tsv"))

    @property
    def properties(self) -> pd.DataFrame:
        """Local properties and adversarial distance by sample; see `epsball.analysis.properties.properties`."""
        return files.read_table(self._existing("properties.csv"))

    @property
    def across_networks(self) -> pd.DataFrame:
        """What goes with adversarial distance; see `epsball.analysis.across_networks.across_networks`."""
        return files.read_table(self._existing("across_networks.tsv"))

    def metrics(self, probe: str, network: str | None = None) -> pd.DataFrame:
        """Read the table of a probe.

        Args:
            probe: name of the probe.
            network: name of a network or of a control, ``<network>~<control>``; by default all networks that have it.

        Returns:
            Column network, then the probe's own columns: see ``measure`` in the probe's module in `epsball.probes`.
            Most have sample and radius (in the norm of the run).

        Raises:
            UnavailableError: the probe could not be measured, or was not asked for; its reason says which.
        """
        if probe in probes.PROBES and probe not in self.probes:
            raise EpsballError(
                f"run '{self.config.run}' has not measured '{probe}'; add it to extra_probes of its configuration "
                "and run again"
            )
        self._require("probe", probe, self.probes)
        if network is None:
            having = self.having(probe) or self.networks[:1]
            return pd.concat([self.metrics(probe, name) for name in having], ignore_index=True)
        self._require("network", network, [*self.networks, *self.controls])
        control = network.partition("~")[2]
        if control and probe not in controls.measured_by(self.config, control):
            raise EpsballError(f"'{network}' is not measured by '{probe}', which says nothing of this control")
        table = files.read_table(self._existing("metrics", network, f"{probe}.parquet"))
        if why := gaps.reason_of(table):
            raise gaps.UnavailableError(why, f"run '{self.config.run}' has no '{probe}' of '{network}': {why}")
        table.insert(0, "network", network)
        return table

    def unavailable(self, network: str, *names: str) -> str:
        """Return why one of these probes has no table of a network or of a control; empty if all have."""
        for probe in names:
            if why := gaps.read_reason(self._existing("metrics", network, f"{probe}.parquet")):
                return why
        return ""

    def having(self, *names: str) -> list[str]:
        """Return the networks of which all of these probes have a table."""
        return [network for network in self.networks if not self.unavailable(network, *names)]

    def gaps(self, *names: str) -> Iterator[str]:
        """Yield a sentence for each of these probes that could not be measured on a network, and for each control."""
        for network in [*self.networks, *self.controls]:
            own, _, control = network.partition("~")
            measured = [probe for probe in names if not control or probe in controls.measured_by(self.config, control)]
            reasons = {probe: self.unavailable(network, probe) for probe in measured}
            whys = {f"control {control}" if control else probe: why for probe, why in reasons.items() if why}
            yield from (
                f"{what} of {own} is not available: {why}." for what, why in whys.items() if why != gaps.LEFT_OUT
            )

    def samples(self, dataset: str, network: str = "") -> pd.DataFrame:
        """Read the samples of a dataset: all, or those that a network is measured on; see `epsball.stages.select`."""
        self._require("dataset", dataset, self.datasets)
        return read_samples(self._existing("samples", f"{dataset}.csv"), network)

    def survey(self, network: str) -> pd.DataFrame:
        """Read a network's predictions and scores over the whole pool; see `epsball.stages.survey.survey`."""
        self._require("network", network, self.networks)
        return files.read_table(self._existing("survey", self.config.networks[network].dataset, f"{network}.parquet"))

    def class_names(self, dataset: str) -> list[str]:
        """Return the names of a dataset's classes, as its surveys keep them; none where it does not tell them."""
        self._require("dataset", dataset, self.datasets)
        network = self.config.networks_of(dataset)[0].name
        path = self._existing("survey", dataset, f"{network}.parquet")
        return list(files.read_table(path, columns=[]).attrs.get("class_names", []))

    def card(self, network: str) -> dict[str, Any]:
        """Read what a network is: parameters, accuracy, digest of its weights, versions.

        See `epsball.stages.build_network.prepare`.
        """
        self._require("network", network, self.networks)
        return files.read_json(self._existing("networks", network, "card.json"))

    def illustration(self, dataset: str) -> dict[str, NDArray[Any]]:
        """Read what Fig. 2 shows of a dataset; see `epsball.stages.illustrate.illustrate`."""
        self._require("dataset", dataset, self.datasets)
        path = self._existing("illustrations", f"{dataset}.npz")
        with files.reading(path), np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def activations(self, network: str, family: str = "uniform") -> xr.Dataset:
        """Open what a network computed for each perturbed image, lazily; see `epsball.stages.extract.extract`.

        Returns:
            Summaries of the logits and, where a probe reads them, features, with dimensions sample (as in `samples`),
            radius, draw and unit, whatever the shards.
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
        samples = self.samples(self.config.networks[network].dataset, network)
        return self._stores(samples, family, "activations", network)

    def perturbations(self, dataset: str, family: str = "uniform") -> xr.Dataset:
        """Open what the perturbations of a dataset's samples are, lazily; see `epsball.stages.perturb.perturb`.

        Returns:
            Norms, root mean squares, shares outside [0, 1] and, where a probe reads them, distances of pairs.
        """
        self._require("dataset", dataset, self.datasets)
        self._require("family", family, self.families)
        return self._stores(self.samples(dataset), family, "perturbations", dataset)

    def _stores(self, samples: pd.DataFrame, family: str, *folder: str) -> xr.Dataset:
        """Join the stores of all shards, with the samples, radii and draws that the configuration asks for."""
        from epsball.runs.shards import joined  # these load Zarr, which a figure or a claim does without
        from epsball.runs.store import open_part

        ball = families.ball(self.config.ball, family)
        paths = {shard: self._existing(*folder, family, f"{shard}.zarr.zip") for shard in shards(samples)}
        parts = [
            open_part(path, shard_rows(samples, shard), ball.radii, ball.draws, verify=False)
            for shard, path in paths.items()
        ]
        return joined(parts).sel(sample=samples["sample"].tolist())

    def _existing(self, *parts: str) -> Path:
        path = self.folder.joinpath(*parts)
        if not path.is_file():
            raise EpsballError(
                f"'{path}' does not exist; if the run is unfinished, start it again with the same command; if it is "
                f"finished, `snakemake {path}`, with the same options, makes this file again"
            )
        integrity.require(path)
        return path

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
        facts = {
            "controls": ", ".join(controls.chosen_controls(self.config)),
            "probes": ", ".join(self.probes),
            "families": ", ".join(self.families),
            "ball": f"{ball.norm}, {ball.noise} noise, {ball.draws} draws, radii {radii}",
        }
        lines += [f"  {name:9} {words}" for name, words in facts.items() if words]
        return "\n".join(lines)
