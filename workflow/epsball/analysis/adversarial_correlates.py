"""Does any of it explain adversarial examples? What is measured of samples, and their smallest adversarial distance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from epsball.analysis.run import Run
from epsball.config import Config

QUANTITIES = {
    "range": ("isotropy", "range of the score at 1"),
    "rho": ("topology_mixed_radius", "Mantel's ρ at mixed norms"),
    "ratio": ("lipschitz", "median local ratio at the largest radius"),
    "gradient": ("gradient", "‖∇ margin‖"),
    "margin": ("gradient", "clean margin"),
}


def at_largest(results: Run, network: str, probe: str, column: str) -> pd.Series:
    """A column of a probe's table at its largest radius, by sample."""
    table = results.metrics(probe, network)
    values: pd.Series = table[table["radius"] == table["radius"].max()].set_index("sample")[column]
    return values


def boundary(results: Run, network: str) -> pd.DataFrame:
    """Distances to the decision boundary, infinite where none was met.

    Returns:
        A row a sample: random, median of the random directions; worst, the smallest of the attacks; flat, their ratio
        if the boundary were flat; reach, how far was searched.
    """
    table = results.metrics("boundary", network).drop_duplicates(["sample", "kind", "direction"])
    by_kind = table.groupby(["sample", "kind"], sort=False)["distance"]
    return pd.DataFrame(
        {
            "random": by_kind.median().xs("random", level="kind"),
            "worst": by_kind.min().xs("attack", level="kind"),
            **{
                name: table.groupby("sample", sort=False)[name].first() for name in ("hyperplane_ratio", "search_limit")
            },
        }
    )


def correlates(results: Run, network: str) -> pd.DataFrame:
    """A row a sample: the quantities that might explain the smallest adversarial distance, and that distance."""
    isotropy, gradient = (results.metrics(name, network) for name in ("isotropy", "gradient"))
    ratios = results.metrics("lipschitz", network)
    ratios = ratios[ratios["radius"] == ratios["radius"].max()]
    first = min((radius for radius in results.config.ball.radii if radius >= 1), default=max(results.config.ball.radii))
    gradient = gradient.set_index("sample")
    return pd.DataFrame(
        {
            "range": isotropy[isotropy["radius"] == first].set_index("sample")["range"],
            "rho": at_largest(results, network, "topology_mixed_radius", "rho"),
            "ratio": ratios.groupby("sample", sort=False)["ratio_raw"].median(),
            "gradient": gradient["gradient_margin"],
            "margin": gradient["margin"],
            "distance": boundary(results, network)["worst"],
        }
    )


def join_networks(results: Run, network: str) -> pd.DataFrame:
    """The same of all networks of a network's dataset, side by side: a row a sample, the columns of each in turn."""
    networks = results.config.networks_of(results.config.networks[network].dataset)
    return pd.concat([correlates(results, spec.name).add_suffix(f" {spec.name}") for spec in networks], axis=1)


def first_of_several(config: Config, network: str) -> bool:
    """Whether a network is the first of a dataset that has more."""
    networks = config.networks_of(config.networks[network].dataset)
    return len(networks) > 1 and networks[0].name == network


def find_plain_twin(config: Config, network: str) -> str | None:
    """The network that one trained adversarially is like in everything else; None for any other."""
    spec = config.networks[network]
    if spec.training is None or not spec.training.adversarial_radius:
        return None
    for other in config.networks_of(spec.dataset):
        plain = other.training is not None and not other.training.adversarial_radius
        if plain and (other.factory, other.args) == (spec.factory, spec.args):
            return other.name
    return None


def rank_correlation(rows: np.ndarray) -> float:
    """Spearman's of the first two columns, partial on a third one where there is one.

    Args:
        rows: (sample, 2 or 3).

    Returns:
        0 where one of them does not vary.
    """
    ranks = rankdata(rows, axis=0)
    if len(rows) < 3 or (np.ptp(ranks, axis=0) == 0).any():
        return 0.0
    matrix = np.atleast_2d(np.corrcoef(ranks.T))
    if rows.shape[1] == 2:
        return float(matrix[0, 1])
    left = (1 - matrix[0, 2] ** 2) * (1 - matrix[1, 2] ** 2)
    return float((matrix[0, 1] - matrix[0, 2] * matrix[1, 2]) / np.sqrt(left)) if left > 1e-12 else 0.0
