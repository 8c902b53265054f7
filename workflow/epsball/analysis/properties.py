"""Local properties beside the smallest adversarial distance: of every sample of every network of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from epsball.analysis.claims import at_radius, wide
from epsball.analysis.run import Run
from epsball.stages.studied import NEEDED

DISTANCE, MARGIN, ACCURACY = "distance", "margin", "accuracy"
FACTOR = "factor_"  # before the name of a factor


class Property(NamedTuple):
    """A local property of a network around an image."""

    words: str
    probes: tuple[str, ...]
    of: Callable[[Run, str], pd.Series]  # of a network, by sample
    log: bool = True  # whether it is positive, and its logarithm what varies


def boundary(run: Run, network: str) -> pd.DataFrame:
    """Return distances to the decision boundary, infinite if none was met.

    Returns:
        A row per sample: random, the median over random directions; worst, the smallest of the attacks;
        hyperplane_ratio, what their ratio would be if the boundary were flat; search_limit, how far was searched.
    """
    table = run.metrics("boundary", network).drop_duplicates(["sample", "kind", "direction"])
    by_kind = table.groupby(["sample", "kind"], sort=False)["distance"]
    by_sample = table.groupby("sample", sort=False)
    return pd.DataFrame(
        {
            "random": by_kind.median().xs("random", level="kind"),
            "worst": by_kind.min().xs("attack", level="kind"),
            "hyperplane_ratio": by_sample["hyperplane_ratio"].first(),
            "search_limit": by_sample["search_limit"].first(),
        }
    )


def ranges_at_1(run: Run, network: str) -> pd.DataFrame:
    """Return the table of ranges at the first radius from 1 on, or at the largest, by sample."""
    radii = run.config.ball.radii
    return at_radius(run, "isotropy", network, min((radius for radius in radii if radius >= 1), default=max(radii)))


def _symmetry(run: Run, network: str) -> pd.Series:
    permuted, redrawn = (wide(run.metrics(probe, network), "margin_range") for probe in ("symmetry", "isotropy"))
    radii = [radius for radius in run.config.ball.radii if radius >= 1] or [max(run.config.ball.radii)]
    found: pd.Series = np.exp(np.log(permuted[radii] / redrawn[radii]).mean(axis=1))
    return found


def _ratio(run: Run, network: str) -> pd.Series:
    found: pd.Series = at_radius(run, "lipschitz", network).groupby("sample", sort=False)["ratio_raw"].median()
    return found


def _first_order(run: Run, network: str) -> pd.Series:
    table = run.metrics("gradient", network).set_index("sample")
    return table["margin"] / table["gradient_margin"]


def _of_sample(probe: str, column: str) -> Callable[[Run, str], pd.Series]:
    return lambda run, network: run.metrics(probe, network).set_index("sample")[column]


def _random(run: Run, network: str) -> pd.Series:
    found = boundary(run, network)
    return found["random"].clip(upper=found["search_limit"])


#: What is compared with the smallest adversarial distance.
PROPERTIES = {
    "margin_range": Property(
        "range of the margin at 1", ("isotropy",), lambda run, network: ranges_at_1(run, network)["margin_range"]
    ),
    "symmetry": Property("range over permutations ÷ over fresh draws", ("isotropy", "symmetry"), _symmetry),
    "rho": Property(
        "Mantel's ρ at mixed norms",
        ("topology_mixed_radius",),
        lambda run, network: at_radius(run, "topology_mixed_radius", network)["rho"],
        log=False,
    ),
    "ratio": Property("median local ratio at the largest radius", ("lipschitz",), _ratio),
    "gradient": Property("‖∇ margin‖", ("gradient",), _of_sample("gradient", "gradient_margin")),
    "first_order": Property("margin ÷ ‖∇ margin‖", ("gradient",), _first_order),
    "jacobian": Property(
        "norm of the features' Jacobian", ("lipschitz_bounds",), _of_sample("lipschitz_bounds", "jacobian_norm")
    ),
    "clever": Property("CLEVER score", ("lipschitz_bounds",), _of_sample("lipschitz_bounds", "clever_score")),
    "random": Property("distance to the boundary in random directions", ("boundary",), _random),
    MARGIN: Property("clean margin", ("gradient",), _of_sample("gradient", "margin")),
}


def properties(run: Run, dataset: str) -> pd.DataFrame:
    """Collect what is known of the samples of a dataset's networks.

    Returns:
        A row for each network that has the probes of `NEEDED` and each of its samples: network; sample; factor_<name>
        for its factors; distance, the smallest adversarial one in L2, at most the search limit; censored, whether
        none was found up to there; a column for each of `PROPERTIES`, not a number where it is not measured or not
        defined; accuracy of the network on its pool.
    """
    networks = [spec.name for spec in run.config.networks_of(dataset) if measured(run, spec.name, *NEEDED)]
    columns = ["network", "sample", DISTANCE, "censored", *PROPERTIES, ACCURACY]
    none = pd.DataFrame(columns=columns, dtype=float)
    return pd.concat([_of_network(run, network) for network in networks], ignore_index=True) if networks else none


def _of_network(run: Run, network: str) -> pd.DataFrame:
    found = boundary(run, network)
    survey = run.survey(network)
    columns = {
        name: each.of(run, network) if measured(run, network, *each.probes) else np.nan
        for name, each in PROPERTIES.items()
    }
    table = pd.DataFrame({DISTANCE: found["worst"].clip(upper=found["search_limit"])}).assign(
        censored=np.isinf(found["worst"]),
        **columns,
        **{ACCURACY: float((survey["prediction"] == survey["label"]).mean())},
    )
    table = table.rename_axis("sample").reset_index()
    for name, level in reversed(list(run.config.networks[network].factors.items())):
        table.insert(1, f"{FACTOR}{name}", level)
    table.insert(0, "network", network)
    return table


def frontier(table: pd.DataFrame) -> pd.DataFrame:
    """Return the networks than which no other is both more accurate and farther from adversarial examples.

    Args:
        table: see `properties`.

    Returns:
        A row for each, by network, the farthest first: distance, the median over its samples; accuracy.
    """
    medians = table.groupby("network", sort=False)[[DISTANCE, ACCURACY]].median()
    farthest_first = medians.sort_values([DISTANCE, ACCURACY], ascending=False)
    of_farther = farthest_first[ACCURACY].cummax().shift(fill_value=-np.inf)
    return farthest_first[farthest_first[ACCURACY] > of_farther]


def factors(table: pd.DataFrame) -> list[str]:
    """Return the columns of a table of properties that have factors."""
    return [str(column) for column in table if str(column).startswith(FACTOR)]


def measured(run: Run, network: str, *probes: str) -> bool:
    """Return whether a network has the tables of these probes."""
    return set(probes) <= set(run.probes) and not run.unavailable(network, *probes)
