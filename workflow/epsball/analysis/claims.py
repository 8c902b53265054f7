"""What a run is judged by: verdicts, the paper's claims with their bounds, and the estimate that stands for each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.run import Run
from epsball.config import Config
from epsball.runs.gaps import UnavailableError

# With fewer samples an interval says next to nothing: the numbers are only an illustration.
MIN_SAMPLES = 20

# A range is above the noise when it is more than this many noise floors.
NOISE_FLOOR_FACTOR = 10

RHO_BAND = 0.1  # the paper's, for |ρ|
# With fewer draws, chance alone takes ρ of unrelated distances out of that band more than one time in twenty: over
# T (T - 1) / 2 pairs its standard deviation is √(2 / (T (T - 1))).
RHO_DRAWS = 29

ALL_NETWORKS = "all networks"

Values = pd.Series | pd.DataFrame  # a row per sample


class Verdict(StrEnum):
    """A verdict in words, and the symbol that stands for it at a glance."""

    HOLDS = "holds", "✓"
    DOES_NOT_HOLD = "does not hold", "✗"
    UNDECIDED = "undecided", "?"
    TOO_FEW_SAMPLES = "too few samples", "○"
    TOO_FEW_DRAWS = "too few draws", "◇"
    DIFFERS = "differs", "≠"
    NO_DIFFERENCE = "no difference shown", "≈"
    NOT_MEASURED = "not measured in this run", "–"
    NOT_AVAILABLE = "not available", "∅"

    symbol: str

    def __new__(cls, words: str, symbol: str = "") -> Self:
        """Make a string of the words that has a symbol too."""
        verdict = str.__new__(cls, words)
        verdict._value_, verdict.symbol = words, symbol
        return verdict


def given(verdicts: pd.Series) -> list[Verdict]:
    """Return the verdicts that occur, in the order of the enumeration."""
    return [verdict for verdict in Verdict if (verdicts == verdict).any()]


def judge_difference(difference: intervals.Estimate | None, samples: int) -> Verdict:
    """Judge a difference, which is 0 if there is no effect."""
    if difference is None:
        return Verdict.NOT_MEASURED
    if samples < MIN_SAMPLES:
        return Verdict.TOO_FEW_SAMPLES
    return Verdict.NO_DIFFERENCE if difference.low <= 0 <= difference.high else Verdict.DIFFERS


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim about networks, judged by an estimate with an interval over samples.

    Attributes:
        name: a few words, another for each claim.
        statement: what is said, and the estimate that stands for it.
        probes: names of the probes that measure it; controls that all of them measure are compared with.
        values: returns a row per sample from the tables of a network or a control; None if the run lacks a radius.
            Where the rows are true or false, the estimate is their share, whose interval needs no resampling.
        statistic: reduces rows to the estimate.
        bound: what the whole interval has to be above, or below.
        direction: which of the two; "=" for a comparison beyond the paper, which is 0 if there is no effect.
        most_networks: share of the networks that it has to hold for, where the paper says it of "most" of them.
        radius: radius other than ε that the claim is about.
        min_draws: number of draws below which chance decides.
        quantity: name of the quantity that it is about, where there is a claim for each of several.
        across: whether its values are of all networks of a dataset together, whichever network is given.
        applies: whether it can be made for a network.
    """

    name: str
    statement: str
    probes: tuple[str, ...]
    values: Callable[[Run, str], Values | None]
    statistic: Callable[[np.ndarray], float] = np.median
    bound: float = 0.0
    direction: Literal["<", ">", "="] = ">"
    most_networks: float | None = None
    radius: float | None = None
    min_draws: int = 1
    quantity: str = ""
    across: bool = False
    applies: Callable[[Config, str], bool] = lambda config, network: True

    @property
    def criterion(self) -> str:
        """What the estimate is judged against, such as "> 0.5"."""
        return f"{self.direction} {self.bound:g}"

    def met_by(self, value: float) -> bool:
        """Return whether a value is on the claim's side of the bound."""
        return value > self.bound if self.direction == ">" else value < self.bound

    def judge(self, estimate: intervals.Estimate | None, samples: int, draws: int) -> Verdict:
        """Judge an estimate from so many samples with so many draws each."""
        if self.direction == "=" or estimate is None or samples < MIN_SAMPLES:
            return judge_difference(estimate, samples)
        if draws < self.min_draws:
            return Verdict.TOO_FEW_DRAWS
        if estimate.low > self.bound or estimate.high < self.bound:
            return Verdict.HOLDS if self.met_by(estimate.low) else Verdict.DOES_NOT_HOLD
        return Verdict.UNDECIDED

    def estimate(self, run: Run, network: str) -> intervals.Estimate | None:
        """Estimate it for a network or a control, with an interval over samples."""
        rows = self.values(run, network)
        if rows is None or rows.empty:
            return None
        if isinstance(rows, pd.Series) and rows.dtype == bool:
            return intervals.share(rows.to_numpy())
        array, config = rows.to_numpy(float), run.config
        return intervals.bootstrap(
            len(array), lambda numbers: self.statistic(array[numbers]), config.bootstrap, config.seed
        )

    def difference(self, run: Run, network: str, control: str) -> intervals.Estimate | None:
        """Estimate the difference of a network from its control, paired over the samples that both have."""
        own, others = self.values(run, network), self.values(run, control)
        if own is None or others is None or (both := own.index.intersection(others.index)).empty:
            return None
        arrays = [rows.loc[both].to_numpy(float) for rows in (own, others)]

        def difference(numbers: np.ndarray) -> float:
            of_network, of_control = (self.statistic(array[numbers]) for array in arrays)
            return 0.0 if of_network == of_control else of_network - of_control  # two infinite ones are equal

        return intervals.bootstrap(len(both), difference, run.config.bootstrap, run.config.seed)


