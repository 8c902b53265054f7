"""The command line: one function a command, whose docstring is what `--help` says of it.

Snakemake is the way to run a study. What takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import shtab
import yaml

from epsball import __version__
from epsball.config import load_config
from epsball.config.reading import read_yaml
from epsball.errors import EpsballError, did_you_mean, print_on_any_terminal, require_docstrings, sentence

_DESCRIPTION = """\
What a ConvNet does in a small ball around an image.

Snakemake runs a study; these commands are for before and after it:

  epsball check mine.yaml                     does the configuration fit?
  epsball plan mine.yaml                      what will it cost?
  snakemake --cores 2 --configfile mine.yaml  results/mine/report.html
  epsball explain results/mine/claims.tsv     what made this file?
"""

_EPILOG = """\
`epsball COMMAND --help` has an example of each and says what comes out. Exit
codes: 0; 1 for an error, which is said in a sentence; 2 for a command line that
is not understood.

Completion: eval "$(epsball --print-completion bash)" in ~/.bashrc.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    print_on_any_terminal()
    try:
        try:
            require_docstrings()
            _run(sys.argv[1:] if arguments is None else list(arguments))
        finally:
            sys.stdout.flush()  # here, where a closed pipe can be told
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader, such as `head`, has enough: what is left must not be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        print(f"error: {sentence(error)}", file=sys.stderr)
        return 1
    return 0


def check(config: Path, images: int, layers: str | None) -> None:
    """Load every network and dataset of a configuration and pass some images through.

      epsball check mine.yaml
      epsball check mine.yaml --layers mine

    prints a table with one row for each network: parameters, features, images a
    second on one core, accuracy, and the share of images that are right above the
    threshold, both with 95% intervals. An accuracy far below the published one
    means a wrong channel order, normalisation or class list. Below it: the likely
    cause of a low accuracy, of how many images all networks of a dataset are sure,
    which extra probes and controls cannot be measured, each tried on one image, and
    how long a run takes. A hint is no error: the exit code is 1 only for what
    cannot run, such as these, unless `on_failure: gap` is set. With --layers: a
    network's layers, for its key `layer`. Paths in the configuration are from the
    folder that you are in. Rates and numbers of features are kept in
    results/<run>/seen.json, for `epsball plan` and the run.
    """
    from epsball.commands import cost, inspection
    from epsball.runs import gaps

    study = load_config(read_yaml(config))
    if layers:
        print(inspection.layers(study, layers).to_string(index=False))
        return
    table, hints, refusals = inspection.inspect(study, images)
    print(table.to_string(index=False))
    for name, hint in hints.items():
        print(f"\n{name}: {hint}")
    if refusals and study.on_failure == "stop":
        raise EpsballError("\n".join([*refusals, f"To run all the same, {gaps.REMEDY}."]))
    if refusals:
        print("\nNot available, and left as gaps:", *refusals, sep="\n")
    rows = table[["network", "images/s", "units"]].itertuples(index=False, name=None)
    seen = {str(name): cost.Seen(float(rate), int(units)) for name, rate, units in rows}
    cost.keep_seen(seen, study.folder)
    rates = {name: each.rate for name, each in seen.items()}
    print(f"\nAt these rates the whole run takes about {cost.duration(study, 1, rates)}.")


def plan(config: Path, cores: int) -> None:
    """Say what a run will cost.

    It needs only the configuration: no network is loaded and nothing is computed.

      epsball plan config/paper.yaml --cores 8

    prints for each network its forward passes and hours on a core and on a GPU, at
    the rate that `epsball check` or a run has measured, or at a nominal one; disk,
    for as many features as these have seen, or as are assumed; jobs and time of the
    whole; and the data that are not there yet. `snakemake -n` says it too, and
    which jobs there are left to do.
    """
    from epsball.commands import cost

    study = load_config(read_yaml(config))
    print(cost.describe(study, cores, cost.seen_in(study, study.folder)), end="")


def explain(file: Path) -> None:
    """Say what made a file of a run.

      epsball explain results/default/claims.tsv

    prints when and from what a table, store, figure or report was made, by which
    configuration, code, weights, data and versions. Each is compared with what is
    there now: it is `as recorded`, or the line says what differs, and so does the
    last one of the whole.
    """
    from epsball.commands.explanation import explain

    print("\n".join(explain(file)))


