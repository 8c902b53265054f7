"""The command line: `epsball check`, `plan`, `explain`, `compare`, `readings`, `sensitivity`. Thin over the library.

Snakemake is the way to run a study. What takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shtab
import yaml

from epsball import __version__
from epsball.config import Config, load_config
from epsball.errors import EpsballError, did_you_mean, user_message

if TYPE_CHECKING:
    import pandas as pd

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

Command = Callable[[argparse.Namespace], None]

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
    try:
        try:
            _run(sys.argv[1:] if arguments is None else list(arguments))
        finally:
            sys.stdout.flush()  # here, where a closed pipe can be told
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever reads has enough, `head` for one; what is left is not to be flushed at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (EpsballError, OSError) as error:
        if (said := user_message(error)) is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: Sequence[str]) -> None:
    parser, commands = _parser()
    if not arguments:
        parser.print_help()
        return
    if not arguments[0].startswith("-") and arguments[0] not in commands.choices:
        parser.error(f"'{arguments[0]}' is no command; {did_you_mean(arguments[0], commands.choices)}")
    given = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    given.run(given)


def _parser() -> tuple[argparse.ArgumentParser, Commands]:
    parser = argparse.ArgumentParser(
        prog="epsball", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"epsball {__version__}")
    shtab.add_argument_to(parser, "--print-completion", help="print a script that completes commands and files")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(commands)
    _add_plan(commands)
    _add_explain(commands)
    _add_compare(commands)
    _add_readings(commands)
    _add_sensitivity(commands)
    return parser, commands


def _add(commands: Commands, name: str, run: Command, summary: str, description: str) -> argparse.ArgumentParser:
    """A command, with its one line in the list of all, and what `--help` says of it."""
    parser = commands.add_parser(
        name, help=summary, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def _add_path(
    parser: argparse.ArgumentParser, name: str, said: str, complete: Mapping[str, object] = shtab.FILE
) -> None:
    parser.add_argument(name, type=Path, help=said).complete = complete  # type: ignore[attr-defined]


def _add_check(commands: Commands) -> None:
    parser = _add(
        commands,
        "check",
        _check,
        "load every network and dataset of a configuration and pass some images through",
        """\
Load every network and dataset of a configuration and pass some images through
each network.

  epsball check mine.yaml
  epsball check mine.yaml --layers mine

prints a table, a row a network: parameters, features, images a second on one
core, accuracy, and the share of images that are right above the threshold. An
accuracy far below the published one means a wrong channel order, normalisation
or class list; what it seems to be is said below the table, and how long a run
takes. Such a hint is no error: the exit code is 1 only for what cannot run.
With --layers: a network's layers, for its key `layer`. Paths in the
configuration are from the folder that you are in. The rates are kept in
results/<run>/rates.json, for `epsball plan` and the run.
""",
    )
    _add_path(parser, "config", "the configuration, such as config/config.yaml")
    parser.add_argument("--images", type=int, default=40, help="images of each dataset (default: 40)")
    parser.add_argument("--layers", metavar="NETWORK", help="list a network's layers with their shapes instead")


def _add_plan(commands: Commands) -> None:
    parser = _add(
        commands,
        "plan",
        _plan,
        "say what a run will cost",
        """\
Say what a run will cost, from its configuration; no network is loaded, and
nothing computed.

  epsball plan config/paper.yaml --cores 8

prints for each network its forward passes and hours on a core and on a GPU, at
the rate that `epsball check` or a run has measured, or at a nominal one; disk,
jobs and time of the whole; and the data that are not there yet. `snakemake -n`
says it too, and which jobs there are left to do.
""",
    )
    _add_path(parser, "config", "the configuration, such as config/paper.yaml")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="of the run (default: all)")


def _add_explain(commands: Commands) -> None:
    parser = _add(
        commands,
        "explain",
        _explain,
        "say what made a file of a run",
        """\
Say what made a table, store, figure or report of a run.

  epsball explain results/default/claims.tsv

prints when and from what it was made, by which configuration, code, weights,
data and versions, and whether it has changed since.
""",
    )
    _add_path(parser, "file", "the file, such as results/default/claims.tsv")


def _add_compare(commands: Commands) -> None:
    parser = _add(
        commands,
        "compare",
        _compare,
        "compare the verdicts and configurations of two runs",
        """\
Say which keys of the configuration two runs differ in, and which verdicts.
Networks and claims that one of them alone has are named.

  epsball compare results/default results/mine --html compare.html

prints the keys and the verdicts that differ; with --html a page, too, with all
numbers side by side.
""",
    )
    _add_path(parser, "run_a", "folder of a run, such as results/default", shtab.DIRECTORY)
    _add_path(parser, "run_b", "folder of another", shtab.DIRECTORY)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page here")


def _add_readings(commands: Commands) -> None:
    parser = _add(
        commands,
        "readings",
        _write_readings,
        "write a configuration for each reading of the paper",
        """\
