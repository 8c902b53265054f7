"""Does a local property go with the smallest adversarial distance, from network to network?

Networks and samples are both drawn at random, and crossed: intervals are by resampling both, independently of each
other (the pigeonhole bootstrap of Owen 2007, which is somewhat too wide rather than too narrow). What clean margin and
accuracy say already is taken out by partial correlations, by a mixed model as a second opinion, and by the prediction
of networks of an architecture that the model has not seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from epsball.analysis.intervals import LEVEL, Estimate
from epsball.analysis.properties import ACCURACY, DISTANCE, MARGIN, PROPERTIES, factors
from epsball.stages.studied import FEWEST

Array = NDArray[np.float64]

RESAMPLED = 2000

#: What is said where there is no row.
NOTHING = "Too few networks have enough samples, or the probes, to say what goes with adversarial distance."

BASELINE = (MARGIN, ACCURACY)


@dataclass(frozen=True)
class Tested:
    """An estimate with its interval, and p, the chance of one as far from 0 if there were nothing."""

    estimate: Estimate
    p: float


_UNKNOWN = Tested(Estimate(np.nan, np.nan, np.nan), np.nan)
_SAME = 1e-9  # of its spread, what a column varies by rounding


def across_networks(
    table: pd.DataFrame, seed: int = 0, resampled: int = RESAMPLED, level: float = LEVEL
) -> pd.DataFrame:
    """Relate every property to the smallest adversarial distance.

    Args:
        table: see `epsball.analysis.properties.properties`. The levels of its first factor, such as architecture, are
            the groups that are left out in turn and have random intercepts; a network without one is its own group.
        seed: of the resampling.
        resampled: how many times.
        level: of the intervals.

    Returns:
        A row for each property that at least ten networks have, of more than a sample or two, and that differs between
        them, and each statistic: property; statistic; networks, how many have it; estimate, low, high; p;
        p_adjusted, by Holm's method over the properties of a statistic. Statistics: "correlation", Spearman's over the
        networks' medians; "partial correlation", the same with the ranks of clean margin and accuracy taken out;
        "mixed model", how many standard deviations the logarithm of the distance rises with one standard deviation of
        the networks' means, beside margin and accuracy, with random intercepts of groups and networks; "gain", the
        share of the squared error of a baseline of margin and accuracy that the property takes away where the networks
        of one group are predicted from those of the others.
    """
    groups = next(iter(factors(table)), "")
    if groups:
        table = table.assign(**{groups: table[groups].fillna(table["network"])})
    rows = [
        {"property": name, "statistic": statistic, "networks": count, **tested.estimate._asdict(), "p": tested.p}
        for name in PROPERTIES
        if name in table
        for count, statistic, tested in _of_property(table, name, groups, seed, resampled, level)
    ]
    found = pd.DataFrame(rows, columns=["property", "statistic", "networks", "value", "low", "high", "p"])
    found = found.rename(columns={"value": "estimate"})
    found["p_adjusted"] = found.groupby("statistic", sort=False)["p"].transform(_holm)
    return found


def _holm(p: pd.Series) -> Array:
    from statsmodels.stats.multitest import multipletests

    adjusted = np.full(len(p), np.nan)
    known = p.notna().to_numpy()
    if known.any():
        adjusted[known] = multipletests(p[known], method="holm")[1]
    return adjusted


def _of_property(
    table: pd.DataFrame, name: str, groups: str, seed: int, resampled: int, level: float
) -> Iterator[tuple[int, str, Tested]]:
    others = [other for other in BASELINE if other != name]
    columns = list(dict.fromkeys([name, DISTANCE, *others]))
    rows = logarithms(table).dropna(subset=columns)
    networks = rows.groupby("network", sort=False)
    count = networks.ngroups
    if count < FEWEST:
        return
    point = medians(rows, columns)
    if np.isnan(correlation(point)):  # it is the same for all networks
        return
    generator = np.random.default_rng(seed)
    drawn, chosen = _resampled(rows, columns, resampled, generator)
    if len(drawn) < resampled / 2:  # the samples of a network are too few
        return
    for statistic, partial in (("correlation", False), ("partial correlation", True)):
        found, each = correlation(point, partial), correlation(drawn, partial)
        yield count, statistic, _tested(found, each, count, len(others) * partial, level)
    if not groups:
        return
    yield count, "mixed model", mixed_model(rows, name, others, groups, level)
    levels = pd.factorize(networks[groups].first())[0]
    if name not in BASELINE and len(set(levels)) > 2:
        gains = gain(drawn, levels[chosen])
        gains = gains[np.isfinite(gains)]
        low, high = np.quantile(gains, ((1 - level) / 2, (1 + level) / 2))
        estimate = Estimate(float(gain(point, levels)), float(low), float(high))
        yield count, "gain", Tested(estimate, (1 + int((gains <= 0).sum())) / (1 + len(gains)))


def logarithms(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the logarithms of the distance and of the properties that are positive."""
    positive = [DISTANCE, *(name for name, each in PROPERTIES.items() if each.log and name in table)]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = table.assign(**{name: np.log(table[name]) for name in positive})
    return found.replace([-np.inf, np.inf], np.nan)


