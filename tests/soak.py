"""Kill a small study at random moments, go on with the same command, and compare with an undisturbed run.

    python tests/soak.py 20

prints a row a kill and ends with exit code 1 where anything differs. What is killed, by SIGKILL, is in turn a job,
Snakemake, or everything at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from epsball.probes import PROBES
from study import BASE, Study

WHAT = ("Snakemake", "everything", "a job")
_PLACES = ("survey", "samples", "perturbations", "activations", "metrics")


def soak(study: Study, config: dict[str, Any], kills: int, seed: int) -> pd.DataFrame:
    """Kill runs and let them go on.

    Args:
        study: where; its folder is the caller's.
        config: to run.
        kills: how many, each of a run of its own.
        seed: of the moments.

    Returns:
        A row a kill: what, after (seconds), finished (files that were there then), lost (of them made again),
        leftovers (hidden files at the end), differences (tables unlike the undisturbed run's).
    """
    generator = random.Random(seed)
    start = time.monotonic()
    study.run({**config, "run": "undisturbed"})
    duration = time.monotonic() - start
    rows = []
    for number in range(kills):
        killed = {**config, "run": f"killed{number}"}
        what, after = WHAT[number % len(WHAT)], generator.uniform(0.15, 0.95) * duration
        _kill(study, killed, what, after)
        finished = _finished(study, killed["run"])
        study.run(killed)
        at_end = _finished(study, killed["run"])
        rows.append(
            {
                "what": what,
                "after": f"{after:.0f} s of {duration:.0f}",
                "finished": len(finished),
                "lost": sum(at_end.get(name) != written for name, written in finished.items()),
                "leftovers": len(list((study.folder / "results" / killed["run"]).rglob(".*.unfinished"))),
                "differences": len(differences(study, "undisturbed", killed["run"])),
            }
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=not number), flush=True)
    return pd.DataFrame(rows)


def _finished(study: Study, run: str) -> dict[str, int]:
    return {name: when for name, when in study.times(run).items() if name.split("/")[0] in _PLACES}


def _kill(study: Study, config: dict[str, Any], what: str, after: float) -> None:
    process = study.start(config)
    time.sleep(after)
    if what == "a job":
        # A moment without a job is waited out.
        while process.poll() is None and not (jobs := _jobs(process.pid)):
            time.sleep(0.05)
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(jobs[0], signal.SIGKILL)
    elif what == "Snakemake":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _jobs(parent: int) -> list[int]:
    """Processes that a process has started."""
    children = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for path in children for child in path.read_text().split()]


def differences(study: Study, one: str, other: str) -> list[str]:
    """Tables of two runs that are not identical."""
    first, second = (study.folder / "results" / run for run in (one, other))
    tables = [path for place in ("metrics/*/*.parquet", "samples/*.csv", "claims.tsv") for path in first.glob(place)]
    assert len(tables) > len(PROBES)
    names = [path.relative_to(first) for path in tables]
    return [str(name) for name in names if (first / name).read_bytes() != (second / name).read_bytes()]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, help="how many runs to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = soak(Study(Path(folder)), BASE, arguments.kills, arguments.seed)
    print(table.groupby("what")[["finished", "lost", "leftovers", "differences"]].agg(["sum", "max"]).to_string())
    return int(table[["leftovers", "differences"]].to_numpy().any())


if __name__ == "__main__":
    sys.exit(main())
