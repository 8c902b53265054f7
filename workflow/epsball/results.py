"""Where the files of a run are, and reading them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from epsball.config import Config
from epsball.selection import read_samples


class Results:
    """The tables of a run.

    Args:
        config: of the run.
        folder: of the run.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder

    def metrics(self, network: str, probe: str) -> pd.DataFrame:
        """A probe's table of a network."""
        return pd.read_parquet(self.folder / "metrics" / network / f"{probe}.parquet")

    def samples(self, dataset: str) -> pd.DataFrame:
        """The samples of a dataset."""
        return read_samples(str(self.folder / "samples" / f"{dataset}.csv"))

    def survey(self, network: str) -> pd.DataFrame:
        """A network's survey of its dataset's pool."""
        dataset = self.config.networks[network].dataset
        return pd.read_parquet(self.folder / "survey" / dataset / f"{network}.parquet")

    def card(self, network: str) -> dict[str, Any]:
        """A network's card; see `epsball.preparation.prepare`."""
        path = self.folder / "networks" / network / "card.json"
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return facts

    def illustration(self, dataset: str) -> dict[str, NDArray[Any]]:
        """What Fig. 2 shows of a dataset; see `epsball.illustration.illustrate`."""
        with np.load(self.folder / "illustrations" / f"{dataset}.npz", allow_pickle=False) as arrays:
            return dict(arrays)
