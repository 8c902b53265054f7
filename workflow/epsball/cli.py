"""The command line: `epsball check`, `epsball explain`. Thin over the library; Snakemake is the way to run a study."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from epsball.check import check
from epsball.config import Config, load_config
from epsball.datasets import open_pool
from epsball.errors import EpsballError, nearest
from epsball.inspection import inspect, layers
from epsball.records import explain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="epsball", description="What a ConvNet does in a small ball around an image.")
    commands = parser.add_subparsers(dest="command", required=True)
    look = commands.add_parser(
        "check",
        help="load every network and dataset of a configuration and pass some images through",
        description="Load every network and dataset of a configuration, pass some images through each network, and "
        "print parameters, features, accuracy, and the share of images that are right above the threshold. An accuracy "
        "far below the published one means a wrong channel order, normalisation or class list.",
    )
    look.add_argument("config", type=Path, help="the configuration, such as config/config.yaml")
    look.add_argument("--images", type=int, default=40, help="images of each dataset (default: 40)")
    look.add_argument("--layers", metavar="NETWORK", help="list a network's layers with their shapes instead")
    trace = commands.add_parser(
        "explain",
        help="say what made a file of a run",
        description="Say what made a table, store, figure or report of a run: when, from what, by which configuration, "
        "code, weights and data, and whether it has changed since.",
    )
    trace.add_argument("file", type=Path, help="the file, such as results/default/claims.tsv")
    given = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        if given.command == "explain":
            print("\n".join(explain(given.file)))
        else:
            _check(given)
    except EpsballError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _check(given: argparse.Namespace) -> None:
    config = _read(given.config)
    folder = Path("results") / config.run
    if given.layers:
        print(_layers(config, folder, given.layers).to_string(index=False))
    else:
        check(config, folder / "datasets")
        print(pd.DataFrame(inspect(config, folder, given.images)).to_string(index=False))


def _read(path: Path) -> Config:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EpsballError(f"configuration '{path}' cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise EpsballError(f"configuration '{path}' is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise EpsballError(f"configuration '{path}' holds no keys; see config/README.md")
    return load_config(raw)


def _layers(config: Config, folder: Path, name: str) -> pd.DataFrame:
    if name not in config.networks:
        raise EpsballError(f"--layers is '{name}', no network of the configuration; {nearest(name, config.networks)}")
    spec = config.networks[name]
    dataset = config.datasets[spec.dataset]
    return layers(spec, open_pool(dataset, folder / "datasets" / dataset.name))


if __name__ == "__main__":
    sys.exit(main())
