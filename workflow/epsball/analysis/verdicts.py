"""Verdicts: every statement judged for every network of a run, and against its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, JUDGED, MIN_SAMPLES, Claim, Verdict, judge_comparison
from epsball.analysis.comparisons import COMPARISONS
from epsball.analysis.run import CLAIM_COLUMNS, Run
from epsball.analysis.statistics import SMALLEST
from epsball.config import Config
from epsball.controls import compared, name_of
from epsball.probes import chosen_probes
from epsball.runs.gaps import UnavailableError

_ESTIMATE = ("estimate", "ci_low", "ci_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")

_Row = dict[str, Any]


def judge(config: Config, folder: Path) -> pd.DataFrame:
    """Judge every claim of the paper, and every comparison beyond it, for every network of the run in a folder.

    Returns:
        A row for each statement and network: claim (its name), kind ("paper", or "comparison" for those beyond it),
        quantity (which of several a comparison is about), statement, network, dataset, threshold, control, estimate,
        ci_low, ci_high, bound, samples, scale (whether a comparison is a difference or a ratio), difference,
        difference_low, difference_high, smallest (difference or ratio of interest), verdict, adjusted_verdict,
        unavailable (why a network or a control has no estimate; empty if it has one).

        A claim about "most" networks has one more row where there are several: of the network in the middle, which
        more than half are above. Comparisons are made of the networks of which the probes that they need are asked. A
        row with a control compares the network with it: the estimate is the control's, the difference is the
        network's less that or divided by it, paired over samples, and the verdict says whether they differ.

        Intervals are at 95%. The adjusted verdicts are by intervals that all hold together with 95% (Bonferroni).
    """
    run = Run(config, folder)
    table = _judge_at(run, intervals.LEVEL)
    together = max(int(table["verdict"].isin(JUDGED).sum()), 1)
    table["adjusted_verdict"] = _judge_at(run, 1 - (1 - intervals.LEVEL) / together)["verdict"]
    return table


def _judge_at(run: Run, level: float) -> pd.DataFrame:
    config = run.config
    rows: list[_Row] = []
    for claim in (*CLAIMS, *COMPARISONS):
        if not set(claim.probes) <= set(run.probes):
            continue
        for network in run.networks:
            if set(claim.probes) <= set(chosen_probes(config, network)) and claim.applies(config, network):
                rows += _of_network(run, claim, network, level)
        if claim.most_networks is not None:
            rows += _of_most_networks(run, claim, claim.most_networks, level)
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _of_network(run: Run, claim: Claim, network: str, level: float) -> Iterator[_Row]:
    """Judge a claim for a network, then the network's difference from each control that all its probes measure."""
    dataset = run.config.datasets[run.config.networks[network].dataset]
    samples = claim.samples(run, network)
    row = _row(claim, ALL_NETWORKS if claim.across else network, samples)
    row |= {"dataset": dataset.name, "threshold": dataset.threshold}
    try:
        estimate = claim.estimate(run, network, level)
    except UnavailableError as error:
        yield row | _lacking(error)
        return
    yield row | _numbers(_ESTIMATE, estimate) | {"verdict": claim.judge(estimate, samples)}
    for control in [] if claim.across else compared(run.config, network, *claim.probes):
        name = name_of(network, control)
        row |= {"control": control, "scale": claim.statistic.scale, "smallest": SMALLEST[claim.statistic.scale]}
        try:
            difference = claim.difference(run, network, name, level)
            numbers = _numbers(_ESTIMATE, claim.estimate(run, name, level)) | _numbers(_DIFFERENCE, difference)
        except UnavailableError as error:
            yield row | _lacking(error)
        else:
            yield row | numbers | {"verdict": judge_comparison(difference, samples, claim.statistic.scale)}


def _lacking(error: UnavailableError) -> _Row:
    return {"verdict": Verdict.NOT_AVAILABLE, "unavailable": error.reason}


def _of_most_networks(run: Run, claim: Claim, share: float, level: float) -> Iterator[_Row]:
    """Judge whether more than a share of the networks are above a claim's bound, by the one of that rank.

    Its interval is from the lows and highs of that rank, of intervals that hold for all networks together (Bonferroni).
    """
    sizes = {name: len(run.samples(spec.dataset, name)) for name, spec in run.config.networks.items()}
    networks = [name for name, size in sizes.items() if size >= MIN_SAMPLES]
    if len(sizes) < 2:
        return
    said = f"most networks {claim.name}: the estimate that more than {share:.0%} of the networks with at least "
    row = _row(replace(claim, statement=f"{said}{MIN_SAMPLES} samples reach"), ALL_NETWORKS, 0)
    if len(networks) < 2:
        yield row | {"verdict": Verdict.TOO_FEW_SAMPLES}
        return
    row["samples"] = min(sizes[name] for name in networks)
    try:
        found = [claim.estimate(run, name, 1 - (1 - level) / len(networks)) for name in networks]
    except UnavailableError as error:
        yield row | _lacking(error)
        return
    if None in found:
        yield row | {"verdict": Verdict.NOT_MEASURED}
        return
    rank = int(share * len(networks))
    estimate = intervals.Estimate(
        *(sorted(ends, reverse=True)[rank] for ends in zip(*filter(None, found), strict=True))
    )
    yield row | _numbers(_ESTIMATE, estimate) | {"verdict": claim.judge(estimate, row["samples"])}


def _row(claim: Claim, network: str, samples: int) -> _Row:
    return {
        "claim": claim.name,
        "kind": "comparison" if claim.direction == "=" else "paper",
        "scale": claim.statistic.scale if claim.direction == "=" else "",
        "smallest": SMALLEST[claim.statistic.scale] if claim.direction == "=" else np.nan,
        "quantity": claim.quantity,
        "statement": claim.statement,
        "network": network,
        "dataset": "",
        "control": "",
        "bound": claim.criterion,
        "samples": samples,
        "unavailable": "",
    }


def _numbers(columns: tuple[str, ...], estimate: intervals.Estimate | None) -> _Row:
    return dict(zip(columns, estimate, strict=True)) if estimate else {}
