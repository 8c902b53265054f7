"""The paper's claims: what stands for each, from the tables of a run, with intervals over samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.intervals import Estimate
from epsball.analysis.run import Run
from epsball.config import Config

# Below this an interval says next to nothing: the numbers are shown as an illustration.
MIN_SAMPLES = 20

# A range counts above the noise when it is more than this many floors.
NOISE_FLOOR_FACTOR = 10

RHO_BAND = 0.1  # of the paper, for |ρ|
# With fewer, chance alone takes ρ of unrelated distances out of that band in more than one case of twenty: over
# T (T - 1) / 2 pairs its standard deviation is √(2 / (T (T - 1))).
RHO_DRAWS = 29

ALL_NETWORKS = "all networks"

# Of the verdicts, at a glance.
SYMBOLS = {
    "holds": "✓",
    "does not hold": "✗",
    "undecided": "?",
    "too few samples": "○",
    "differs": "≠",
    "no difference shown": "≈",
    "not measured in this run": "–",
}

Values = pd.Series | pd.DataFrame  # a row a sample


def given(verdicts: pd.Series) -> list[str]:
    """Which of the verdicts there are, in the order of their symbols."""
    return [verdict for verdict in SYMBOLS if (verdicts == verdict).any()]


def lowest_drawn(ranges: pd.Series, floors: pd.Series) -> float:
    """Where ranges are drawn that are below it on a log axis: the smallest positive range or level of ten floors."""
    values = np.concatenate([ranges, NOISE_FLOOR_FACTOR * floors])
    positive = values[values > 0]
    return float(positive.min()) if positive.size else float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Claim:
    """A statement, an estimate of each network, and the bound that decides.

    Attributes:
        name: short.
        statement: of the paper, with the estimate that stands for it.
        probe: that measures it, and by which controls are compared.
        bound: to be above, or below.
        above: which of the two.
        values: a row a sample, from a network's tables, or a control's; None where the run has not what it needs.
        statistic: of such rows, the estimate.
        exact: whether it is a share of samples, whose interval is known without resampling.
        needs: further probes, of the network alone.
        across: whether its values are of all networks of a dataset together, whichever of them is asked for.
        applies: whether it can be said of a network.
        radius: the one beside ε that it is about.
        draws: without as many, chance decides.
    """

    name: str
    statement: str
    probe: str
    bound: float
    above: bool
    values: Callable[[Run, str], Values | None]
    statistic: Callable[[np.ndarray], float]
    exact: bool = False
    needs: tuple[str, ...] = ()
    across: bool = False
    applies: Callable[[Config, str], bool] = lambda config, network: True
    radius: float | None = None
    draws: int = 1

    def estimate(self, results: Run, network: str) -> Estimate | None:
        """The estimate of a network or a control, with its interval over samples."""
        rows = self.values(results, network)
        if rows is None or rows.empty:
            return None
        if self.exact:
            return intervals.share(rows.to_numpy())
        return _bootstrap(results.config, self.statistic, rows.to_numpy(float))

    def difference(self, results: Run, network: str, control: str) -> Estimate | None:
        """That of a network less that of its control, over the samples that both have: paired."""
        rows = [self.values(results, name) for name in (network, control)]
        if rows[0] is None or rows[1] is None:
            return None
        both = rows[0].index.intersection(rows[1].index)
        if both.empty:
            return None
        arrays = [found.loc[both].to_numpy(float) for found in rows if found is not None]

        def less(numbers: np.ndarray) -> float:
            own, others = (self.statistic(array[numbers]) for array in arrays)
            return 0.0 if own == others else own - others  # two infinite ones are equal

        return intervals.bootstrap(len(both), less, results.config.bootstrap, results.config.seed)

    def verdict(self, estimate: Estimate, samples: int, draws: int) -> str:
        """Holds, does not hold, undecided, or none for too few samples or draws."""
        if samples < MIN_SAMPLES or draws < self.draws:
            return "too few samples"
        if estimate.low > self.bound:
            return "holds" if self.above else "does not hold"
        if estimate.high < self.bound:
            return "does not hold" if self.above else "holds"
        return "undecided"


def above_floor(table: pd.DataFrame) -> pd.Series:
    """Whether each range is above the noise."""
    return table["range"] > NOISE_FLOOR_FACTOR * table["noise_floor"]


def wide(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of a table, samples by radii."""
    return table.pivot_table(index="sample", columns="radius", values=column, sort=False, dropna=False)


