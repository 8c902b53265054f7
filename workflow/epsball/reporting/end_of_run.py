"""What a run says at its end: the verdicts at a glance, or what failed and how to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from epsball.analysis.claims import SYMBOLS, given
from epsball.analysis.run import COMPARED
from epsball.runs.monitor import Job

_WIDTH = 100  # columns of a terminal


def verdicts(claims: pd.DataFrame, asked: Mapping[str, int]) -> str:
    """The paper's claims by network, in symbols.

    Args:
        claims: see `epsball.analysis.verdicts.judge`.
        asked: samples that were asked for, by dataset.

    Returns:
        Lines of at most 100 columns: the legend, tables of claims by networks, and how many samples there were.
    """
    own = claims[(claims["control"] == "") & (claims["bound"] != COMPARED)]
    cells = own.assign(symbol=own["verdict"].map(SYMBOLS))
    table = cells.pivot_table(index="claim", columns="network", values="symbol", aggfunc="first").fillna("")
    table = table.loc[own["claim"].unique(), own["network"].unique()]
    legend = ", ".join(f"{SYMBOLS[verdict]} {verdict}" for verdict in given(own["verdict"]))
    samples = own[own["dataset"] != ""].drop_duplicates("dataset").set_index("dataset")["samples"]
    counts = ", ".join(f"{name} {count} of {asked[str(name)]} asked for" for name, count in samples.items())
    return "\n\n".join([f"The paper's claims: {legend}", *_tables(table), f"Samples: {counts}"])


def _tables(table: pd.DataFrame) -> list[str]:
    """A table in parts that are narrow enough, each with the names of its rows."""
    first = max(len(str(claim)) for claim in table.index)
    parts: list[list[str]] = []
    width = _WIDTH
    for name in map(str, table.columns):
        if (width := width + 2 + len(name)) > _WIDTH or not parts:
            parts.append([])
            width = first + 2 + len(name)
        parts[-1].append(name)
    return [_table(table[part][(table[part] != "").any(axis=1)], first) for part in parts]


def _table(table: pd.DataFrame, first: int) -> str:
    names = [str(name) for name in table.columns]
    lines = [" " * first + "".join(f"  {name}" for name in names)]
    for claim, row in table.iterrows():
        lines.append(
            f"{claim:<{first}}" + "".join(f"  {cell:^{len(name)}}" for name, cell in zip(names, row, strict=True))
        )
    return "\n".join(line.rstrip() for line in lines)


def failures(jobs: Sequence[Job]) -> str:
    """Which jobs failed, why, and how to go on; a run that was stopped has none."""
    lines = [f"{_named(job)}: {_reason(job)}" for job in jobs]
    lines.append("The run has failed." if jobs else "The run was stopped.")
    lines[-1] += " What is finished is kept, and the same command goes on from it."
    return "\n".join(lines)


def _named(job: Job) -> str:
    wildcards = ", ".join(f"{name} {value}" for name, value in job.wildcards.items())
    return f"{job.stage} ({wildcards})" if wildcards else job.stage


def _reason(job: Job) -> str:
    """The sentence of its log that matters, and where the rest is."""
    try:
        lines = job.log.read_text(encoding="utf-8", errors="replace").split("\n") if job.log else []
    except OSError:
        lines = []
    lines = [line.strip() for line in lines if line.strip()]
    told = [line.partition("error: ")[2] for line in lines if "  error: " in line]
    if told:
        return told[-1]
    if any(line.startswith("Traceback") for line in lines):
        return f"{lines[-1]} (not foreseen; {job.log} has where)"
    return f"it ended without a word; it may have been killed for its memory or its time (log: {job.log})"