def medians(rows: pd.DataFrame, columns: Sequence[str], weights: Array | None = None) -> Array:
    """Compute the medians over samples of each network.

    Args:
        rows: a row for each network and sample.
        columns: of them, numbers.
        weights: how often each sample counts, (draw, sample) in the order of the samples' first rows; by default once.

    Returns:
        (network, column) in the order of the networks' first rows, or with weights (draw, network, column); not a
        number where no sample counts.
    """
    samples, networks = (pd.factorize(rows[key])[0] for key in ("sample", "network"))
    own = np.ones((1, samples.max() + 1)) if weights is None else weights
    values = rows[list(columns)].to_numpy(float)
    found = np.empty((len(own), networks.max() + 1, len(columns)))
    for network in range(found.shape[1]):
        chosen = networks == network
        for place, column in enumerate(values[chosen].T):
            order = np.argsort(column, kind="stable")
            sums = own[:, samples[chosen][order]].cumsum(axis=1)
            half = sums[:, -1:] / 2
            lower, upper = ((sums >= half).argmax(axis=1), (sums > half).argmax(axis=1))
            middle = (column[order][lower] + column[order][upper]) / 2
            found[:, network, place] = np.where(half[:, 0] > 0, middle, np.nan)
    return found[0] if weights is None else found


def _resampled(
    rows: pd.DataFrame, columns: Sequence[str], resampled: int, generator: np.random.Generator
) -> tuple[Array, NDArray[np.intp]]:
    """Draw samples and networks with replacement; draws in which a network has no sample are left out.

    Returns:
        The medians of the networks drawn (draw, network, column), and which they are (draw, network).
    """
    samples = rows["sample"].nunique()
    weights = generator.multinomial(samples, np.full(samples, 1 / samples), size=resampled).astype(float)
    found = medians(rows, columns, weights)
    chosen = generator.integers(found.shape[1], size=found.shape[:2])
    known = ~np.isnan(found).any(axis=(1, 2))
    return np.take_along_axis(found, chosen[:, :, None], axis=1)[known], chosen[known]


def correlation(values: Array, partial: bool = False) -> Array:
    """Compute Spearman's correlation of the first two columns, partial on the ranks of all others if asked.

    Args:
        values: (..., network, column).
        partial: whether what the ranks of the further columns say, linearly, is taken out of both.

    Returns:
        (...); not a number where a column does not vary, or is all in the others.
    """
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-2)
    ranks -= ranks.mean(axis=-2, keepdims=True)
    both, others = ranks[..., :2], ranks[..., 2:]
    if partial and others.shape[-1]:
        both = both - others @ (np.linalg.pinv(others) @ both)
    lengths = np.square(both).sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (both[..., 0] * both[..., 1]).sum(axis=-1) / np.sqrt(lengths.prod(axis=-1))
    varies = (lengths > 1e-9 * np.square(ranks[..., :2]).sum(axis=-2)).all(axis=-1) & ~np.isnan(values).any((-1, -2))
    return np.where(varies, found, np.nan)


