"""The share of the noise floor in the extract stage's time: python benchmarks/float64_share.py [a configuration].

The stage passes the samples of a finished run again, the default one without an argument, as its jobs did, in this
process; nothing in the run's folder changes. The passes in float64 are timed apart.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml
from epsball import probes
from epsball.config import load_config
from epsball.data import open_pool
from epsball.networks import model
from epsball.networks.forward import Forward, Passed, configure
from epsball.perturbations import families
from epsball.stages.extract import extract
from epsball.stages.select import read_samples
from torch import Tensor

ROOT = Path(__file__).parent.parent


class Timed(Forward):
    """Measures processor seconds of passes, apart for those in float64."""

    single = double = 0.0
    images = exact = 0

    def start(self, images: Tensor) -> Passed:
        """See `Forward`."""
        begun = time.process_time()
        passed = super().start(images)
        self.single += time.process_time() - begun
        self.images += len(images)
        return passed

    def start_float64(self, images: Tensor) -> Passed:
        """See `Forward`."""
        begun = time.process_time()
        passed = super().start_float64(images)
        self.double += time.process_time() - begun
        self.exact += len(images)
        return passed


def main() -> None:
    """Print a row for each network, and one for all of them."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "config" / "config.yaml"
    config = load_config(yaml.safe_load(path.read_text(encoding="utf-8")))
    configure(config.compute)
    rows = {}
    for name, spec in config.networks.items():
        dataset = config.datasets[spec.dataset].source
        forward = Timed(model.restore(spec, config.folder / "networks" / name / "weights.safetensors"), config.compute)
        pool = open_pool(dataset, config.folder / "datasets" / dataset.name)
        samples = read_samples(config.folder / "samples" / f"{dataset.name}.csv")
        begun = time.process_time()
        for family in probes.families(config, name):
            ball = families.ball(config.ball, family)
            with tempfile.TemporaryDirectory() as folder:
                extract(family, forward, samples, pool, ball, config.compute, Path(folder, "a.zarr.zip"), {})
        rows[name] = {
            "images": forward.images,
            "in float64": forward.exact,
            "float32 s": forward.single,
            "float64 s": forward.double,
            "stage s": time.process_time() - begun,
        }
    table = pd.DataFrame(rows).T
    table.loc["all"] = table.sum()
    table["of passes"] = table["float64 s"] / (table["float32 s"] + table["float64 s"])
    table["of the stage"] = table["float64 s"] / table["stage s"]
    print(table.to_string(float_format=lambda number: f"{number:.3g}"))


if __name__ == "__main__":
    main()
