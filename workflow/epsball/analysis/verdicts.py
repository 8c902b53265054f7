"""Verdicts: every statement judged for every network of a run, and against its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, MIN_SAMPLES, PaperClaim, Statement, Verdict, judge_difference
from epsball.analysis.comparisons import COMPARISONS
from epsball.analysis.intervals import Estimate
from epsball.analysis.run import CLAIM_COLUMNS, Run
from epsball.config import Config
from epsball.controls import compared, name_of

_ESTIMATE = ("estimate", "ci_low", "ci_high")
_DIFFERENCE = ("difference", "difference_low", "difference_high")

_Row = dict[str, Any]


def judge(config: Config, folder: Path) -> pd.DataFrame:
    """Judge every claim of the paper, and every comparison beyond it, for every network.

    Args:
        config: configuration of the run.
        folder: folder of the run.

    Returns:
        A row for each statement and network: claim (its name), kind ("paper", or "comparison" for those beyond it,
        which are 0 if there is no effect), quantity (which of several a comparison is about), statement,
        network, dataset, threshold, control, estimate, ci_low, ci_high, bound, samples, difference, difference_low,
        difference_high, verdict.

        A claim about "most" networks has one more row, of all networks. Comparisons are made where the run has the
        probes that they need. A row with a control compares the network with it: the estimate is the control's, the
        difference is the network's estimate less that, paired over samples, and the verdict says whether they differ.
    """
    run = Run(config, folder)
    rows: list[_Row] = []
    for claim in CLAIMS:
        for network in run.networks:
            rows += [_of_network(run, claim, network), *_against_controls(run, claim, network)]
        if claim.most_networks is not None:
            rows.append(_of_most_networks(run, claim, claim.most_networks))
    for comparison in COMPARISONS:
        if not set(comparison.probes) <= set(run.probes):
            continue
        for network in run.networks:
            if not comparison.applies(config, network):
                continue
            row = _of_network(run, comparison, network)
            if comparison.across:
                rows.append(row | {"network": ALL_NETWORKS})
            else:
                rows += [row, *_against_controls(run, comparison, network)]
    return pd.DataFrame(rows)


def _of_network(run: Run, statement: Statement, network: str) -> _Row:
    row, estimate = _describe(run, statement, network), statement.estimate(run, network)
    verdict = statement.judge(estimate, row["samples"], run.config.ball.draws)
    return row | _numbers(_ESTIMATE, estimate) | {"verdict": verdict}


def _against_controls(run: Run, statement: Statement, network: str) -> Iterator[_Row]:
    """Judge the difference of a network from each control that all probes of the statement measure."""
    row = _describe(run, statement, network)
    for control in compared(run.config, *statement.probes):
        name = name_of(network, control)
        difference = statement.difference(run, network, name)
        numbers = _numbers(_ESTIMATE, statement.estimate(run, name)) | _numbers(_DIFFERENCE, difference)
        yield row | numbers | {"control": control, "verdict": judge_difference(difference, row["samples"])}


def _of_most_networks(run: Run, claim: PaperClaim, share: float) -> _Row:
    """Judge the share of networks that meet a claim's bound; each resample is of all datasets at once."""
    sizes = {name: len(run.samples(name)) for name in run.datasets}
    networks = {
        name: sizes[spec.dataset] for name, spec in run.config.networks.items() if sizes[spec.dataset] >= MIN_SAMPLES
    }
    most = replace(claim, bound=share, direction=">")
    row = _blank(most) | {
        "statement": f"most networks {claim.name}: share of the networks with at least {MIN_SAMPLES} samples whose "
        f"estimate is {claim.criterion}",
        "network": ALL_NETWORKS,
        "samples": min(networks.values(), default=0),
    }
    if not networks:
        return row | {"verdict": Verdict.TOO_FEW_SAMPLES}
    values = {name: claim.values(run, name) for name in networks}
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


def _describe(run: Run, statement: Statement, network: str) -> _Row:
    dataset = run.config.datasets[run.config.networks[network].dataset]
    return _blank(statement) | {
        "network": network,
        "dataset": dataset.name,
        "threshold": dataset.threshold,
        "samples": len(run.samples(dataset.name)),
    }


def _blank(statement: Statement) -> _Row:
    """Return all columns of a row in their order, with what is known of the statement alone."""
    return dict.fromkeys(CLAIM_COLUMNS, np.nan) | {
        "claim": statement.name,
        "kind": statement.kind,
        "quantity": statement.quantity,
        "statement": statement.statement,
        "dataset": "",
        "control": "",
        "bound": statement.criterion,
    }


def _numbers(columns: tuple[str, ...], estimate: Estimate | None) -> _Row:
    return dict(zip(columns, estimate, strict=True)) if estimate else {}