def _tested(point: Array, drawn: Array, networks: int, others: int, level: float) -> Tested:
    """Make an interval, and p, of a correlation by the spread of Fisher's z over the draws.

    As in `epsball.analysis.intervals.correlation`, networks in perfect order do not make the error 0.
    """
    from scipy.stats import t

    if np.isnan(point):
        return _UNKNOWN
    largest = 1 - networks**-2  # z of 1 is infinite
    z, each = (np.arctanh(np.clip(values, -largest, largest)) for values in (point, drawn[~np.isnan(drawn)]))
    error = max(float(each.std(ddof=1)), 1 / networks)
    freedom = networks - 2 - others
    reach = float(t.ppf((1 + level) / 2, freedom)) * error
    low, high = min(float(np.tanh(z - reach)), float(point)), max(float(np.tanh(z + reach)), float(point))
    return Tested(Estimate(float(point), low, high), float(2 * t.sf(abs(z) / error, freedom)))


def mixed_model(rows: pd.DataFrame, name: str, others: Sequence[str], groups: str, level: float = LEVEL) -> Tested:
    """Fit the distance by the mean of a property over a network's samples, beside that of others.

    What a sample has more than the mean stands beside it. Random intercepts are those of groups, and of networks in
    them (statsmodels' `MixedLM`, by restricted maximum likelihood). All columns are standardised.

    Args:
        rows: see `logarithms`.
        name: the property.
        others: what stands beside it.
        groups: column of the groups.
        level: of the interval.

    Returns:
        The coefficient of the network's mean; not a number where the model does not converge.
    """
    from scipy.stats import t
    from statsmodels.regression.mixed_linear_model import MixedLM

    data = {"distance": _standard(rows[DISTANCE]), "group": rows[groups], "network": rows["network"]}
    for place, column in enumerate((name, *others)):
        mean = rows.groupby("network")[column].transform("mean")
        for part, values in (("mean", mean), ("within", rows[column] - mean)):
            if values.std() > _SAME * max(rows[column].std(), 1):
                data[f"{part}_{place}"] = _standard(values)
    if "mean_0" not in data:
        return _UNKNOWN
    fixed = [column for column in data if column.startswith(("mean_", "within_"))]
    intercepts = {"network": "0 + C(network)"}
    model = MixedLM.from_formula(
        f"distance ~ {' + '.join(fixed)}", pd.DataFrame(data), groups="group", re_formula="1", vc_formula=intercepts
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a variance that is 0: the model is the simpler one then
        try:
            fitted = model.fit(reml=True)
        except np.linalg.LinAlgError:
            return _UNKNOWN
    value, error = float(fitted.params["mean_0"]), float(fitted.bse["mean_0"])
    if not fitted.converged or not error > 0:
        return _UNKNOWN
    # By t, not normal as statsmodels has it: networks are few.
    freedom = rows["network"].nunique() - 2 - len(others)
    reach = float(t.ppf((1 + level) / 2, freedom)) * error
    return Tested(Estimate(value, value - reach, value + reach), float(2 * t.sf(abs(value) / error, freedom)))


def _standard(column: pd.Series) -> pd.Series:
    return (column - column.mean()) / column.std()


def gain(values: Array, groups: NDArray[np.intp]) -> Array:
    """Compute the share of a baseline's squared error that a property takes away in groups that were left out.

    Each group's networks are predicted by least squares from those of all others: the baseline by the further columns,
    then by the property too.

    Args:
        values: (..., network, column): the property, the distance, then the columns of the baseline.
        groups: (..., network), numbers.

    Returns:
        (...); below 0 where the property makes predictions worse.
    """
    ones = np.ones((*values.shape[:-1], 1))
    distance, baseline = values[..., 1], np.concatenate([ones, values[..., 2:]], axis=-1)
    both = np.concatenate([baseline, values[..., :1]], axis=-1)
    errors = [_left_out(design, distance, groups) for design in (both, baseline)]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = 1 - errors[0] / errors[1]
    return found


def _left_out(design: Array, distance: Array, groups: NDArray[np.intp]) -> Array:
    error = np.zeros(distance.shape[:-1])
    for group in np.unique(groups):
        held = groups == group
        known = design * ~held[..., None]
        weights = np.linalg.pinv(known) @ (distance * ~held)[..., None]
        missed = distance - (design @ weights)[..., 0]
        error += np.square(np.where(held, missed, 0)).sum(axis=-1)
    return error
