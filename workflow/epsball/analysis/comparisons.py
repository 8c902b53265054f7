"""Beyond the paper: differences and correlations that are 0 if there is no effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from epsball.analysis.adversarial_correlates import QUANTITIES, boundary, correlates, rank_correlation
from epsball.analysis.claims import Statement, Values, Verdict, at_radius, judge_difference, log_ratio, wide
from epsball.analysis.intervals import Estimate
from epsball.analysis.run import Run
from epsball.config import Config


@dataclass(frozen=True, kw_only=True)
class Comparison(Statement):
    """A number that differs from 0 if there is an effect.

    Attributes:
        across: whether its values are of all networks of a dataset together, whichever network is given.
        applies: whether it can be made for a network.
    """

    kind: ClassVar[str] = "comparison"

    across: bool = False
    applies: Callable[[Config, str], bool] = lambda config, network: True

    @property
    def criterion(self) -> str:
        """What holds if there is no effect."""
        return "= 0"

    def judge(self, estimate: Estimate | None, samples: int, draws: int) -> Verdict:
        """See `Statement.judge`."""
        return judge_difference(estimate, samples)


def _permutations(name: str, statement: str, permuted: str, redrawn: str) -> Comparison:
    """Compare the ranges of two probes: log2 of their ratio, mean over the radii from 1 on."""

    def values(run: Run, network: str) -> Values | None:
        upper, lower = (wide(run.metrics(probe, network), "range") for probe in (permuted, redrawn))
        ratios = [
            log_ratio(upper[radius], lower[radius]) / np.log(2) for radius in run.config.ball.radii if radius >= 1
        ]
        return pd.concat(ratios, axis=1).mean(axis=1) if ratios else None

    return Comparison(name=name, statement=statement, probes=(permuted, redrawn), values=values)


def _mixed_against_one_radius(run: Run, network: str) -> Values:
    mixed, one = (at_radius(run, probe, network)["rho"] for probe in ("topology_mixed_radius", "topology"))
    return (mixed - one).dropna()


def _alpha(name: str, statement: str, probe: str) -> Comparison:
    """Compare the distance of α from a multiple of the identity with that of shuffled points."""

    def values(run: Run, network: str) -> Values:
        table = at_radius(run, probe, network)
        return (table["shuffled"] - table["distance"]).dropna()

    return Comparison(name=name, statement=statement, probes=(probe,), values=values)


def _halves(run: Run, network: str) -> Values:
    return at_radius(run, "topology_mixed_radius", network)[["rho_half1", "rho_half2"]].dropna()


def reliability(rows: np.ndarray) -> float:
    """Correlate a measurement by halves over samples, and extend that to the whole by Spearman and Brown's formula."""
    if len(rows) < 2 or (np.ptp(rows, axis=0) == 0).any():
        return 0.0
    half = float(np.corrcoef(rows.T)[0, 1])
    return max(2 * half / (1 + half), -1.0) if half > -1 else -1.0


def _expansion(
    part: str, statement: str, share: Callable[[pd.DataFrame], pd.Series], radius: float | None
) -> Comparison:
    """Judge a share of variance of Eq. 3 at a radius, or at the largest."""
    return Comparison(
        name=f"Eq. 3, {part}",
        statement=f"Eq. 3: {statement}",
        probes=("expansion",),
        values=lambda run, network: share(at_radius(run, "expansion", network, radius)).dropna(),
    )


def _lipschitz(name: str, statement: str, upper: str, lower: str) -> Comparison:
    """Compare two Lipschitz numbers: log10 of their ratio."""

    def values(run: Run, network: str) -> Values:
        table = run.metrics("lipschitz_bounds", network).set_index("sample")
        decades: pd.Series = log_ratio(table[upper], table[lower]) / np.log(10)
        return decades.where(table[upper].notna()).dropna()

    return Comparison(name=name, statement=f"Lipschitz: {statement}", probes=("lipschitz_bounds",), values=values)


def _against_flat(run: Run, network: str) -> Values:
    found = boundary(run, network)
    found = found[np.isfinite(found["worst"])]
    # Nothing is known beyond the search limit, of either distance.
    met = found["random"].clip(upper=found["search_limit"])
    flat = (found["worst"] * found["hyperplane_ratio"]).clip(upper=found["search_limit"])
    doublings: pd.Series = np.log2(met / flat)
    return doublings


_ADVERSARIAL = ("boundary", "gradient", "topology_mixed_radius")


def _explains(quantity: str, across: bool) -> Comparison:
    """Correlate a quantity with the smallest adversarial distance, of one network or all of a dataset together."""
    columns = [quantity, "distance"] + (["margin"] if quantity != "margin" else [])
    words = QUANTITIES[quantity]
    if across:
        name = f"explains adversarial examples across networks: {quantity}"
        said = f"the same of the {words}, over samples and networks of a dataset together; intervals over samples"
    else:
        name = f"explains adversarial examples: {quantity}"
        said = f"rank correlation over samples of the {words} with the smallest adversarial distance"
        said += ", partial on the clean margin" if quantity != "margin" else ""

    def values(run: Run, network: str) -> Values:
        names = _dataset_networks(run.config, network) if across else [network]
        return pd.concat([correlates(run, name)[columns] for name in names], axis=1).dropna()

    return Comparison(
        name=name,
        statement=said,
        probes=_ADVERSARIAL,
        values=values,
        statistic=lambda rows: rank_correlation(rows.reshape(-1, len(columns))),
        quantity=quantity,
        across=across,
        applies=_is_first_of_several if across else Comparison.applies,
    )


