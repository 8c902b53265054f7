"""Beyond the paper: ratios that are 1, differences and correlations that are 0, if there is no effect."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd

from epsball.analysis.claims import Claim, Values, at_radius, ranges, ratio, wide
from epsball.analysis.properties import PROPERTIES, boundary, ranges_at_1
from epsball.analysis.run import Run
from epsball.analysis.statistics import Array, Correlation, Median
from epsball.config import Config
from epsball.probes import chosen_probes
from epsball.runs.gaps import UnavailableError

# What might explain adversarial examples, in words.
QUANTITIES = {
    "range": "range of the score at 1",
    "rho": "Mantel's ρ at mixed norms",
    "ratio": "median local ratio at the largest radius",
    "gradient": "‖∇ margin‖",
    "margin": "clean margin",
}


def correlates(run: Run, network: str) -> pd.DataFrame:
    """Return a row per sample: the quantities of `QUANTITIES`, and distance, the smallest adversarial one."""
    shared = {name: PROPERTIES[name].of(run, network) for name in QUANTITIES if name != "range"}
    own = {"range": ranges_at_1(run, network)["range"], **shared}
    return pd.DataFrame({**own, "distance": boundary(run, network)["worst"]})


def rank_correlation(rows: Array) -> Array:
    """Compute Spearman's correlation of two columns, partial on a third.

    Args:
        rows: (..., row, 2 or 3).

    Returns:
        (...); not a number where a column does not vary, or there are fewer than three rows.
    """
    from scipy.stats import rankdata  # takes a second to import, and the report and figures rarely need it

    return _correlation(rankdata(rows, axis=-2))


def correlate_halves(rows: Array) -> Array:
    """Compute Pearson's correlation of a measurement by halves (..., row, 2); see `rank_correlation`."""
    return _correlation(rows)


