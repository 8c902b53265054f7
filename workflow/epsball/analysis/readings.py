"""Readings of the paper: a configuration for each, one change away from a base, and their verdicts side by side."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from epsball.analysis.run import read_claims
from epsball.config import Config, Noise, Norm, Normaliser, load_config, sweeps
from epsball.errors import EpsballError
from epsball.networks.sources import loads_state

BASE = "base"

# What the paper leaves open, and how it may be read.
_OPEN: dict[str, tuple[Any, ...]] = {
    "norm": get_args(Norm),
    "epsilon": (0.01, 0.1, 0.5),
    "clip": (False, True),
    "noise": get_args(Noise),
    "threshold": (0.9, 0.99, 0.999),
    "normaliser": get_args(Normaliser),
}

_COLUMNS = ["claim", "network", "dataset", "threshold", "estimate", "ci_low", "ci_high", "bound", "samples", "verdict"]


def readings(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Make the configurations of all readings from the base, which comes first.

    A threshold is set for every dataset. A reading that equals the base, or is no valid configuration (an epsilon that
    is not below the first radius, say), is left out. Only the base trains networks, and has to run first: the others
    take the weights that it keeps, where the network's source can load them.

    Returns:
        For each reading, by name, what its YAML file is to hold. The run `x` becomes `x-<reading>`.

    Raises:
        EpsballError: the base is no valid configuration.
    """
    base = load_config(raw)
    raw = {key: value for key, value in sweeps.expand(raw).raw.items() if key != "sweeps"}
    found = {BASE: copy.deepcopy(dict(raw)) | {"run": f"{base.run}-{BASE}"}}
    for key, value in ((key, value) for key, values in _OPEN.items() for value in values):
        changed = copy.deepcopy(dict(raw)) | {key: value}
        if key == "threshold":
            for dataset in changed["datasets"].values():
                dataset.pop("threshold", None)
        try:
            if load_config(changed) == base:
                continue
        except EpsballError:
            continue
        name = f"{key}-{_word(value)}"
        found[name] = changed | {"run": f"{base.run}-{name}", "networks": _networks(changed, base)}
        load_config(found[name])
    return found


def describe(config: Config) -> str:
    """Say in a few words how a configuration reads the paper."""
    ball = config.ball
    thresholds = sorted({dataset.threshold for dataset in config.datasets.values()})
    return (
        f"norm {ball.norm}, ε {ball.epsilon:g}, clip {_word(ball.clip)}, noise {ball.noise}, "
        f"threshold {' or '.join(f'{threshold:g}' for threshold in thresholds)}, g {config.normaliser}"
    )


def _word(value: Any) -> str:
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else str(value)


def _networks(changed: Mapping[str, Any], base: Config) -> dict[str, Any]:
    """Return the networks of a reading, with the weights of the base's run instead of a training of their own."""
    entries = {}
    for name, entry in changed["networks"].items():
        spec = base.networks[name]
        entries[name] = dict(entry)
        if spec.training is not None and loads_state(spec):
            entries[name].pop("training", None)
            entries[name]["weights"] = f"results/{base.run}-{BASE}/networks/{name}/weights.safetensors"
    return entries


def compare(runs: Mapping[str, Path]) -> pd.DataFrame:
    """Put the verdicts on the paper's claims one below the other, from the folder of the run of each reading.

    Returns:
        A row per reading, claim and network: reading, claim, network, dataset, threshold, estimate, ci_low, ci_high,
        bound, samples, verdict. Comparisons beyond the paper, and with controls, are left out.

    Raises:
        EpsballError: a run is missing.
    """
    tables = []
    for reading, folder in runs.items():
        path = folder / "claims.tsv"
        try:
            table = read_claims(path)
        except FileNotFoundError:
            raise EpsballError(
                f"reading '{reading}' has no verdicts yet: '{path}' does not exist; run its configuration, or remove "
                "it to leave the reading out"
            ) from None
        papers = (table["kind"] == "paper") & (table["control"] == "")
        tables.append(table.loc[papers, _COLUMNS].assign(reading=reading))
    return pd.concat(tables, ignore_index=True)[["reading", *_COLUMNS]]


def summary(table: pd.DataFrame) -> Iterator[str]:
    """Say in a few lines which claims of a table of `compare` have the same verdict under every reading."""
    base = table["reading"].iloc[0]
    same: list[str] = []
    other: list[str] = []
    for (claim, network), rows in table.groupby(["claim", "network"], sort=False):
        found = rows.set_index("reading")["verdict"]
        line = f"  {claim}, {network}: {found[base]}"
        others = found[found != found[base]]
        groups = [f"{verdict} under {', '.join(group.index)}" for verdict, group in others.groupby(others, sort=False)]
        (other if groups else same).append("; ".join([line, *groups]))
    yield f"The same verdict under all {table['reading'].nunique()} readings:"
    yield from same or ["  none"]
    yield f"Another verdict under some (first that of '{base}'):"
    yield from other or ["  none"]