def wide(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column of a table as samples by radii."""
    return table.pivot_table(index="sample", columns="radius", values=column, sort=False, dropna=False)


def at_radius(run: Run, probe: str, network: str, radius: float | None = None) -> pd.DataFrame:
    """Return a probe's table at a radius, by default the largest, by sample."""
    table = run.metrics(probe, network)
    return table[table["radius"] == (table["radius"].max() if radius is None else radius)].set_index("sample")


def ranges(run: Run, probe: str, network: str) -> pd.DataFrame:
    """Return a probe's table of ranges of scores.

    Raises:
        UnavailableError: where margins differ, scores do not, because they are nearer to 1 than any number.
    """
    table = run.metrics(probe, network)
    if ((table["range"] == 0) & (table["margin_range"] > 0) & (table["margin_min"] > 0)).any():
        raise UnavailableError("scores are nearer to 1 than 1e-308, where they cannot differ; look at the margin")
    return table


def log_ratio(upper: pd.Series, lower: pd.Series) -> pd.Series:
    """Return log(upper / lower) of ranges: 0 where both are 0, infinite where one is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: pd.Series = np.log(upper) - np.log(lower)
    return ratio.fillna(0.0)


def _above_noise(table: pd.DataFrame) -> pd.Series:
    if table["noise_floor"].isna().any():
        raise UnavailableError("there is no noise floor: the network does not compute in float64")
    return table["range"] > NOISE_FLOOR_FACTOR * table["noise_floor"]


def _not_isotropic(run: Run, network: str) -> Values:
    table = ranges(run, "isotropy", network)
    return _above_noise(table[table["radius"] == run.config.ball.epsilon].set_index("sample"))


def _more_anisotropic(run: Run, network: str) -> Values | None:
    found = wide(ranges(run, "isotropy", network), "range")
    return log_ratio(found[1.0], found[run.config.ball.epsilon]) if 1.0 in found else None


def _not_symmetric(run: Run, network: str) -> Values:
    table = ranges(run, "symmetry", network)
    table = table[table["radius"] >= 1]
    return _above_noise(table).groupby(table["sample"], sort=False).all()


def _topology_changed(run: Run, network: str) -> Values:
    table = run.metrics("topology", network).dropna(subset="rho")
    return (table["rho"].abs() < RHO_BAND).groupby(table["sample"], sort=False).agg(["sum", "count"])


def _share_of_counts(rows: np.ndarray) -> float:
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def _contraction(run: Run, network: str) -> Values:
    table = run.metrics("lipschitz", network).dropna(subset="ratio")
    return (table["ratio"] < 1).groupby(table["sample"], sort=False).mean()


_isotropy = functools.partial(Claim, probes=("isotropy",))

# The bounds are ours, fixed before any run: the paper states its claims in words.
CLAIMS = (
    _isotropy(
        name="not isotropic at epsilon",
        statement="not isotropic even at ε: share of samples whose range of scores is above "
        f"{NOISE_FLOOR_FACTOR} floors",
        bound=0.5,
        values=_not_isotropic,
        statistic=np.mean,
    ),
    _isotropy(
        name="little change at epsilon",
        statement="little change at ε: median range of scores",
        bound=0.01,
        direction="<",
        values=lambda run, network: at_radius(run, "isotropy", network, run.config.ball.epsilon)["range"],
    ),
    _isotropy(
        name="more anisotropic at 1",
        statement="more anisotropic at 1 than at ε: median log of the ratio of the ranges",
        bound=0.0,
        radius=1.0,
        values=_more_anisotropic,
    ),
    _isotropy(
        name="strongly anisotropic at 10",
        statement="strongly anisotropic at 10: median range of scores",
        bound=0.1,
        most_networks=0.5,
        radius=10.0,
        values=lambda run, network: at_radius(run, "isotropy", network, 10.0)["range"],
    ),
    Claim(
        name="not symmetric",
        statement=f"not symmetric beyond ε: share of samples whose permuted range is above {NOISE_FLOOR_FACTOR} floors "
        "at every r ≥ 1",
        bound=0.5,
        probes=("symmetry",),
        values=_not_symmetric,
        statistic=np.mean,
    ),
    Claim(
        name="topology changed",
        statement=f"topology changed: share of samples and radii with |ρ| < {RHO_BAND}",
        bound=0.95,
        min_draws=RHO_DRAWS,
        probes=("topology",),
        values=_topology_changed,
        statistic=_share_of_counts,
    ),
    Claim(
        name="locally a contraction",
        statement="locally a contraction: share of normalised ratios below 1",
        bound=0.5,
        probes=("lipschitz",),
        values=_contraction,
        statistic=np.mean,
    ),
)


def unanswered(config: Config) -> list[str]:
    """Return a sentence for each thing that a run lacks for a verdict on one of the paper's claims."""
    found: dict[str, list[str]] = {}
    for claim in CLAIMS:
        if claim.radius is not None and claim.radius not in config.ball.radii:
            found.setdefault(f"radius {claim.radius:g}", []).append(claim.name)
        if config.ball.draws < claim.min_draws:
            found.setdefault(f"{claim.min_draws} draws", []).append(claim.name)
    return [f"Without {lack} there is no verdict on: {', '.join(names)}." for lack, names in found.items()]