def _correlation(rows: Array) -> Array:
    off = rows - rows.mean(axis=-2, keepdims=True)
    squares = off.swapaxes(-1, -2) @ off
    lengths = np.sqrt(np.diagonal(squares, axis1=-2, axis2=-1))
    varies = (np.ptp(rows, axis=-2) > 0).all(axis=-1) & (rows.shape[-2] > 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = squares / (lengths[..., :, None] * lengths[..., None, :])
        found = matrix[..., 0, 1]
        if rows.shape[-1] == 3:
            left = (1 - matrix[..., 0, 2] ** 2) * (1 - matrix[..., 1, 2] ** 2)
            varies &= left > 1e-12
            found = (found - matrix[..., 0, 2] * matrix[..., 1, 2]) / np.sqrt(left)
    return np.where(varies, found, np.nan)


_comparison = functools.partial(Claim, direction="=")
_ratio = functools.partial(_comparison, statistic=Median("ratio"))


def _permutations(kind: str, words: str, permuted: str, redrawn: str = "isotropy") -> Claim:
    """Compare the ranges of two probes: their ratio, geometric mean over the radii from 1 on."""

    def values(run: Run, network: str) -> Values | None:
        upper, lower = (wide(ranges(run, probe, network), "range") for probe in (permuted, redrawn))
        radii = [radius for radius in run.config.ball.radii if radius >= 1]
        with np.errstate(divide="ignore"):
            ratios = [np.log(ratio(upper[radius], lower[radius])) for radius in radii]
        return np.exp(pd.concat(ratios, axis=1).mean(axis=1)) if ratios else None

    name, statement = f"permuted against redrawn{kind}", f"not in the paper: {words}"
    return _ratio(name=name, statement=statement, probes=(permuted, redrawn), values=values)


def _difference(name: str, statement: str, *columns: tuple[str, str]) -> Claim:
    """Compare two columns, each of a probe's table, at the largest radius: the first less the second."""

    def values(run: Run, network: str) -> Values:
        one, other = (at_radius(run, probe, network)[column] for probe, column in columns)
        return (one - other).dropna()

    probes = tuple(dict.fromkeys(probe for probe, _ in columns))
    return _comparison(name=name, statement=statement, probes=probes, values=values)


def whole_of_half(half: float) -> float:
    """Extend the correlation of halves to the whole, by Spearman and Brown's formula."""
    return max(2 * half / (1 + half), -1.0) if half > -1 else -1.0


def _expansion(part: str, words: str, share: Callable[[pd.DataFrame], pd.Series], radius: float | None = None) -> Claim:
    """Judge a share of variance of Eq. 3 at a radius, or at the largest."""
    return _comparison(
        name=f"Eq. 3, {part}",
        statement=f"Eq. 3: median share {words}",
        probes=("expansion",),
        values=lambda run, network: share(at_radius(run, "expansion", network, radius)).dropna(),
    )


def _lipschitz(name: str, statement: str, upper: str, lower: str) -> Claim:
    """Compare two Lipschitz numbers by their ratio."""

    def values(run: Run, network: str) -> Values:
        table = run.metrics("lipschitz_bounds", network).set_index("sample")
        return ratio(table[upper], table[lower]).dropna()

    return _ratio(name=name, statement=f"Lipschitz: {statement}", probes=("lipschitz_bounds",), values=values)


def _against_flat(run: Run, network: str) -> Values:
    found = boundary(run, network)
    found = found[np.isfinite(found["worst"])]
    # Nothing is known beyond the search limit, of either distance.
    met = found["random"].clip(upper=found["search_limit"])
    flat = (found["worst"] * found["hyperplane_ratio"]).clip(upper=found["search_limit"])
    return ratio(met, flat)


_ADVERSARIAL = ("boundary", "gradient", "topology_mixed_radius")


def _explains(quantity: str, across: bool) -> Claim:
    """Correlate a quantity with the smallest adversarial distance, of one network or all of a dataset together."""
    columns = list(dict.fromkeys([quantity, "distance", "margin"]))
    words = QUANTITIES[quantity]
    said = f"rank correlation over samples of the {words} with the smallest adversarial distance"
    if across:
        said = f"the same of the {words}, over samples and networks of a dataset together; intervals over samples"
    elif quantity != "margin":
        said += ", partial on the clean margin"

    def networks(run: Run, network: str) -> list[str]:
        among = set(_dataset_networks(run.config, network)) if across else {network}
        return [name for name in run.having(*_ADVERSARIAL) if name in among]

    def values(run: Run, network: str) -> Values:
        names = networks(run, network)
        if len(names) <= across:
            why = run.unavailable(network, *_ADVERSARIAL) or "fewer than two networks of the dataset have it"
            raise UnavailableError(why)
        return pd.concat([correlates(run, name)[columns] for name in names], axis=1).dropna()

    return _comparison(
        name=f"explains adversarial examples{' across networks' if across else ''}: {quantity}",
        statement=said,
        probes=_ADVERSARIAL,
        values=values,
        statistic=Correlation(lambda rows: rank_correlation(by_network(rows, len(columns)))),
        quantity=quantity,
        across=across,
        others=networks if across else Claim.others,
        applies=_is_first_of_several if across else Claim.applies,
    )


def by_network(rows: Array, columns: int) -> Array:
    """Put what each sample has of several networks, (..., sample, network and column), below each other."""
    return rows.reshape(*rows.shape[:-2], -1, columns)


def _dataset_networks(config: Config, network: str) -> list[str]:
    """Return the networks of a network's dataset of which the probes of `correlates` are asked."""
    specs = config.networks_of(config.networks[network].dataset)
    return [spec.name for spec in specs if set(_ADVERSARIAL) <= set(chosen_probes(config, spec.name))]


def _is_first_of_several(config: Config, network: str) -> bool:
    networks = _dataset_networks(config, network)
    return len(networks) > 1 and networks[0] == network


def _training(quantity: str, words: str) -> Claim:
    """Compare a network trained adversarially with its plain twin: the ratio, of ρ the difference."""
    differs = quantity == "rho"

    def values(run: Run, network: str) -> Values | None:
        twin = find_plain_twin(run.config, network)
        if twin is None:
            return None
        robust, plain = (correlates(run, name)[quantity] for name in (network, twin))
        return (robust - plain if differs else ratio(robust, plain)).dropna()

    return _comparison(
        name=f"adversarial training: {quantity}",
        statement=f"what adversarial training does to the {words}: median {'difference' if differs else 'ratio'} to "
        "the same architecture trained without, paired over samples",
        probes=_ADVERSARIAL,
        values=values,
        statistic=Median("difference" if differs else "ratio"),
        quantity=quantity,
        others=lambda run, network: [twin] if (twin := find_plain_twin(run.config, network)) else [],
        applies=lambda config, network: find_plain_twin(config, network) is not None,
    )


def find_plain_twin(config: Config, network: str) -> str | None:
    """Find the plainly trained network with the same architecture as an adversarially trained one; None if none.

    Of several, that is the one with the most settings of its training alike, such as the seed.
    """
    spec = config.networks[network]
    if spec.training is None or not spec.training.adversarial_radius:
        return None
    settings = vars(spec.training).items()
    alike = {
        other.name: len(settings & vars(other.training).items())
        for other in config.networks_of(spec.dataset)
        if other.training is not None
        and not other.training.adversarial_radius
        and (other.factory, other.args) == (spec.factory, spec.args)
    }
    return max(alike, key=alike.__getitem__, default=None)


CORRELATIONS = tuple(_explains(quantity, across) for across in (False, True) for quantity in QUANTITIES)
TRAINING = tuple(
    _training(quantity, words)
    for quantity, words in {"distance": "smallest adversarial distance", **QUANTITIES}.items()
)

COMPARISONS = (
    _permutations(
        "",
        "median ratio of the permuted range to the redrawn one, geometric mean over r ≥ 1; 1 where a permutation is "
        "as good as another draw",
        "symmetry",
    ),
    _difference(
        "topology, mixed against one radius",
        "not in the paper: median of Mantel's ρ at norms mixed up to the largest radius, less ρ at that radius; what "
        "one radius hides",
        ("topology_mixed_radius", "rho"),
        ("topology", "rho"),
    ),
    _difference(
        "Eq. 7 at one radius",
        "Eq. 7, not scored in the paper: median of the distance of α from cI with the output's points shuffled, less "
        "that of α, at the largest radius; 0 where α says nothing of the network",
        ("alpha", "shuffled"),
        ("alpha", "distance"),
    ),
    _difference(
        "Eq. 7 at mixed radii",
        "the same at norms mixed up to the largest radius",
        ("alpha_mixed_radius", "shuffled"),
        ("alpha_mixed_radius", "distance"),
    ),
    _comparison(
        name="split-draw reliability",
        statement="not in the paper: correlation over samples of Mantel's ρ at mixed norms from the first and from the "
        "second half of the draws, for all draws by Spearman and Brown's formula; the ceiling of any correlation "
        "with ρ",
        probes=("topology_mixed_radius",),
        values=lambda run, network: at_radius(run, "topology_mixed_radius", network)[
            ["rho_half1", "rho_half2"]
        ].dropna(),
        statistic=Correlation(correlate_halves, whole_of_half),
    ),
    _permutations(", pixels", "the same of permutations of whole pixels", "symmetry_pixels"),
    _permutations(", channels", "the same of permutations within each channel", "symmetry_channels"),
    _permutations(", patches", "the same of permutations within patches", "symmetry_patches"),
    _permutations(
        ", low frequencies",
        "the same of a low-frequency vector, which loses them",
        "symmetry_low_frequency",
        "isotropy_low_frequency",
    ),
    _expansion(
        "gradient",
        "of the variance of the margin at radius 1 that the gradient explains",
        lambda table: table["margin_first"],
        1.0,
    ),
    _expansion(
        "Hessian",
        "that the Hessian explains more; 0 for a piecewise linear network",
        lambda table: table["margin_second"] - table["margin_first"],
        1.0,
    ),
    _expansion(
        "neither",
        "of the variance of the score at the largest radius that neither explains; above 1 where the expansion is "
        "worse than none",
        lambda table: 1 - table["score_second"],
    ),
    _lipschitz(
        "Jacobian against sampled",
        "median ratio of the norm of the Jacobian to the sampled ratio at ε; what random directions miss",
        "jacobian_norm",
        "sampled_rms",
    ),
    _lipschitz(
        "global bound against Jacobian",
        "median ratio of the bound of Szegedy et al. to the norm of the Jacobian",
        "global_bound",
        "jacobian_norm",
    ),
    _ratio(
        name="boundary against a flat one",
        statement="median ratio of the distance to the boundary in a random direction to that in the worst, divided by "
        "1.48 √d, which a flat boundary gives; both cut where the search ended",
        probes=("boundary",),
        values=_against_flat,
    ),
    *CORRELATIONS,
    *TRAINING,
)
