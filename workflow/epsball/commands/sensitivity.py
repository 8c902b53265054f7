"""Compare the verdicts under every reading of the paper.

Reads the claims of the runs of all readings and says which verdicts depend on
the reading.

  epsball sensitivity results/sensitivity/readings

writes sensitivity.tsv and the figure in results/<run>/, beside the folder
results/<run>-<reading> of each. A reading whose configuration was removed is
left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from epsball.commands.arguments import add_path
from epsball.config import load_config
from epsball.config.reading import read_yaml


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_path(parser, "folder", "where `epsball readings` wrote the configurations", shtab.DIRECTORY)


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    from epsball.analysis import readings
    from epsball.reporting import figures
    from epsball.reporting.figures import sensitivity, style
    from epsball.runs import files

    raw = read_yaml(given.folder / f"{readings.BASE}.yaml")
    base = load_config(raw)
    run = base.run.removesuffix(readings.run_of("", readings.BASE))
    found = [name for name in readings.readings(raw | {"run": run}) if (given.folder / f"{name}.yaml").is_file()]
    table = readings.compare({name: Path("results") / readings.run_of(run, name) for name in found})
    path = Path("results") / run / "sensitivity.tsv"
    files.write_table(path, table)
    with style.paper():
        figures.save(sensitivity.draw(table, readings.describe(base)), path)
    print("\n".join(readings.summary(table)))
    print(f"\nTable: {path}\nFigure: {path.with_suffix('.png')}, .pdf, .svg")
