"""Say what a run will cost.

It needs only the configuration: no network is loaded and nothing is computed.

  epsball plan config/paper.yaml --cores 8

prints for each network its forward passes and hours on a core and on a GPU, at
the rate that `epsball check` or a run has measured, or at a nominal one; disk,
jobs and time of the whole; and the data that are not there yet. `snakemake -n`
says it too, and which jobs there are left to do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from epsball.commands.arguments import add_path
from epsball.config import Config, load_config
from epsball.config.reading import read_yaml

_RATES = "rates.json"  # in a run's folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_path(parser, "config", "the configuration, such as config/paper.yaml")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores of the run (default: all)")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    config = load_config(read_yaml(given.config))
    print(describe(config, given.cores, measured(config, Path("results") / config.run)), end="")


def keep_rates(rates: Mapping[str, float], folder: Path) -> None:
    """Save the images per second on one core, by network, for the plans of a run that has no cards yet."""
    from epsball.runs import files

    with contextlib.suppress(OSError):
        files.write_text(folder / _RATES, json.dumps(dict(rates)) + "\n")


def measured(config: Config, folder: Path) -> dict[str, float]:
    """Return images a second on one core of the networks that a run or `epsball check` has measured.

    Args:
        config: configuration of the run.
        folder: folder of the run.
    """
    rates: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads((folder / _RATES).read_text(encoding="utf-8"))
        rates = {name: kept[name] for name in config.networks if name in kept}
    for name in config.networks:
        with contextlib.suppress(OSError, ValueError, KeyError):
            card = json.loads((folder / "networks" / name / "card.json").read_text(encoding="utf-8"))
            rates[name] = card["images_per_second"] / config.compute.threads
    return rates


def describe(config: Config, cores: int, rates: Mapping[str, float]) -> str:
    """Describe the cost of a run, for people.

    Args:
        config: configuration of the run.
        cores: number of cores that the run has.
        rates: measured images per second on one core, by network; others get nominal rates.
    """
    import pandas as pd

    from epsball.analysis.claims import unanswered
    from epsball.commands import cost
    from epsball.data import missing

    costs = cost.networks(config, rates)
    table = pd.DataFrame(
        {
            "samples": {name: one.samples for name, one in costs.items()},
            "passes": {name: f"{one.passes:,}" for name, one in costs.items()},
            "float64": {name: f"{one.exact:,}" for name, one in costs.items()},
            "trained": {name: f"{one.training:,}" for name, one in costs.items()},
            "images/s": {name: f"{one.rate:.1f}" for name, one in costs.items()},
            "core h": {name: f"{one.core_seconds / 3600:.2f}" for name, one in costs.items()},
            "GPU h": {name: f"{one.gpu_seconds / 3600:.2f}" for name, one in costs.items()},
        }
    )
    sizes = cost.disk(config)
    if not config.keep_activations:
        sizes["activations, each dropped once measured"] = sizes.pop("activations")
    on_gpu = _in_words(sum(one.gpu_seconds for one in costs.values()))
    lines = [
        f"Plan of run '{config.run}' (if all samples that are asked for are found; rates are nominal"
        f"{', but measured for ' + ', '.join(rates) if rates else ''}):",
        table.to_string(),
        "Passes are forward passes, of the survey, draws of each family, probes that ask the network, and controls.",
        "In float64 they are those behind the noise floor; images/s is on one core.",
        "Disk: " + ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in sizes.items()) + ".",
        f"About {cost.jobs(config)} jobs, {duration(config, cores, rates)}, or {on_gpu} on one GPU, from nothing.",
    ]
    if guessed := [name for name, one in costs.items() if one.guessed]:
        lines.append(f"Of {', '.join(guessed)} no rate is known, so that may be far off; `epsball check` measures it.")
    lines += unanswered(config)
    lines += [f"Not there yet: {lack}" for spec in config.datasets.values() if (lack := missing(spec)) is not None]
    return "\n".join(lines) + "\n"


def duration(config: Config, cores: int, rates: Mapping[str, float]) -> str:
    """Say how long a run takes from an empty folder; arguments as for `describe`."""
    from epsball.commands import cost

    return f"{_in_words(cost.seconds(config, rates) / cores)} on {cores} {'core' if cores == 1 else 'cores'}"


def _in_words(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds / 3600:.1f} hours"
