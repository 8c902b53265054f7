"""The paper's claims, each judged from the tables of a run, with intervals over samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from epsball import stats
from epsball.config import Config
from epsball.probes import chosen
from epsball.results import Results
from epsball.stats import Estimate

# Below this an interval says next to nothing: the numbers are shown as an illustration.
ENOUGH_SAMPLES = 20

# A range counts above the noise when it is more than this many floors.
FLOORS = 10

ALL_NETWORKS = "all networks"


@dataclass(frozen=True)
class Claim:
    """A statement, an estimate of each network, and the bound that decides.

    Attributes:
        name: short.
        statement: of the paper, with the estimate that stands for it.
        bound: to be above, or below.
        above: which of the two.
        estimate: from a network's tables; None where the run has not what it needs.
    """

    name: str
    statement: str
    bound: float
    above: bool
    estimate: Callable[[Results, str], Estimate | None]

    def verdict(self, estimate: Estimate, samples: int) -> str:
        """Holds, does not hold, undecided, or none for too few samples."""
        if samples < ENOUGH_SAMPLES:
            return "illustration, no verdict"
        if estimate.low > self.bound:
            return "holds" if self.above else "does not hold"
        if estimate.high < self.bound:
            return "does not hold" if self.above else "holds"
        return "undecided"


def above_floor(table: pd.DataFrame) -> pd.Series:
    """Whether each range is above the noise."""
    return table["range"] > FLOORS * table["floor"]


def _wide(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column, samples by radii."""
    return table.pivot_table(index="sample", columns="radius", values=column, sort=False, dropna=False)


def _ranges(results: Results, network: str) -> pd.DataFrame:
    return _wide(results.metrics(network, "isotropy"), "range")


def _bootstrap(config: Config, values: np.ndarray, statistic: Callable[[np.ndarray], float]) -> Estimate:
    """Bootstrap of a statistic of values (sample, ...)."""
    return stats.bootstrap(len(values), lambda numbers: statistic(values[numbers]), config.bootstrap, config.seed)


def _median(values: np.ndarray) -> float:
    return float(np.median(values))


def _not_isotropic(results: Results, network: str) -> Estimate | None:
    table = results.metrics(network, "isotropy")
    return stats.share(above_floor(table[table["radius"] == results.config.ball.epsilon]))


def _little_change(results: Results, network: str) -> Estimate | None:
    ranges = _ranges(results, network)[results.config.ball.epsilon].to_numpy()
    return _bootstrap(results.config, ranges, _median)


def _more_anisotropic(results: Results, network: str) -> Estimate | None:
    ranges = _ranges(results, network)
    if 1.0 not in ranges:
        return None
    return _bootstrap(results.config, log_ratio(ranges[1.0], ranges[results.config.ball.epsilon]), _median)


