"""The command line: one module a command, whose docstring is what `--help` says of it.

Snakemake is the way to run a study. What takes long to import is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

import shtab

from epsball import __version__
from epsball.commands import check, compare, explain, plan, readings, sensitivity
from epsball.errors import EpsballError, did_you_mean, print_on_any_terminal, user_message

_MODULES = (check, plan, explain, compare, readings, sensitivity)
COMMANDS = {module.__name__.rpartition(".")[2]: module for module in _MODULES}

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
            _run(sys.argv[1:] if arguments is None else list(arguments))
        finally:
            sys.stdout.flush()  # here, where a closed pipe can be told
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader, such as `head`, has enough: what is left must not be flushed at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (EpsballError, OSError) as error:
        if (said := user_message(error)) is None:
            raise
        print(f"error: {said}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: Sequence[str]) -> None:
    parser = _parser()
    if not arguments:
        parser.print_help()
        return
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        parser.error(f"'{arguments[0]}' is no command; {did_you_mean(arguments[0], COMMANDS)}")
    given = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    COMMANDS[given.command].run(given)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="epsball", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=plain)
    parser.add_argument("--version", action="version", version=f"epsball {__version__}")
    shtab.add_argument_to(parser, "--print-completion", help="print a script that completes commands and files")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, module in COMMANDS.items():
        said = module.__doc__ or ""
        summary = said.split(".\n")[0]
        module.add_arguments(
            commands.add_parser(name, help=summary[0].lower() + summary[1:], description=said, formatter_class=plain)
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