def _ranges(results: Run, network: str) -> pd.DataFrame:
    return wide(results.metrics("isotropy", network), "range")


def _bootstrap(config: Config, statistic: Callable[[np.ndarray], float], rows: np.ndarray) -> Estimate:
    return intervals.bootstrap(len(rows), lambda numbers: statistic(rows[numbers]), config.bootstrap, config.seed)


def mean(rows: np.ndarray) -> float:
    """Over samples."""
    return float(np.mean(rows))


def median(rows: np.ndarray) -> float:
    """Over samples."""
    return float(np.median(rows))


def _share_of_counts(rows: np.ndarray) -> float:
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def _not_isotropic(results: Run, network: str) -> Values:
    table = results.metrics("isotropy", network)
    table = table[table["radius"] == results.config.ball.epsilon].set_index("sample")
    return above_floor(table)


def _little_change(results: Run, network: str) -> Values:
    return _ranges(results, network)[results.config.ball.epsilon]


def _more_anisotropic(results: Run, network: str) -> Values | None:
    ranges = _ranges(results, network)
    return log_ratio(ranges[1.0], ranges[results.config.ball.epsilon]) if 1.0 in ranges else None


def log_ratio(upper: pd.Series, lower: pd.Series) -> pd.Series:
    """log(upper / lower) of ranges; 0 where both are 0, infinite where one is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: pd.Series = np.log(upper) - np.log(lower)
    return ratio.fillna(0.0)


def _strongly_anisotropic(results: Run, network: str) -> Values | None:
    values: pd.Series | None = _ranges(results, network).get(10.0)
    return values


def _not_symmetric(results: Run, network: str) -> Values:
    table = results.metrics("symmetry", network)
    table = table[table["radius"] >= 1]
    return above_floor(table).groupby(table["sample"], sort=False).all()


def _topology_changed(results: Run, network: str) -> Values:
    table = results.metrics("topology", network).dropna(subset="rho")
    counts: pd.DataFrame = (table["rho"].abs() < RHO_BAND).groupby(table["sample"], sort=False).agg(["sum", "count"])
    return counts


def _contraction(results: Run, network: str) -> Values:
    table = results.metrics("lipschitz", network).dropna(subset="ratio")
    shares: pd.Series = (table["ratio"] < 1).groupby(table["sample"], sort=False).mean()
    return shares


CLAIMS = (
    Claim(
        "not isotropic at epsilon",
        "not isotropic even at ε: share of samples whose range of scores is above 10 floors",
        "isotropy",
        0.5,
        True,
        _not_isotropic,
        mean,
        exact=True,
    ),
    Claim(
        "little change at epsilon",
        "little change at ε: median range of scores",
        "isotropy",
        0.01,
        False,
        _little_change,
        median,
    ),
    Claim(
        "more anisotropic at 1",
        "more anisotropic at 1 than at ε: median log of the ratio of the ranges",
        "isotropy",
        0.0,
        True,
        _more_anisotropic,
        median,
        radius=1.0,
    ),
    Claim(
        "strongly anisotropic at 10",
        "strongly anisotropic at 10: median range of scores",
        "isotropy",
        0.1,
        True,
        _strongly_anisotropic,
        median,
        radius=10.0,
    ),
    Claim(
        "not symmetric",
        "not symmetric beyond ε: share of samples whose permuted range is above 10 floors at every r ≥ 1",
        "symmetry",
        0.5,
        True,
        _not_symmetric,
        mean,
        exact=True,
    ),
    Claim(
        "topology changed",
        "topology changed: share of samples and radii with |ρ| < 0.1",
        "topology",
        0.95,
        True,
        _topology_changed,
        _share_of_counts,
        draws=RHO_DRAWS,
    ),
    Claim(
        "locally a contraction",
        "locally a contraction: share of normalised ratios below 1",
        "lipschitz",
        0.5,
        True,
        _contraction,
        mean,
    ),
)

STRONGLY = CLAIMS[3]


def unanswered(config: Config) -> list[str]:
    """Claims of the paper without a verdict in a run, and what it lacks for them: a sentence each."""
    found: dict[str, list[str]] = {}
    for claim in CLAIMS:
        if claim.radius is not None and claim.radius not in config.ball.radii:
            found.setdefault(f"radius {claim.radius:g}", []).append(claim.name)
        if config.ball.draws < claim.draws:
            found.setdefault(f"{claim.draws} draws", []).append(claim.name)
    return [f"Without {lack} there is no verdict on: {', '.join(names)}." for lack, names in found.items()]