def log_ratio(upper: pd.Series, lower: pd.Series) -> np.ndarray:
    """log(upper / lower) of ranges; 0 where both are 0, infinite where one is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(upper.to_numpy()) - np.log(lower.to_numpy())
    return np.where(np.isnan(ratio), 0.0, ratio)


def _strongly_anisotropic(results: Results, network: str) -> Estimate | None:
    ranges = _ranges(results, network)
    if 10.0 not in ranges:
        return None
    return _bootstrap(results.config, ranges[10.0].to_numpy(), _median)


def _not_symmetric(results: Results, network: str) -> Estimate | None:
    table = results.metrics(network, "symmetry")
    table = table[table["radius"] >= 1]
    if table.empty:
        return None
    return stats.share(above_floor(table).groupby(table["sample"]).all())


def _topology_changed(results: Results, network: str) -> Estimate | None:
    table = results.metrics(network, "topology").dropna(subset="rho")
    if table.empty:
        return None
    low = (table["rho"].abs() < 0.1).groupby(table["sample"]).agg(["sum", "count"]).to_numpy(float)
    return _bootstrap(results.config, low, lambda rows: float(rows[:, 0].sum() / rows[:, 1].sum()))


def _contraction(results: Results, network: str) -> Estimate | None:
    table = results.metrics(network, "lipschitz").dropna(subset="ratio")
    if table.empty:
        return None
    below = (table["ratio"] < 1).groupby(table["sample"]).mean().to_numpy(float)
    return _bootstrap(results.config, below, lambda rows: float(rows.mean()))


def _permuted_against_redrawn(results: Results, network: str) -> Estimate | None:
    ranges = {probe: _wide(results.metrics(network, probe), "range") for probe in ("symmetry", "isotropy")}
    radii = [radius for radius in results.config.ball.radii if radius >= 1]
    if not radii:
        return None
    ratios = [log_ratio(ranges["symmetry"][radius], ranges["isotropy"][radius]) / np.log(2) for radius in radii]
    return _bootstrap(results.config, np.mean(ratios, axis=0), _median)


def _at_largest(results: Results, network: str, probe: str, column: str) -> np.ndarray:
    table = results.metrics(network, probe)
    values: np.ndarray = table.loc[table["radius"] == table["radius"].max(), column].to_numpy(float)
    return values


def _mixed_against_one_radius(results: Results, network: str) -> Estimate | None:
    mixed, one = (_at_largest(results, network, probe, "rho") for probe in ("topology_mixed", "topology"))
    return _median_of_defined(results, mixed - one)


def _alpha_against_shuffled(probe: str) -> Callable[[Results, str], Estimate | None]:
    def estimate(results: Results, network: str) -> Estimate | None:
        shuffled, own = (_at_largest(results, network, probe, column) for column in ("shuffled", "distance"))
        return _median_of_defined(results, shuffled - own)

    return estimate


def _median_of_defined(results: Results, values: np.ndarray) -> Estimate | None:
    defined = values[~np.isnan(values)]
    return _bootstrap(results.config, defined, _median) if len(defined) else None


CLAIMS = (
    Claim(
        "not isotropic at epsilon",
        "not isotropic even at ε: share of samples whose range of scores is above 10 floors",
        0.5,
        True,
        _not_isotropic,
    ),
    Claim("little change at epsilon", "little change at ε: median range of scores", 0.01, False, _little_change),
    Claim(
        "more anisotropic at 1",
        "more anisotropic at 1 than at ε: median log of the ratio of the ranges",
        0.0,
        True,
        _more_anisotropic,
    ),
    Claim(
        "strongly anisotropic at 10",
        "strongly anisotropic at 10: median range of scores",
        0.1,
        True,
        _strongly_anisotropic,
    ),
    Claim(
        "not symmetric",
        "not symmetric beyond ε: share of samples whose permuted range is above 10 floors at every r ≥ 1",
        0.5,
        True,
        _not_symmetric,
    ),
    Claim(
        "topology changed",
        "topology changed: share of samples and radii with |ρ| < 0.1",
        0.95,
        True,
        _topology_changed,
    ),
    Claim(
        "locally a contraction",
        "locally a contraction: share of normalised ratios below 1",
        0.5,
        True,
        _contraction,
    ),
)

STRONGLY = CLAIMS[3]

# Not of the paper: by the probe that they need, differences that are 0 where there is nothing to be seen.
COMPARISONS = {
    "symmetry": Claim(
        "permuted against redrawn",
        "not in the paper: median log2 of the ratio of the permuted range to the redrawn one, mean over r ≥ 1; "
        "0 where a permutation is as good as another draw",
        0.0,
        True,
        _permuted_against_redrawn,
    ),
    "topology_mixed": Claim(
        "topology, mixed against one radius",
        "not in the paper: median of Mantel's ρ at norms mixed up to the largest radius, less ρ at that radius; "
        "what one radius hides",
        0.0,
        True,
        _mixed_against_one_radius,
    ),
    "alpha": Claim(
        "Eq. 7 at one radius",
        "Eq. 7, not scored in the paper: median of the distance of α from cI with the output's points shuffled, less "
        "that of α, at the largest radius; 0 where α says nothing of the network",
        0.0,
        True,
        _alpha_against_shuffled("alpha"),
    ),
    "alpha_mixed": Claim(
        "Eq. 7 at mixed radii",
        "the same at norms mixed up to the largest radius",
        0.0,
        True,
        _alpha_against_shuffled("alpha_mixed"),
    ),
}


def judge(config: Config, folder: Path) -> pd.DataFrame:
    """Judge every claim for every network.

    Returns:
        A row a claim and network: claim, statement, network, dataset, threshold, estimate, ci_low, ci_high, bound,
        samples, verdict. After them one row of "strongly anisotropic" over the networks, for the paper's "most", and
        for each network, without a bound of the paper's, paired comparisons of what the run's probes measure.
    """
    results = Results(config, folder)
    rows = [_row(results, claim, network) for claim in CLAIMS for network in config.networks]
    rows.append(_most_networks(results))
    probes = chosen(config)
    for needs, claim in COMPARISONS.items():
        if needs in probes:
            rows += [_comparison(results, claim, network) for network in config.networks]
    return pd.DataFrame(rows)


def _row(results: Results, claim: Claim, network: str) -> dict[str, object]:
    dataset = results.config.datasets[results.config.networks[network].dataset]
    estimate = claim.estimate(results, network)
    samples = len(results.samples(dataset.name))
    value, low, high = estimate or (np.nan, np.nan, np.nan)
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "network": network,
        "dataset": dataset.name,
        "threshold": dataset.threshold,
        "estimate": value,
        "ci_low": low,
        "ci_high": high,
        "bound": f"{'>' if claim.above else '<'} {claim.bound:g}",
        "samples": samples,
        "verdict": claim.verdict(estimate, samples) if estimate else "not measured in this run",
    }


def _most_networks(results: Results) -> dict[str, object]:
    """Share of networks whose median range at 10 is above the bound; samples are drawn once for a dataset."""
    config = results.config
    sizes = {name: len(results.samples(name)) for name in config.datasets}
    networks = [network for network in config.networks.values() if sizes[network.dataset] >= ENOUGH_SAMPLES]
    claim = Claim(STRONGLY.name, "", 0.5, True, STRONGLY.estimate)
    row: dict[str, object] = {
        "claim": claim.name,
        "statement": "most networks strongly anisotropic at 10: share of the networks with at least "
        f"{ENOUGH_SAMPLES} samples whose median range is above {STRONGLY.bound:g}",
        "network": ALL_NETWORKS,
        "dataset": "",
        "threshold": np.nan,
        "bound": "> 0.5",
        "samples": min((sizes[network.dataset] for network in networks), default=0),
    }
    if not networks or 10.0 not in config.ball.radii:
        return row | {"verdict": "not measured in this run" if networks else "illustration, no verdict"}
    ranges = {network.name: _ranges(results, network.name)[10.0].to_numpy() for network in networks}
    largest = max(sizes[network.dataset] for network in networks)

    def most(numbers: np.ndarray) -> float:
        # One set of uniform places serves every dataset, whatever its size.
        strong = [
            _median(ranges[network.name][numbers * sizes[network.dataset] // largest]) > STRONGLY.bound
            for network in networks
        ]
        return float(np.mean(strong))

    estimate = stats.bootstrap(largest, most, config.bootstrap, config.seed)
    return row | {
        "estimate": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "verdict": claim.verdict(estimate, ENOUGH_SAMPLES),
    }


def _comparison(results: Results, claim: Claim, network: str) -> dict[str, object]:
    row = _row(results, claim, network)
    low, high = float(str(row["ci_low"])), float(str(row["ci_high"]))
    if row["verdict"] in {"holds", "does not hold", "undecided"}:
        row["verdict"] = "no difference shown" if low <= 0 <= high else "differs"
    return row | {"bound": "= 0"}
