"""Write how often relations between networks are found, where they are and where not: python docs/across_networks.py.

Networks are made up, of seven architectures. Takes five minutes on two cores.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from epsball.analysis.across_networks import across_networks
from marked import put, table

PAGE = Path(__file__).parent / "explanation" / "across_networks.md"
SIZES = (20, 60)
EFFECTS = (0.0, 0.25, 0.5)
REPEATS = 60
SAMPLES, ARCHITECTURES, RESAMPLED = 25, 7, 300

#: What stands for a property that has an effect, one that copies the margin, and three that are nothing.
REAL, COPY, NOTHING = "ratio", "gradient", ("jacobian", "clever", "margin_range")


def made_up(effect: float, networks: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw networks: their distance grows with margin, architecture, chance and, by `effect`, with one property."""
    architecture = np.arange(networks) % ARCHITECTURES
    margin, noise, real, copy, *nothing = generator.normal(size=(4 + len(NOTHING), networks))
    of_architecture = 0.3 * generator.normal(size=ARCHITECTURES)[architecture]
    means = {
        "distance": 0.6 * margin + effect * real + of_architecture + 0.4 * noise,
        "margin": margin,
        REAL: real,
        COPY: 0.8 * margin + 0.6 * copy,
        **dict(zip(NOTHING, nothing, strict=True)),
    }
    image = 0.5 * generator.normal(size=SAMPLES)  # some are harder for all
    shared = {"distance", "margin"}
    columns = {
        name: np.exp(
            mean[:, None] + (image if name in shared else 0) + 0.5 * generator.normal(size=(networks, SAMPLES))
        )
        for name, mean in means.items()
    }
    names = np.array([f"n{number}" for number in range(networks)])
    return pd.DataFrame(
        {
            "network": names.repeat(SAMPLES),
            "sample": np.tile([f"s{number}" for number in range(SAMPLES)], networks),
            "factor_architecture": np.char.add("a", architecture.astype(str)).repeat(SAMPLES),
            "accuracy": (0.9 + 0.03 * np.tanh(generator.normal(size=networks))).repeat(SAMPLES),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )


def _study(effect: float, networks: int, repeat: int) -> pd.DataFrame:
    generator = np.random.default_rng([int(100 * effect), networks, repeat])
    return across_networks(made_up(effect, networks, generator), seed=repeat, resampled=RESAMPLED)


def main() -> None:
    """Simulate studies, and count what they find."""
    cases = list(itertools.product(EFFECTS, SIZES, range(REPEATS)))
    with ProcessPoolExecutor(2) as workers:
        found = list(workers.map(_study, *zip(*cases, strict=True)))
    results = pd.concat(dict(zip(cases, found, strict=True)), names=["effect", "size", "repeat"]).reset_index()
    results["alone"], results["together"] = results["p"] < 0.05, results["p_adjusted"] < 0.05
    rows = []
    for statistic, size in itertools.product(results["statistic"].unique(), SIZES):
        some = results[(results["statistic"] == statistic) & (results["size"] == size)]
        nothing = some[some["property"].isin(NOTHING)]
        of_real = some[some["property"] == REAL].groupby("effect")["alone"].mean()
        copied = some.loc[some["property"] == COPY, "alone"].mean()
        any_wrong = nothing.groupby(["effect", "repeat"])["together"].any().mean()
        shares = [nothing["alone"].mean(), any_wrong, copied, *(of_real[effect] for effect in EFFECTS[1:])]
        rows.append((statistic, size, *(f"{100 * share:.1f}" for share in shares)))
    head = (
        *("statistic", "networks", "nothing, alone, %", "any nothing, together, %", "copy of the margin, alone, %"),
        *(f"effect {effect:g}, alone, %" for effect in EFFECTS[1:]),
    )
    put(PAGE, "simulated networks", table(head, rows))


if __name__ == "__main__":
    main()
