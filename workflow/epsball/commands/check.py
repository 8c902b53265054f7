"""Load every network and dataset of a configuration and pass some images through.

  epsball check mine.yaml
  epsball check mine.yaml --layers mine

prints a table with one row for each network: parameters, features, images a
second on one core, accuracy, and the share of images that are right above the
threshold. An accuracy far below the published one means a wrong channel order,
normalisation or class list. Below it: the likely cause of a low accuracy, and
how long a run takes. Such a hint is no error: the exit code is 1 only for what
cannot run. With --layers: a network's layers, for its key `layer`. Paths in
the configuration are from the folder that you are in. The rates are kept in
results/<run>/rates.json, for `epsball plan` and the run.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from epsball.commands.arguments import add_path
from epsball.config import load_config
from epsball.config.reading import read_yaml
from epsball.errors import EpsballError, did_you_mean

if TYPE_CHECKING:
    from epsball.commands.inspection import Inspection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_path(parser, "config", "the configuration, such as config/config.yaml")
    parser.add_argument("--images", type=int, default=40, help="images of each dataset (default: 40)")
    parser.add_argument("--layers", metavar="NETWORK", help="list a network's layers with their shapes instead")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    import pandas as pd

    from epsball.commands import inspection, plan, preflight

    config = load_config(read_yaml(given.config))
    folder = Path("results") / config.run
    if name := given.layers:
        if name not in config.networks:
            hint = did_you_mean(name, config.networks)
            raise EpsballError(f"--layers is '{name}', no network of the configuration; {hint}")
        print(inspection.layers(config, config.networks[name], folder).to_string(index=False))
        return
    if given.images < 1:
        raise EpsballError(f"--images is {given.images}; it must be at least 1")
    preflight.check(config, folder / "datasets")
    found = inspection.inspect(config, folder, given.images)
    print(pd.DataFrame(map(_row, found)).to_string(index=False))
    for one in found:
        if hint := _hint(one):
            print(f"\n{one.network.name}: {hint}")
    rates = {one.network.name: round(one.rate, 1) for one in found}
    plan.keep_rates(rates, folder)
    print(f"\nAt these rates the whole run takes about {plan.duration(config, 1, rates)}.")


def _row(found: Inspection) -> dict[str, object]:
    return {
        "network": found.network.name,
        "dataset": found.dataset.name,
        "images": found.images,
        "parameters": found.parameters,
        "layer": found.network.layer or "into the last Linear",
        "units": found.units,
        "classes": found.classes,
        "images/s": round(found.rate, 1),
        "accuracy": f"{found.accuracy:.0%}" if found.trained else "not trained yet",
        "sure": f"{found.sure.value:.0%} above {found.dataset.threshold}" if found.trained else "",
    }


def _hint(found: Inspection) -> str:
    """Return a sentence that says what may be wrong and what to do; empty if nothing seems wrong."""
    if found.mismatch is not None:
        other = found.mismatch
        return f"{found.accuracy:.0%} right, but {other.right.mean():.0%} {other.assumption}: {other.advice}."
    if found.features_are_logits:
        return (
            f"the output of layer '{found.network.layer}' is the logits; what enters the classification layer is the "
            "output of the one before it, or, with `layer` left out, the input of the last Linear module."
        )
    expected, low, high = (round(part * found.pool) for part in found.sure)
    if not found.trained or expected >= found.dataset.samples:
        return ""
    threshold = found.dataset.threshold
    return (
        f"{round(found.sure.value * found.usable)} of {found.usable} images are right with a score above {threshold}, "
        f"so of {found.pool} about {expected} may be ({low} to {high} at 95%); {found.dataset.samples} samples are "
        f"asked for. If {found.accuracy:.0%} right is less than you know of the network, check normalisation and class "
        "list. If not, lower `threshold`, give more images, or do with fewer samples."
    )
