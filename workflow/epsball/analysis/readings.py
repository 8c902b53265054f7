"""Readings of the paper: a configuration for each, one thing away from a base, and their verdicts side by side."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from epsball.analysis.run import read_claims
from epsball.config import Config, load_config
from epsball.errors import EpsballError
from epsball.networks.sources import loads_state

BASE = "base"

# What the paper leaves open, and how it may be read.
_OPEN: dict[str, tuple[Any, ...]] = {
    "norm": ("l2", "linf"),
    "epsilon": (0.01, 0.1, 0.5),
    "clip": (False, True),
    "noise": ("uniform", "gaussian", "sphere"),
    "threshold": (0.9, 0.99, 0.999),
}

_COLUMNS = (
    "claim",
    "network",
    "dataset",
    "threshold",
    "estimate",
    "ci_low",
    "ci_high",
    "bound",
    "samples",
    "verdict",
)


def readings(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The configurations of all readings, the base first.

    A threshold stands for that of every dataset. What equals the base or cannot be, such as an epsilon that is not
    below the first radius, is left out. Networks that are trained are trained by the base alone, which has to run
    first: the others take the weights that it keeps, where the network's source can load them.

    Args:
        raw: the base, as its YAML file holds it.

    Returns:
        By the name of the reading, what its YAML file is to hold. The run `x` becomes `x-<reading>`.

    Raises:
        EpsballError: the base is no valid configuration.
    """
    base = load_config(raw)
    found = {BASE: copy.deepcopy(dict(raw)) | {"run": run_of(base.run, BASE)}}
    for name, changed in _changes(raw, base):
        if load_config(changed) != base:
            kept = {"run": run_of(base.run, name), "networks": _networks(changed, base)}
            load_config(changed | kept)
            found[name] = changed | kept
    return found


def run_of(base: str, reading: str) -> str:
    """The run of a reading of a run."""
    return f"{base}-{reading}"


def describe(config: Config) -> str:
    """How a configuration reads the paper, in a few words."""
    ball = config.ball
    thresholds = sorted({dataset.threshold for dataset in config.datasets.values()})
    return (
        f"norm {ball.norm}, ε {ball.epsilon:g}, clip {_word(ball.clip)}, noise {ball.noise}, "
        f"threshold {' or '.join(f'{threshold:g}' for threshold in thresholds)}"
    )


def _changes(raw: Mapping[str, Any], base: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """The base with one thing changed, each way that is possible, and a name."""
    for key, values in _OPEN.items():
        for value in values:
            if not _possible(base, key, value):
                continue
            changed = copy.deepcopy(dict(raw)) | {key: value}
            if key == "threshold":
                for dataset in changed["datasets"].values():
                    dataset.pop("threshold", None)
            yield f"{key}-{_word(value)}", changed


def _possible(base: Config, key: str, value: Any) -> bool:
    if key == "epsilon":
        return bool(value < base.ball.radii[2])  # after 0 and its own
    # The L2 norm of Gaussian noise alone has a scale.
    return not (value == "linf" and base.ball.noise == "gaussian") and not (
        value == "gaussian" and base.ball.norm == "linf"
    )


def _word(value: Any) -> str:
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else str(value)


def _networks(changed: Mapping[str, Any], base: Config) -> dict[str, Any]:
    """The networks of a reading: with the weights of the base's run instead of a training of their own."""
    entries = {}
    for name, entry in changed["networks"].items():
        spec = base.networks[name]
        entries[name] = dict(entry)
        if spec.training is not None and loads_state(spec):
            entries[name].pop("training", None)
            entries[name]["weights"] = f"results/{run_of(base.run, BASE)}/networks/{name}/weights.safetensors"
    return entries


def compare(runs: Mapping[str, Path]) -> pd.DataFrame:
    """The verdicts on the paper's claims under every reading, one below the other.

    Args:
        runs: by the name of the reading, the folder of its run.

    Returns:
        A row a reading, claim and network: reading, claim, network, dataset, threshold, estimate, ci_low, ci_high,
        bound, samples, verdict. Claims beyond the paper, and rows of controls, are not among them.

    Raises:
        EpsballError: a run is missing.
    """
    return pd.concat([_claims(reading, folder) for reading, folder in runs.items()], ignore_index=True)


def _claims(reading: str, folder: Path) -> pd.DataFrame:
    path = folder / "claims.tsv"
    try:
        table = read_claims(path)
    except FileNotFoundError:
        raise EpsballError(
            f"reading '{reading}' has no verdicts yet: '{path}' does not exist; run its configuration, or remove it to "
            "leave the reading out"
        ) from None
    kept = table.loc[(table["kind"] == "paper") & (table["control"] == ""), list(_COLUMNS)]
    kept.insert(0, "reading", reading)
    return kept


def summary(table: pd.DataFrame) -> Iterator[str]:
    """Say in a few lines which claims have the same verdict under every reading, and which have not.

    Args:
        table: of `compare`, whose first reading is the base.
    """
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