def _dataset_networks(config: Config, network: str) -> list[str]:
    """Return the networks of a network's dataset."""
    return [spec.name for spec in config.networks_of(config.networks[network].dataset)]


def _is_first_of_several(config: Config, network: str) -> bool:
    networks = _dataset_networks(config, network)
    return len(networks) > 1 and networks[0] == network


def _training(quantity: str, words: str) -> Comparison:
    """Compare a network trained adversarially with its plain twin: log2 of the ratio, of ρ the difference."""

    def values(run: Run, network: str) -> Values | None:
        twin = find_plain_twin(run.config, network)
        if twin is None:
            return None
        robust, plain = (correlates(run, name)[quantity] for name in (network, twin))
        return (robust - plain if quantity == "rho" else log_ratio(robust, plain) / np.log(2)).dropna()

    return Comparison(
        name=f"adversarial training: {quantity}",
        statement=f"what adversarial training does to the {words}: median "
        f"{'difference' if quantity == 'rho' else 'log2 of the ratio'} to the same architecture trained without, "
        "paired over samples",
        probes=_ADVERSARIAL,
        values=values,
        quantity=quantity,
        applies=lambda config, network: find_plain_twin(config, network) is not None,
    )


def find_plain_twin(config: Config, network: str) -> str | None:
    """Find the plainly trained network with the same architecture as an adversarially trained one; None if none."""
    spec = config.networks[network]
    if spec.training is None or not spec.training.adversarial_radius:
        return None
    for other in config.networks_of(spec.dataset):
        plain = other.training is not None and not other.training.adversarial_radius
        if plain and (other.factory, other.args) == (spec.factory, spec.args):
            return other.name
    return None


CORRELATIONS = tuple(_explains(quantity, across) for across in (False, True) for quantity in QUANTITIES)
TRAINING = tuple(
    _training(quantity, words)
    for quantity, words in {"distance": "smallest adversarial distance", **QUANTITIES}.items()
)

COMPARISONS = (
    _permutations(
        "permuted against redrawn",
        "not in the paper: median log2 of the ratio of the permuted range to the redrawn one, mean over r ≥ 1; "
        "0 where a permutation is as good as another draw",
        "symmetry",
        "isotropy",
    ),
    Comparison(
        name="topology, mixed against one radius",
        statement="not in the paper: median of Mantel's ρ at norms mixed up to the largest radius, less ρ at that "
        "radius; what one radius hides",
        probes=("topology_mixed_radius", "topology"),
        values=_mixed_against_one_radius,
    ),
    _alpha(
        "Eq. 7 at one radius",
        "Eq. 7, not scored in the paper: median of the distance of α from cI with the output's points shuffled, less "
        "that of α, at the largest radius; 0 where α says nothing of the network",
        "alpha",
    ),
    _alpha("Eq. 7 at mixed radii", "the same at norms mixed up to the largest radius", "alpha_mixed_radius"),
    Comparison(
        name="split-draw reliability",
        statement="not in the paper: correlation over samples of Mantel's ρ at mixed norms from the first and from the "
        "second half of the draws, for all draws by Spearman and Brown's formula; the ceiling of any correlation "
        "with ρ",
        probes=("topology_mixed_radius",),
        values=_halves,
        statistic=reliability,
    ),
    *(
        _permutations(f"permuted against redrawn, {kind}", f"not in the paper: the same of {words}", permuted, redrawn)
        for kind, words, permuted, redrawn in (
            ("pixels", "permutations of whole pixels", "symmetry_pixels", "isotropy"),
            ("channels", "permutations within each channel", "symmetry_channels", "isotropy"),
            ("patches", "permutations within patches", "symmetry_patches", "isotropy"),
            (
                "low frequencies",
                "a low-frequency vector, which loses them",
                "symmetry_low_frequency",
                "isotropy_low_frequency",
            ),
        )
    ),
    _expansion(
        "gradient",
        "median share of the variance of the margin at radius 1 that the gradient explains",
        lambda table: table["margin_first"],
        1.0,
    ),
    _expansion(
        "Hessian",
        "median share that the Hessian explains more; 0 for a piecewise linear network",
        lambda table: table["margin_second"] - table["margin_first"],
        1.0,
    ),
    _expansion(
        "neither",
        "median share of the variance of the score at the largest radius that neither explains; above 1 where the "
        "expansion is worse than none",
        lambda table: 1 - table["score_second"],
        None,
    ),
    _lipschitz(
        "Jacobian against sampled",
        "median log10 of the norm of the Jacobian over the sampled ratio at ε; what random directions miss",
        "jacobian_norm",
        "sampled_rms",
    ),
    _lipschitz(
        "global bound against Jacobian",
        "median log10 of the bound of Szegedy et al. over the norm of the Jacobian",
        "global_bound",
        "jacobian_norm",
    ),
    Comparison(
        name="boundary against a flat one",
        statement="median log2 of the distance to the boundary in a random direction over that in the worst, over "
        "1.48 √d, which a flat boundary gives; both cut where the search ended",
        probes=("boundary",),
        values=_against_flat,
    ),
    *CORRELATIONS,
    *TRAINING,
)