def compare(run_a: Path, run_b: Path, html: Path | None) -> None:
    """Compare the verdicts and configurations of two runs.

    Networks and claims that one of them alone has are named.

      epsball compare results/default results/mine --html compare.html

    prints the keys and the verdicts that differ; with --html a page, too, with all
    numbers side by side.
    """
    from epsball.commands import comparison
    from epsball.runs import files

    compared = comparison.compare(run_a, run_b)
    print("\n".join(comparison.summary(compared)))
    if html:
        files.write_text(html, comparison.page(compared))
        print(f"\nPage: {html}")


def readings(config: Path, folder: Path, cores: str) -> None:
    """Write a configuration for each reading of the paper.

    The readings are the given configuration, and each that differs from it in the
    norm, epsilon, clipping, the kind of noise or the threshold.

      epsball readings config/sensitivity.yaml results/sensitivity/readings

    prints the commands that run them. Run the first one first: the others take the
    weights of its networks.
    """
    from epsball.analysis.readings import readings
    from epsball.runs import files

    for name, raw in readings(read_yaml(config)).items():
        path = folder / f"{name}.yaml"
        files.write_text(path, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))
        command = ["snakemake", f"results/{raw['run']}/claims.tsv", "--cores", cores, "--configfile", str(path)]
        print(shlex.join(command))


def sensitivity(folder: Path) -> None:
    """Compare the verdicts under every reading of the paper.

    Reads the claims of the runs of all readings and says which verdicts depend on
    the reading.

      epsball sensitivity results/sensitivity/readings

    writes sensitivity.tsv and the figure in results/<run>/, beside the folder
    results/<run>-<reading> of each. A reading whose configuration was removed is
    left out.
    """
    from epsball.analysis import readings
    from epsball.reporting import figures
    from epsball.reporting.figures import sensitivity, style
    from epsball.runs import files

    raw = read_yaml(folder / f"{readings.BASE}.yaml")
    base = load_config(raw)
    run = base.run.removesuffix(f"-{readings.BASE}")
    found = [name for name in readings.readings(raw | {"run": run}) if (folder / f"{name}.yaml").is_file()]
    table = readings.compare({name: Path("results", f"{run}-{name}") for name in found})
    path = Path("results", run, "sensitivity.tsv")
    files.write_table(path, table)
    with style.paper():
        figures.save(sensitivity.draw(table, readings.describe(base)), path)
    print("\n".join(readings.summary(table)))
    print(f"\nTable: {path}\nFigure: {path.with_suffix('.png')}, .pdf, .svg")


COMMANDS: dict[str, Callable[..., None]] = {
    command.__name__: command for command in (check, plan, explain, compare, readings, sensitivity)
}


def _run(arguments: Sequence[str]) -> None:
    parser = _parser()
    if not arguments:
        parser.print_help()
        return
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        parser.error(f"'{arguments[0]}' is no command; {did_you_mean(arguments[0], COMMANDS)}")
    given = vars(parser.parse_args(arguments))
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    del given["print_completion"]
    COMMANDS[given.pop("command")](**given)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="epsball", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=plain)
    parser.add_argument("--version", action="version", version=f"epsball {__version__}")
    shtab.add_argument_to(parser, "--print-completion", help="print a script that completes commands and files")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    def add(command: Callable[..., None], **paths: str) -> argparse.ArgumentParser:
        """Add a command with its positional arguments, which are all paths, and what help says of each."""
        said = inspect.getdoc(command) or ""
        summary = said.split(".\n")[0]
        added = commands.add_parser(
            command.__name__, help=summary[0].lower() + summary[1:], description=said, formatter_class=plain
        )
        for name, words in paths.items():
            complete = shtab.FILE if name in ("config", "file") else shtab.DIRECTORY
            added.add_argument(name, type=Path, help=words).complete = complete  # type: ignore[attr-defined]
        return added

    added = add(check, config="the configuration, such as config/config.yaml")
    added.add_argument("--images", type=int, default=40, help="images of each dataset (default: 40)")
    added.add_argument("--layers", metavar="NETWORK", help="list a network's layers with their shapes instead")
    added = add(plan, config="the configuration, such as config/paper.yaml")
    added.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="cores of the run (default: all)")
    add(explain, file="the file, such as results/default/claims.tsv")
    added = add(compare, run_a="folder of a run, such as results/default", run_b="folder of another")
    added.add_argument("--html", type=Path, metavar="FILE", help="write the page here")
    start = "the configuration to start from, such as config/sensitivity.yaml"
    added = add(readings, config=start, folder="where to write them, <reading>.yaml")
    added.add_argument("--cores", default="all", help="cores in the commands that are printed (default: all)")
    add(sensitivity, folder="where `epsball readings` wrote the configurations")
    return parser


if __name__ == "__main__":
    sys.exit(main())
