"""Write a configuration for each reading of the paper.

The readings are the given configuration, and each that differs from it in the
norm, epsilon, clipping, the kind of noise or the threshold.

  epsball readings config/sensitivity.yaml results/sensitivity/readings

prints the commands that run them. Run the first one first: the others take the
weights of its networks.
"""

from __future__ import annotations

import argparse
import shlex

import shtab
import yaml

from epsball.commands.arguments import add_path
from epsball.config.reading import read_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_path(parser, "config", "the configuration to start from, such as config/sensitivity.yaml")
    add_path(parser, "folder", "where to write them, <reading>.yaml", shtab.DIRECTORY)
    parser.add_argument("--cores", default="all", help="cores in the commands that are printed (default: all)")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    from epsball.analysis.readings import readings
    from epsball.runs import files

    for name, raw in readings(read_yaml(given.config)).items():
        path = given.folder / f"{name}.yaml"
        files.write_text(path, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))
        command = ["snakemake", f"results/{raw['run']}/claims.tsv", "--cores", given.cores, "--configfile", str(path)]
        print(shlex.join(command))
