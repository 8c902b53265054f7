"""What a run says at its end: the verdicts at a glance, or what failed and how to go on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from epsball.analysis.claims import Verdict, given
from epsball.runs.monitor import RunningJob

_WIDTH = 100  # columns of a terminal
_FULL = 1 << 16  # bytes that are free on a disk where a job can fail before it says why


def verdicts(claims: pd.DataFrame, asked: Mapping[str, int]) -> str:
    """Show the verdicts on the paper's claims by network, in symbols, and the samples found of those asked for.

    Lines have at most 100 columns. `claims` is what `epsball.analysis.verdicts.judge` returns.
    """
    own = claims[(claims["kind"] == "paper") & (claims["control"] == "")]
    cells = own.assign(symbol=[Verdict(verdict).symbol for verdict in own["adjusted_verdict"]])
    table = cells.pivot_table(index="claim", columns="network", values="symbol", aggfunc="first").fillna("")
    table = table.loc[own["claim"].unique(), own["network"].unique()]
    legend = ", ".join(f"{verdict.symbol} {verdict}" for verdict in given(own["adjusted_verdict"]))
    samples = own[own["dataset"] != ""].drop_duplicates("dataset").set_index("dataset")["samples"]
    counts = ", ".join(f"{name} {count} of {asked[str(name)]} asked for" for name, count in samples.items())
    return "\n\n".join([f"The paper's claims, judged together: {legend}", *_tables(table), f"Samples: {counts}"])


def _tables(table: pd.DataFrame) -> Iterator[str]:
    """Split a table into parts that are narrow enough, each with the rows that have a symbol in it."""
    first = max(map(len, table.index))
    parts: list[list[str]] = [[]]
    width = first
    for name in table.columns:
        width += 2 + len(name)
        if width > _WIDTH and parts[-1]:
            parts.append([])
            width = first + 2 + len(name)
        parts[-1].append(name)
    for part in parts:
        lines = ["  ".join([" " * first, *part])]
        for claim, symbols in table.loc[(table[part] != "").any(axis=1), part].iterrows():
            lines.append("  ".join([f"{claim:<{first}}", *(f"{symbols[name]:^{len(name)}}" for name in part)]))
        yield "\n".join(line.rstrip() for line in lines)


def failures(jobs: Sequence[RunningJob], interrupted: bool) -> str:
    """Describe which jobs failed, why, and how to go on; of what ends a run beside them, Snakemake says why."""
    lines = []
    for job in jobs:
        wildcards = ", ".join(f"{name} {value}" for name, value in job.wildcards.items())
        lines.append(f"{job.stage}{f' ({wildcards})' if wildcards else ''}: {_reason(job)}")
    lines.append("The run was stopped." if interrupted else "The run has failed.")
    lines[-1] += " What is finished is kept, and the same command goes on from it."
    return "\n".join(lines)


def _reason(job: RunningJob) -> str:
    """Return the sentence of a job's log that matters, and where to find the rest."""
    try:
        lines = job.log.read_text(encoding="utf-8", errors="replace").split("\n") if job.log else []
    except OSError:
        lines = []
    lines = [line.strip() for line in lines if line.strip()]
    told = [line.partition("error: ")[2] for line in lines if "  error: " in line]
    if told:
        return told[-1]
    if job.log is not None and _is_full(job.log.parent):
        return f"No space left on device, not even for a word in its log ({job.log})"
    return f"it ended without a word; it may have been killed for its memory or its time (log: {job.log})"


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _FULL
    except OSError:
        return False
