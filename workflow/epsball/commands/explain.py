"""Say what made a file of a run.

  epsball explain results/default/claims.tsv

prints when and from what a table, store, figure or report was made, by which
configuration, code, weights, data and versions, and whether it has changed
since.
"""

from __future__ import annotations

import argparse

from epsball.commands.arguments import add_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_path(parser, "file", "the file, such as results/default/claims.tsv")


def run(given: argparse.Namespace) -> None:
    """Run the command."""
    from epsball.runs.provenance_records import explain

    print("\n".join(explain(given.file)))
