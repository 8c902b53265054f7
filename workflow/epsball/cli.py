"""The command line: `epsball check`, `explain`, `compare`, `readings`, `sensitivity`. Thin over the library.

Snakemake is the way to run a study.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from epsball import files, readings
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
    _add_compare(commands)
    _add_readings(commands)
    given = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        match given.command:
            case "explain":
                print("\n".join(explain(given.file)))
            case "compare":
                _compare(given)
            case "readings":
                _write_readings(given)
            case "sensitivity":
                _compare_readings(given.folder)
            case _:
                _check(given)
    except EpsballError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    beside = commands.add_parser(
        "compare",
        help="compare the verdicts and configurations of two runs",
        description="Say which keys of the configuration two runs differ in, and which verdicts. Networks and claims "
        "that one of them alone has are named.",
    )
    beside.add_argument("run_a", type=Path, metavar="RUN_A", help="folder of a run, such as results/default")
    beside.add_argument("run_b", type=Path, metavar="RUN_B", help="folder of another")
    beside.add_argument("--html", type=Path, metavar="FILE", help="write a page with all numbers side by side, too")


def _compare(given: argparse.Namespace) -> None:
    from epsball import compare  # takes a second

    runs = given.run_a, given.run_b
    print("\n".join(compare.summary(compare.compare(*runs), compare.configuration_differences(*runs))))
    if given.html:
        files.write_text(given.html, compare.page(*runs))
        print(f"\nPage: {given.html}")


def _add_readings(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    write = commands.add_parser(
        "readings",
        help="write a configuration for each reading of the paper",
        description="Write the configuration of each reading of the paper: the given one, and each that differs from "
        "it in the norm, epsilon, clipping, the kind of noise or the threshold. Print the commands that run them; the "
        "first is needed by the others, which take the weights of its networks.",
    )
    write.add_argument("config", type=Path, help="the configuration to start from, such as config/sensitivity.yaml")
    write.add_argument("folder", type=Path, help="where to write them, <reading>.yaml")
    write.add_argument("--cores", default="all", help="of the commands that are printed (default: all)")
    compare = commands.add_parser(
        "sensitivity",
        help="compare the verdicts under every reading of the paper",
        description="Read the claims of the runs of all readings, write sensitivity.tsv and the figure beside the "
        "folder results/<run>-<reading> of each, in results/<run>/, and say which verdicts depend on the reading. A "
        "reading whose configuration was removed is left out.",
    )
    compare.add_argument("folder", type=Path, help="where `epsball readings` wrote the configurations")


def _write_readings(given: argparse.Namespace) -> None:
    for name, raw in readings.readings(_raw(given.config)).items():
        path = given.folder / f"{name}.yaml"
        files.write_text(path, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))
        command = ["snakemake", f"results/{raw['run']}/claims.tsv", "--cores", given.cores, "--configfile", str(path)]
        print(shlex.join(command))


def _compare_readings(folder: Path) -> None:
    from epsball import figures
    from epsball.figures import sensitivity, style  # takes a second

    raw = _raw(folder / f"{readings.BASE}.yaml")
    base = load_config(raw)
    run = base.run.removesuffix(readings.run_of("", readings.BASE))
    found = [name for name in readings.readings(raw | {"run": run}) if (folder / f"{name}.yaml").is_file()]
    table = readings.compare({name: Path("results") / readings.run_of(run, name) for name in found})
    path = Path("results") / run / "sensitivity.tsv"
    files.write_table(path, table)
    with style.paper():
        figures.save(sensitivity.draw(table, readings.describe(base)), path)
    print("\n".join(readings.summary(table)))
    print(f"\nTable: {path}\nFigure: {path.with_suffix('.png')}, .pdf, .svg")


def _check(given: argparse.Namespace) -> None:
    config = _read(given.config)
    folder = Path("results") / config.run
    if given.layers:
        print(_layers(config, folder, given.layers).to_string(index=False))
    else:
        check(config, folder / "datasets")
        print(pd.DataFrame(inspect(config, folder, given.images)).to_string(index=False))


def _read(path: Path) -> Config:
    return load_config(_raw(path))


def _raw(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EpsballError(f"configuration '{path}' cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise EpsballError(f"configuration '{path}' is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise EpsballError(f"configuration '{path}' holds no keys; see config/README.md")
    return raw


def _layers(config: Config, folder: Path, name: str) -> pd.DataFrame:
    if name not in config.networks:
        raise EpsballError(f"--layers is '{name}', no network of the configuration; {nearest(name, config.networks)}")
    spec = config.networks[name]
    dataset = config.datasets[spec.dataset]
    return layers(spec, open_pool(dataset, folder / "datasets" / dataset.name))


if __name__ == "__main__":
    sys.exit(main())
