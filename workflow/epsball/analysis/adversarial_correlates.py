"""Does anything explain adversarial examples? What is measured of samples, and their smallest adversarial distance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from epsball.analysis.claims import at_radius
from epsball.analysis.run import Run

# What might explain them, in words.
QUANTITIES = {
    "range": "range of the score at 1",
    "rho": "Mantel's ρ at mixed norms",
    "ratio": "median local ratio at the largest radius",
    "gradient": "‖∇ margin‖",
    "margin": "clean margin",
}


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


def correlates(run: Run, network: str) -> pd.DataFrame:
    """Return a row per sample: the quantities of `QUANTITIES`, and distance, the smallest adversarial one."""
    radii = run.config.ball.radii
    gradient = run.metrics("gradient", network).set_index("sample")
    first = min((radius for radius in radii if radius >= 1), default=max(radii))
    return pd.DataFrame(
        {
            "range": at_radius(run, "isotropy", network, first)["range"],
            "rho": at_radius(run, "topology_mixed_radius", network)["rho"],
            "ratio": at_radius(run, "lipschitz", network).groupby("sample", sort=False)["ratio_raw"].median(),
            "gradient": gradient["gradient_margin"],
            "margin": gradient["margin"],
            "distance": boundary(run, network)["worst"],
        }
    )


def rank_correlation(rows: np.ndarray) -> float:
    """Compute Spearman's correlation of the first two columns, partial on a third one where there is one.

    Args:
        rows: (sample, 2 or 3).

    Returns:
        The correlation; 0 if a column does not vary.
    """
    from scipy.stats import rankdata  # takes a second to import, and the report and figures rarely need it

    ranks = rankdata(rows, axis=0)
    if len(rows) < 3 or (np.ptp(ranks, axis=0) == 0).any():
        return 0.0
    matrix = np.atleast_2d(np.corrcoef(ranks.T))
    if rows.shape[1] == 2:
        return float(matrix[0, 1])
    left = (1 - matrix[0, 2] ** 2) * (1 - matrix[1, 2] ** 2)
    return float((matrix[0, 1] - matrix[0, 2] * matrix[1, 2]) / np.sqrt(left)) if left > 1e-12 else 0.0
