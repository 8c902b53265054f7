"""Verdicts: every statement judged for every network of a run, and against its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, MIN_SAMPLES, Claim, Verdict, judge_difference
from epsball.analysis.comparisons import COMPARISONS
from epsball.analysis.run import CLAIM_COLUMNS, Run
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
        A row for each statement and network: claim (its name), kind ("paper", or "comparison" for those beyond it,
        which are 0 if there is no effect), quantity (which of several a comparison is about), statement,
        network, dataset, threshold, control, estimate, ci_low, ci_high, bound, samples, difference, difference_low,
        difference_high, verdict, unavailable (why a network or a control has no estimate; empty if it has one).

        A claim about "most" networks has one more row, of all networks, where there are several. Comparisons are made
        of the networks of which the probes that they need are asked. A row with a control compares the network with it:
        the estimate is the control's, the difference is the network's estimate less that, paired over samples, and the
        verdict says whether they differ.
    """
    run = Run(config, folder)
    rows: list[_Row] = []
    for claim in (*CLAIMS, *COMPARISONS):
        if not set(claim.probes) <= set(run.probes):
            continue
        for network in run.networks:
            if set(claim.probes) <= set(chosen_probes(config, network)) and claim.applies(config, network):
                rows += _of_network(run, claim, network)
        if claim.most_networks is not None and len(run.networks) > 1:
            rows.append(_of_most_networks(run, claim, claim.most_networks))
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _of_network(run: Run, claim: Claim, network: str) -> Iterator[_Row]:
    """Judge a claim for a network, then the network's difference from each control that all its probes measure."""
    dataset = run.config.datasets[run.config.networks[network].dataset]
    samples = len(run.samples(dataset.name))
    row = _row(claim, ALL_NETWORKS if claim.across else network, samples)
    row |= {"dataset": dataset.name, "threshold": dataset.threshold}
    try:
        estimate = claim.estimate(run, network)
    except UnavailableError as error:
        yield row | _lacking(error)
        return
    yield row | _numbers(_ESTIMATE, estimate) | {"verdict": claim.judge(estimate, samples, run.config.ball.draws)}
    for control in [] if claim.across else compared(run.config, network, *claim.probes):
        name = name_of(network, control)
        row |= {"control": control}
        try:
            difference = claim.difference(run, network, name)
            numbers = _numbers(_ESTIMATE, claim.estimate(run, name)) | _numbers(_DIFFERENCE, difference)
        except UnavailableError as error:
            yield row | _lacking(error)
        else:
            yield row | numbers | {"verdict": judge_difference(difference, samples)}


def _lacking(error: UnavailableError) -> _Row:
    return {"verdict": Verdict.NOT_AVAILABLE, "unavailable": error.reason}


def _of_most_networks(run: Run, claim: Claim, share: float) -> _Row:
    """Judge the share of networks that meet a claim's bound; each resample is of all datasets at once."""
    sizes = {name: len(run.samples(name)) for name in run.datasets}
    networks = {
        name: sizes[spec.dataset] for name, spec in run.config.networks.items() if sizes[spec.dataset] >= MIN_SAMPLES
    }
    said = f"most networks {claim.name}: share of the networks with at least {MIN_SAMPLES} samples whose estimate is "
    most = replace(claim, bound=share, direction=">", statement=said + claim.criterion)
    row = _row(most, ALL_NETWORKS, min(networks.values(), default=0))
    if not networks:
        return row | {"verdict": Verdict.TOO_FEW_SAMPLES}
    try:
        values = {name: claim.values(run, name) for name in networks}
    except UnavailableError as error:
        return row | _lacking(error)
    arrays = {name: rows.to_numpy(float) for name, rows in values.items() if rows is not None and len(rows)}
    if len(arrays) < len(networks):
        return row | {"verdict": Verdict.NOT_MEASURED}
    largest = max(networks.values())

    def share_that_meets(numbers: np.ndarray) -> float:
        # One set of uniform places serves every dataset, whatever its size.
        places = {name: numbers * size // largest for name, size in networks.items()}
        return float(np.mean([claim.met_by(claim.statistic(arrays[name][places[name]])) for name in networks]))

    estimate = intervals.bootstrap(largest, share_that_meets, run.config.bootstrap, run.config.seed)
    verdict = most.judge(estimate, row["samples"], run.config.ball.draws)
    return row | _numbers(_ESTIMATE, estimate) | {"verdict": verdict}


def _row(claim: Claim, network: str, samples: int) -> _Row:
    return {
        "claim": claim.name,
        "kind": "comparison" if claim.direction == "=" else "paper",
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
