"""Not of the paper: differences and correlations that are 0 where there is nothing to be seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from epsball.analysis.adversarial_correlates import (
    QUANTITIES,
    at_largest,
    boundary,
    correlates,
    find_plain_twin,
    first_of_several,
    join_networks,
    rank_correlation,
)
from epsball.analysis.claims import Claim, Values, log_ratio, median, wide
from epsball.analysis.run import Run


def _permuted_against_redrawn(permuted: str, redrawn: str) -> Callable[[Run, str], Values | None]:
    """log2 of the ratio of ranges, mean over the radii from 1 on."""

    def values(results: Run, network: str) -> Values | None:
        ranges = {probe: wide(results.metrics(probe, network), "range") for probe in (permuted, redrawn)}
        radii = [radius for radius in results.config.ball.radii if radius >= 1]
        if not radii:
            return None
        ratios = [log_ratio(ranges[permuted][radius], ranges[redrawn][radius]) / np.log(2) for radius in radii]
        mean: pd.Series = pd.concat(ratios, axis=1).mean(axis=1)
        return mean

    return values


def _mixed_against_one_radius(results: Run, network: str) -> Values:
    mixed, one = (at_largest(results, network, probe, "rho") for probe in ("topology_mixed_radius", "topology"))
    return (mixed - one).dropna()


def _alpha_against_shuffled(probe: str) -> Callable[[Run, str], Values | None]:
    def values(results: Run, network: str) -> Values:
        shuffled, own = (at_largest(results, network, probe, column) for column in ("shuffled", "distance"))
        return (shuffled - own).dropna()

    return values


def _halves(results: Run, network: str) -> Values:
    table = results.metrics("topology_mixed_radius", network)
    table = table[table["radius"] == table["radius"].max()].set_index("sample")
    halves: pd.DataFrame = table[["rho_half1", "rho_half2"]].dropna()
    return halves


def reliability(rows: np.ndarray) -> float:
    """Correlation over samples of a measurement by halves, for its whole by Spearman and Brown's formula."""
    if len(rows) < 2 or (np.ptp(rows, axis=0) == 0).any():
        return 0.0
    half = float(np.corrcoef(rows.T)[0, 1])
    return max(2 * half / (1 + half), -1.0) if half > -1 else -1.0


def _expanded(column: Callable[[pd.DataFrame], pd.Series], radius: float | None) -> Callable[[Run, str], Values]:
    """Of Eq. 3, at a radius, or at the largest."""

    def values(results: Run, network: str) -> Values:
        table = results.metrics("expansion", network)
        at = table["radius"].max() if radius is None else radius
        found: pd.Series = column(table[table["radius"] == at].set_index("sample")).dropna()
        return found

    return values


def _lipschitz_gap(upper: str, lower: str) -> Callable[[Run, str], Values]:
    def values(results: Run, network: str) -> Values:
        table = results.metrics("lipschitz_bounds", network).set_index("sample")
        found: pd.Series = (log_ratio(table[upper], table[lower]) / np.log(10)).where(table[upper].notna()).dropna()
        return found

    return values


def _against_flat(results: Run, network: str) -> Values:
    found = boundary(results, network)
    found = found[np.isfinite(found["worst"])]
    # Beyond the reach of the search nothing is known, of either.
    met = found["random"].clip(upper=found["search_limit"])
    doublings: pd.Series = np.log2(met / (found["worst"] * found["hyperplane_ratio"]).clip(upper=found["search_limit"]))
    return doublings


def _columns(quantity: str) -> list[str]:
    return [quantity, "distance"] + (["margin"] if quantity != "margin" else [])


def _explained_by(quantity: str) -> Callable[[Run, str], Values]:
    def values(results: Run, network: str) -> Values:
        return correlates(results, network)[_columns(quantity)].dropna()

    return values


def _explained_across(quantity: str) -> Callable[[Run, str], Values]:
    def values(results: Run, network: str) -> Values:
        of_all = join_networks(results, network)
        networks = results.config.networks_of(results.config.networks[network].dataset)
        return of_all[[f"{name} {spec.name}" for spec in networks for name in _columns(quantity)]].dropna()

    return values


def _pooled(quantity: str) -> Callable[[np.ndarray], float]:
    return lambda rows: rank_correlation(rows.reshape(-1, len(_columns(quantity))))


def _changed_by_training(quantity: str) -> Callable[[Run, str], Values | None]:
    """log2 of the ratio to the standard network of the same architecture, sample by sample; of ρ the difference."""

    def values(results: Run, network: str) -> Values | None:
        other = find_plain_twin(results.config, network)
        if other is None:
            return None
        robust, plain = (correlates(results, name)[quantity] for name in (network, other))
        changed: pd.Series = robust - plain if quantity == "rho" else log_ratio(robust, plain) / np.log(2)
        return changed.dropna()

    return values