Write the configuration of each reading of the paper: the given one, and each
that differs from it in the norm, epsilon, clipping, the kind of noise or the
threshold.

  epsball readings config/sensitivity.yaml results/sensitivity/readings

prints the commands that run them; the first is needed by the others, which take
the weights of its networks.
""",
    )
    _add_path(parser, "config", "the configuration to start from, such as config/sensitivity.yaml")
    _add_path(parser, "folder", "where to write them, <reading>.yaml", shtab.DIRECTORY)
    parser.add_argument("--cores", default="all", help="of the commands that are printed (default: all)")


def _add_sensitivity(commands: Commands) -> None:
    parser = _add(
        commands,
        "sensitivity",
        _compare_readings,
        "compare the verdicts under every reading of the paper",
        """\
Read the claims of the runs of all readings and say which verdicts depend on the
reading.

  epsball sensitivity results/sensitivity/readings

writes sensitivity.tsv and the figure in results/<run>/, beside the folder
results/<run>-<reading> of each. A reading whose configuration was removed is
left out.
""",
    )
    _add_path(parser, "folder", "where `epsball readings` wrote the configurations", shtab.DIRECTORY)


def _explain(given: argparse.Namespace) -> None:
    from epsball.runs.provenance_records import explain

    print("\n".join(explain(given.file)))


def _plan(given: argparse.Namespace) -> None:
    from epsball.commands import plan

    config = _read(given.config)
    print(plan.describe(config, given.cores, plan.measured(config, Path("results") / config.run)), end="")


def _compare(given: argparse.Namespace) -> None:
    from epsball.commands import compare
    from epsball.runs import files

    runs = given.run_a, given.run_b
    table = compare.compare(*runs)
    lines = compare.summary(table, compare.configuration_differences(*runs), compare.others(*runs))
    print("\n".join(lines))
    if given.html:
        files.write_text(given.html, compare.page(*runs))
        print(f"\nPage: {given.html}")


def _write_readings(given: argparse.Namespace) -> None:
    from epsball.analysis import readings
    from epsball.runs import files

    for name, raw in readings.readings(_raw(given.config)).items():
        path = given.folder / f"{name}.yaml"
        files.write_text(path, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))
        command = ["snakemake", f"results/{raw['run']}/claims.tsv", "--cores", given.cores, "--configfile", str(path)]
        print(shlex.join(command))


def _compare_readings(given: argparse.Namespace) -> None:
    from epsball.analysis import readings
    from epsball.reporting import figures
    from epsball.reporting.figures import sensitivity, style
    from epsball.runs import files

    folder = given.folder
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
    import pandas as pd

    from epsball.commands import plan
    from epsball.commands.check import inspect
    from epsball.commands.preflight import check

    config = _read(given.config)
    folder = Path("results") / config.run
    if given.layers:
        print(_layers(config, folder, given.layers).to_string(index=False))
    else:
        check(config, folder / "datasets")
        found = pd.DataFrame(inspect(config, folder, given.images))
        print(found.drop(columns="hint").to_string(index=False))
        for hint in filter(None, found["hint"]):
            print(f"\n{hint}")
        rates = dict(zip(found["network"], found["images/s"], strict=True))
        plan.keep_rates(rates, folder)
        print(f"\nAt these rates the whole run takes about {plan.duration(config, 1, rates)}.")


def _read(path: Path) -> Config:
    return load_config(_raw(path))


def _raw(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        beside = [str(other) for suffix in ("yaml", "yml") for other in sorted(path.parent.glob(f"*.{suffix}"))]
        hint = f"; {did_you_mean(str(path), beside)}" if beside and not path.exists() else ""
        raise EpsballError(f"configuration '{path}' cannot be read: {error.strerror}{hint}") from None
    except UnicodeDecodeError as error:
        raise EpsballError(f"configuration '{path}' is not text in UTF-8 ({error.reason})") from None
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        hint = "; indent with spaces" if r"'\t'" in told else ""
        raise EpsballError(f"configuration '{path}' is not YAML: {told}{hint}") from None
    if not isinstance(raw, dict):
        raise EpsballError(f"configuration '{path}' holds no keys; see config/README.md")
    return raw


def _layers(config: Config, folder: Path, name: str) -> pd.DataFrame:
    from epsball.commands.check import layers
    from epsball.data import open_pool

    if name not in config.networks:
        raise EpsballError(
            f"--layers is '{name}', no network of the configuration; {did_you_mean(name, config.networks)}"
        )
    spec = config.networks[name]
    dataset = config.datasets[spec.dataset]
    return layers(spec, open_pool(dataset, folder / "datasets" / dataset.name))


if __name__ == "__main__":
    sys.exit(main())
