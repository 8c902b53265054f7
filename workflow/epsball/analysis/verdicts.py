"""Verdicts: every claim judged for every network of a run, and against its controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, MIN_SAMPLES, STRONGLY, Claim
from epsball.analysis.comparisons import COMPARISONS
from epsball.analysis.intervals import Estimate
from epsball.analysis.run import COMPARED, Run
from epsball.config import Config
from epsball.controls import compared, name_of
from epsball.probes import chosen_probes


def judge(config: Config, folder: Path) -> pd.DataFrame:
    """Judge every claim for every network.

    Returns:
        A row a claim and network: claim, statement, network, dataset, threshold, control, estimate, ci_low, ci_high,
        bound, samples, difference, difference_low, difference_high, verdict. With the paper's claims is one row of
        "strongly anisotropic" over the networks, for its "most"; after them are, without a bound of the paper's,
        paired comparisons of what the run's probes measure. `control` is empty but for the rows that compare a network
        with a control that is measured alike: there the estimate is the control's, the difference is the network's
        less that, paired over samples, and the verdict says whether they differ.
    """
    results = Run(config, folder)
    rows = []
    for claim in CLAIMS:
        for network in config.networks:
            rows += [_row(results, claim, network), *_against_controls(results, claim, network)]
        if claim is STRONGLY:
            rows.append(_most_networks(results))
    for claim in COMPARISONS:
        if not {claim.probe, *claim.needs} <= set(chosen_probes(config)):
            continue
        for network in filter(lambda name: claim.applies(config, name), config.networks):
            if claim.across:
                rows.append(_comparison(results, claim, network) | {"network": ALL_NETWORKS})
            else:
                controls = [row | {"bound": COMPARED} for row in _against_controls(results, claim, network)]
                rows += [_comparison(results, claim, network), *controls]
    return pd.DataFrame(rows)


def _row(results: Run, claim: Claim, network: str) -> dict[str, object]:
    row, estimate = _about(results, claim, network), claim.estimate(results, network)
    samples, draws = _samples(results, network), results.config.ball.draws
    verdict = claim.verdict(estimate, samples, draws) if estimate else "not measured in this run"
    return row | _estimated(estimate) | {"verdict": verdict}


def _comparison(results: Run, claim: Claim, network: str) -> dict[str, object]:
    row, estimate = _about(results, claim, network), claim.estimate(results, network)
    verdict = _differs(estimate, _samples(results, network))
    return row | _estimated(estimate) | {"bound": COMPARED, "verdict": verdict}


def _against_controls(results: Run, claim: Claim, network: str) -> Iterator[dict[str, object]]:
    """A row for each control of a network that is measured by what the claim needs."""
    for control in compared(results.config, claim.probe, *claim.needs):
        name = name_of(network, control)
        difference = claim.difference(results, network, name)
        value, low, high = difference or (np.nan, np.nan, np.nan)
        row = _about(results, claim, network) | _estimated(claim.estimate(results, name))
        yield row | {
            "control": control,
            "difference": value,
            "difference_low": low,
            "difference_high": high,
            "verdict": _differs(difference, _samples(results, network)),
        }


def _about(results: Run, claim: Claim, network: str) -> dict[str, object]:
    """The columns of a row, in their order, with what is known before anything is estimated."""
    dataset = results.config.datasets[results.config.networks[network].dataset]
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "network": network,
        "dataset": dataset.name,
        "threshold": dataset.threshold,
        "control": "",
        **_estimated(None),
        "bound": f"{'>' if claim.above else '<'} {claim.bound:g}",
        "samples": _samples(results, network),
        "difference": np.nan,
        "difference_low": np.nan,
        "difference_high": np.nan,
    }


def _samples(results: Run, network: str) -> int:
    return len(results.samples(results.config.networks[network].dataset))


def _estimated(estimate: Estimate | None) -> dict[str, object]:
    value, low, high = estimate or (np.nan, np.nan, np.nan)
    return {"estimate": value, "ci_low": low, "ci_high": high}


def _most_networks(results: Run) -> dict[str, object]:
    """Share of networks whose median range at 10 is above the bound; samples are drawn once for a dataset."""
    config = results.config
    sizes = {name: len(results.samples(name)) for name in config.datasets}
    networks = [network for network in config.networks.values() if sizes[network.dataset] >= MIN_SAMPLES]
    claim = replace(STRONGLY, bound=0.5)
    row: dict[str, object] = {
        "claim": claim.name,
        "statement": "most networks strongly anisotropic at 10: share of the networks with at least "
        f"{MIN_SAMPLES} samples whose median range is above {STRONGLY.bound:g}",
        "network": ALL_NETWORKS,
        "dataset": "",
        "threshold": np.nan,
        "control": "",
        "bound": "> 0.5",
        "samples": min((sizes[network.dataset] for network in networks), default=0),
    }
    if not networks or STRONGLY.radius not in config.ball.radii:
        return row | {"verdict": "not measured in this run" if networks else "too few samples"}
    measured = {network.name: STRONGLY.values(results, network.name) for network in networks}
    ranges = {name: values.to_numpy(float) for name, values in measured.items() if values is not None}
    largest = max(sizes[network.dataset] for network in networks)

    def most(numbers: np.ndarray) -> float:
        # One set of uniform places serves every dataset, whatever its size.
        strong = [
            STRONGLY.statistic(ranges[network.name][numbers * sizes[network.dataset] // largest]) > STRONGLY.bound
            for network in networks
        ]
        return float(np.mean(strong))

    estimate = intervals.bootstrap(largest, most, config.bootstrap, config.seed)
    return row | _estimated(estimate) | {"verdict": claim.verdict(estimate, MIN_SAMPLES, config.ball.draws)}


def _differs(difference: Estimate | None, samples: int) -> str:
    if difference is None:
        return "not measured in this run"
    if samples < MIN_SAMPLES:
        return "too few samples"
    return "no difference shown" if difference.low <= 0 <= difference.high else "differs"
