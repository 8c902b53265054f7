"""Where the files of a run are, and reading them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from epsball.config import Config
from epsball.errors import EpsballError
from epsball.stages.select import read_samples

COMPARED = "= 0"  # the bound of comparisons, which are no claims of the paper's


def read_claims(path: Path) -> pd.DataFrame:
    """A table of claims; see `epsball.analysis.verdicts.judge`. Cells of control and dataset that are empty are ""."""
    words = {"control": "str", "dataset": "str"}  # of some runs empty throughout
    return pd.read_csv(path, sep="\t", dtype=words).fillna(dict.fromkeys(words, ""))


class Results:
    """The files of a run.

    Every method raises an EpsballError where the run has not got that far.

    Args:
        config: of the run.
        folder: of the run.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder

    def claims(self) -> pd.DataFrame:
        """The claims and their verdicts; see `epsball.analysis.verdicts.judge`."""
        return read_claims(self._there("claims.tsv"))

    def metrics(self, network: str, probe: str) -> pd.DataFrame:
        """A probe's table of a network."""
        return pd.read_parquet(self._there("metrics", network, f"{probe}.parquet"))

    def samples(self, dataset: str) -> pd.DataFrame:
        """The samples of a dataset."""
        return read_samples(str(self._there("samples", f"{dataset}.csv")))

    def survey(self, network: str) -> pd.DataFrame:
        """A network's survey of its dataset's pool."""
        dataset = self.config.networks[network].dataset
        return pd.read_parquet(self._there("survey", dataset, f"{network}.parquet"))

    def card(self, network: str) -> dict[str, Any]:
        """A network's card; see `epsball.stages.build_network.build_network`."""
        path = self._there("networks", network, "card.json")
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def illustration(self, dataset: str) -> dict[str, NDArray[Any]]:
        """What Fig. 2 shows of a dataset; see `epsball.stages.illustrate.illustrate`."""
        with np.load(self._there("illustrations", f"{dataset}.npz"), allow_pickle=False) as arrays:
            return dict(arrays)

    def activations(self, network: str, family: str, shard: int) -> Path:
        """The store of a network's outputs; see `epsball.stages.extract.extract`."""
        return self._there("activations", network, family, f"{shard}.zarr.zip")

    def perturbations(self, dataset: str, family: str, shard: int) -> Path:
        """The store of what perturbations are; see `epsball.stages.perturb.perturb`."""
        return self._there("perturbations", dataset, family, f"{shard}.zarr.zip")

    def _there(self, *parts: str) -> Path:
        path = self.folder.joinpath(*parts)
        if not path.is_file():
            raise EpsballError(
                f"'{path}' is not there; the command that started the run goes on where it is not finished; of a "
                f"finished one `snakemake {path}`, with the same options, makes this file again"
            )
        return path
