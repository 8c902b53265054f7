"""Compare the verdicts and configurations of two runs.

Networks and claims that one of them alone has are named.

  epsball compare results/default results/mine --html compare.html

prints the keys and the verdicts that differ; with --html a page, too, with all
numbers side by side.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from epsball.commands.arguments import add_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_path(parser, "run_a", "folder of a run, such as results/default", shtab.DIRECTORY)
    add_path(parser, "run_b", "folder of another", shtab.DIRECTORY)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page here")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    from epsball.commands import comparison
    from epsball.runs import files

    compared = comparison.compare(given.run_a, given.run_b)
    print("\n".join(comparison.summary(compared)))
    if given.html:
        files.write_text(given.html, comparison.page(compared))
        print(f"\nPage: {given.html}")