COMPARISONS = (
    Claim(
        "permuted against redrawn",
        "not in the paper: median log2 of the ratio of the permuted range to the redrawn one, mean over r ≥ 1; "
        "0 where a permutation is as good as another draw",
        "symmetry",
        0.0,
        True,
        _permuted_against_redrawn("symmetry", "isotropy"),
        median,
    ),
    Claim(
        "topology, mixed against one radius",
        "not in the paper: median of Mantel's ρ at norms mixed up to the largest radius, less ρ at that radius; "
        "what one radius hides",
        "topology_mixed_radius",
        0.0,
        True,
        _mixed_against_one_radius,
        median,
    ),
    Claim(
        "Eq. 7 at one radius",
        "Eq. 7, not scored in the paper: median of the distance of α from cI with the output's points shuffled, less "
        "that of α, at the largest radius; 0 where α says nothing of the network",
        "alpha",
        0.0,
        True,
        _alpha_against_shuffled("alpha"),
        median,
    ),
    Claim(
        "Eq. 7 at mixed radii",
        "the same at norms mixed up to the largest radius",
        "alpha_mixed_radius",
        0.0,
        True,
        _alpha_against_shuffled("alpha_mixed_radius"),
        median,
    ),
    Claim(
        "split-draw reliability",
        "not in the paper: correlation over samples of Mantel's ρ at mixed norms from the first and from the second "
        "half of the draws, for all draws by Spearman and Brown's formula; the ceiling of any correlation with ρ",
        "topology_mixed_radius",
        0.0,
        True,
        _halves,
        reliability,
    ),
    *(
        Claim(
            f"permuted against redrawn, {name}",
            f"not in the paper: the same of {words}",
            permuted,
            0.0,
            True,
            _permuted_against_redrawn(permuted, redrawn),
            median,
            needs=(redrawn,),
        )
        for name, permuted, redrawn, words in (
            ("pixels", "symmetry_pixels", "isotropy", "permutations of whole pixels"),
            ("channels", "symmetry_channels", "isotropy", "permutations within each channel"),
            ("patches", "symmetry_patches", "isotropy", "permutations within patches"),
            (
                "low frequencies",
                "symmetry_low_frequency",
                "isotropy_low_frequency",
                "a low-frequency vector, which loses them",
            ),
        )
    ),
    Claim(
        "Eq. 3, gradient",
        "Eq. 3: median share of the variance of the margin at radius 1 that the gradient explains",
        "expansion",
        0.0,
        True,
        _expanded(lambda table: table["margin_first"], 1.0),
        median,
    ),
    Claim(
        "Eq. 3, Hessian",
        "Eq. 3: median share that the Hessian explains more; 0 for a piecewise linear network",
        "expansion",
        0.0,
        True,
        _expanded(lambda table: table["margin_second"] - table["margin_first"], 1.0),
        median,
    ),
    Claim(
        "Eq. 3, neither",
        "Eq. 3: median share of the variance of the score at the largest radius that neither explains; above 1 where "
        "the expansion is worse than none",
        "expansion",
        0.0,
        True,
        _expanded(lambda table: 1 - table["score_second"], None),
        median,
    ),
    Claim(
        "Jacobian against sampled",
        "Lipschitz: median log10 of the norm of the Jacobian over the sampled ratio at ε; what random directions miss",
        "lipschitz_bounds",
        0.0,
        True,
        _lipschitz_gap("jacobian_norm", "sampled_rms"),
        median,
    ),
    Claim(
        "global bound against Jacobian",
        "Lipschitz: median log10 of the bound of Szegedy et al. over the norm of the Jacobian",
        "lipschitz_bounds",
        0.0,
        True,
        _lipschitz_gap("global_bound", "jacobian_norm"),
        median,
    ),
    Claim(
        "boundary against a flat one",
        "median log2 of the distance to the boundary in a random direction over that in the worst, over 1.48 √d, which "
        "a flat boundary gives; both cut where the search ended",
        "boundary",
        0.0,
        True,
        _against_flat,
        median,
    ),
    *(
        Claim(
            f"explains adversarial examples: {quantity}",
            f"rank correlation over samples of the {words} with the smallest adversarial distance"
            + (", partial on the clean margin" if quantity != "margin" else ""),
            "boundary",
            0.0,
            True,
            _explained_by(quantity),
            rank_correlation,
            needs=("gradient", "topology_mixed_radius"),
        )
        for quantity, (_, words) in QUANTITIES.items()
    ),
    *(
        Claim(
            f"explains adversarial examples across networks: {quantity}",
            f"the same of the {words}, over samples and networks of a dataset together; intervals over samples",
            "boundary",
            0.0,
            True,
            _explained_across(quantity),
            _pooled(quantity),
            needs=("gradient", "topology_mixed_radius"),
            across=True,
            applies=first_of_several,
        )
        for quantity, (_, words) in QUANTITIES.items()
    ),
    *(
        Claim(
            f"adversarial training: {quantity}",
            f"what adversarial training does to the {words}: median "
            + ("difference" if quantity == "rho" else "log2 of the ratio")
            + " to the same architecture trained without, paired over samples",
            "boundary",
            0.0,
            True,
            _changed_by_training(quantity),
            median,
            needs=("gradient", "topology_mixed_radius"),
            applies=lambda config, network: find_plain_twin(config, network) is not None,
        )
        for quantity, words in {
            "distance": "smallest adversarial distance",
            **{name: words for name, (_, words) in QUANTITIES.items()},
        }.items()
    ),
)
