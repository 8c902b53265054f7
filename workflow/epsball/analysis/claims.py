"""What a run is judged by: verdicts, the paper's claims with their bounds, and the estimate that stands for each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

import numpy as np
import pandas as pd

from epsball.analysis import intervals
from epsball.analysis.run import Run
from epsball.analysis.statistics import EQUAL, MEDIAN, SMALLEST, Median, Scale, Share, Statistic
from epsball.config import Config
from epsball.runs.gaps import UnavailableError

# With fewer samples an interval says next to nothing: the numbers are only an illustration.
MIN_SAMPLES = 20

# A range is above the noise when it is more than this many noise floors.
NOISE_FLOOR_FACTOR = 10

RHO_BAND = 0.1  # the paper's, for |ρ|

ALL_NETWORKS = "all networks"

Values = pd.Series | pd.DataFrame  # a row per sample


class Verdict(StrEnum):
    """A verdict in words, and the symbol that stands for it at a glance."""

    HOLDS = "holds", "✓"
    DOES_NOT_HOLD = "does not hold", "✗"
    UNDECIDED = "undecided", "?"
    TOO_FEW_SAMPLES = "too few samples", "○"
    DIFFERS = "differs", "≠"
    EQUIVALENT = "equivalent", "≈"
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


#: Verdicts that an interval has given.
JUDGED = (Verdict.HOLDS, Verdict.DOES_NOT_HOLD, Verdict.UNDECIDED, Verdict.DIFFERS, Verdict.EQUIVALENT)


def judge_comparison(estimate: intervals.Estimate | None, samples: int, scale: Scale) -> Verdict:
    """Judge a difference or ratio: equivalent, if the whole interval is within that of interest; differs; neither."""
    if estimate is None:
        return Verdict.NOT_MEASURED
    if samples < MIN_SAMPLES:
        return Verdict.TOO_FEW_SAMPLES
    equal, smallest = EQUAL[scale], SMALLEST[scale]
    least, most = (1 / smallest, smallest) if scale == "ratio" else (-smallest, smallest)
    if least < estimate.low and estimate.high < most:
        return Verdict.EQUIVALENT
    return Verdict.UNDECIDED if estimate.low <= equal <= estimate.high else Verdict.DIFFERS


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim about networks, judged by an estimate with an interval over samples.

    Attributes:
        name: a few words, another for each claim.
        statement: what is said, and the estimate that stands for it.
        probes: names of the probes that measure it; controls that all of them measure are compared with.
        values: returns a row per sample from the tables of a network or a control; None if the run lacks a radius.
        statistic: reduces rows to the estimate.
        bound: what the whole interval has to be above, or below, or how far from 0.
        direction: which of these, the last as "±"; "=" for a comparison beyond the paper, which has no bound.
        most_networks: share of the networks that must be above the bound, where the paper says it of "most" of them.
        radius: radius other than ε that the claim is about.
        quantity: name of the quantity that it is about, where there is a claim for each of several.
        across: whether its values are of all networks of a dataset together, whichever network is given.
        others: names the other networks that its values are of: they are of the samples that all of them have.
        applies: whether it can be made for a network.
    """

    name: str
    statement: str
    probes: tuple[str, ...]
    values: Callable[[Run, str], Values | None]
    statistic: Statistic = MEDIAN
    bound: float = 0.0
    direction: Literal["<", ">", "±", "="] = ">"
    most_networks: float | None = None
    radius: float | None = None
    quantity: str = ""
    across: bool = False
    others: Callable[[Run, str], Sequence[str]] = lambda run, network: ()
    applies: Callable[[Config, str], bool] = lambda config, network: True

    @property
    def criterion(self) -> str:
        """What the estimate is judged against, such as "> 0.5"."""
        if self.direction == "=":
            return f"= {EQUAL[self.statistic.scale]:g}"
        return f"within ±{self.bound:g}" if self.direction == "±" else f"{self.direction} {self.bound:g}"

    def judge(self, estimate: intervals.Estimate | None, samples: int) -> Verdict:
        """Judge an estimate from so many samples."""
        if self.direction == "=" or estimate is None or samples < MIN_SAMPLES:
            return judge_comparison(estimate, samples, self.statistic.scale)
        above, below = estimate.low > self.bound, estimate.high < self.bound
        match self.direction:
            case ">":
                met, missed = above, below
            case "<":
                met, missed = below, above
            case "±":
                met, missed = below and estimate.low > -self.bound, above or estimate.high < -self.bound
        return Verdict.HOLDS if met else Verdict.DOES_NOT_HOLD if missed else Verdict.UNDECIDED

    def samples(self, run: Run, network: str) -> int:
        """Count the samples that it is about."""
        dataset = run.config.networks[network].dataset
        of_each = (set(run.samples(dataset, name)["sample"]) for name in (network, *self.others(run, network)))
        return len(set.intersection(*of_each))

    def estimate(self, run: Run, network: str, level: float = intervals.LEVEL) -> intervals.Estimate | None:
        """Estimate it for a network or a control, with an interval over samples at a level.

        Raises:
            UnavailableError: it has no value, such as the correlation of what does not vary.
        """
        rows = self._defined(run, network)
        if rows is None or rows.empty:
            return None
        return _required(self.statistic.estimate(rows.to_numpy(float), level))

    def difference(
        self, run: Run, network: str, control: str, level: float = intervals.LEVEL
    ) -> intervals.Estimate | None:
        """Estimate the difference or ratio of a network to its control, paired over the samples that both have."""
        own, others = self._defined(run, network), self._defined(run, control)
        if own is None or others is None or (both := own.index.intersection(others.index)).empty:
            return None
        one, other = (rows.loc[both].to_numpy(float) for rows in (own, others))
        return _required(self.statistic.compare(one, other, level))

    def _defined(self, run: Run, network: str) -> Values | None:
        """Return the values of the samples that have one: the ratio of 0 at one radius to 0 at another is none."""
        rows = self.values(run, network)
        return None if rows is None else rows.dropna()


def _required(estimate: intervals.Estimate) -> intervals.Estimate:
    if np.isnan(estimate.value):
        raise UnavailableError("one of the two is the same for all samples: there is no correlation")
    return estimate


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


def ratio(upper: pd.Series, lower: pd.Series) -> pd.Series:
    """Return upper / lower of the samples that both have: 1 where both are 0, infinite where the lower one is."""
    upper, lower = upper.align(lower, join="inner")
    found: pd.Series = upper / lower
    return found.mask(upper == lower, 1.0)


def _above_noise(table: pd.DataFrame) -> pd.Series:
    if table["noise_floor"].isna().any():
        raise UnavailableError("there is no noise floor: the network does not compute in float64")
    return table["range"] > NOISE_FLOOR_FACTOR * table["noise_floor"]


def _not_isotropic(run: Run, network: str) -> Values:
    table = ranges(run, "isotropy", network)
    return _above_noise(table[table["radius"] == run.config.ball.epsilon].set_index("sample"))


def _more_anisotropic(run: Run, network: str) -> Values | None:
    found = wide(ranges(run, "isotropy", network), "range")
    return ratio(found[1.0], found[run.config.ball.epsilon]) if 1.0 in found else None


def _not_symmetric(run: Run, network: str) -> Values:
    table = ranges(run, "symmetry", network)
    table = table[table["radius"] >= 1]
    return _above_noise(table).groupby(table["sample"], sort=False).all()


def rho(run: Run, network: str) -> pd.Series:
    """Return Mantel's ρ by sample, its mean over radii: draws at other radii are others, so that noise averages out."""
    table = run.metrics("topology", network).dropna(subset="rho")
    found: pd.Series = table.groupby("sample", sort=False)["rho"].mean()
    return found


def ratios(run: Run, network: str) -> pd.Series:
    """Return the ratios of Eq. 9 of all draws, by sample, with g as the configuration has it; none at radius 0."""
    column = "ratio" if run.config.normaliser == "global" else "ratio_per_feature"
    found: pd.Series = run.metrics("lipschitz", network).set_index("sample")[column].dropna()
    return found


def below_1(run: Run, network: str) -> pd.DataFrame:
    """Return a row per sample: share, of the ratios below 1; all, whether each is."""
    below = (ratios(run, network) < 1).groupby(level="sample", sort=False)
    return pd.DataFrame({"share": below.mean(), "all": below.all()})


_isotropy = functools.partial(Claim, probes=("isotropy",))

# The bounds are ours, fixed before any run: the paper states its claims in words.
CLAIMS = (
    _isotropy(
        name="not isotropic at epsilon",
        statement="not isotropic even at ε: share of samples whose range of scores is above "
        f"{NOISE_FLOOR_FACTOR} floors",
        bound=0.5,
        values=_not_isotropic,
        statistic=Share(),
    ),
    _isotropy(
        name="little change at epsilon",
        statement="little change at ε: median range of scores",
        bound=0.01,
        direction="<",
        statistic=Median("ratio"),
        values=lambda run, network: at_radius(run, "isotropy", network, run.config.ball.epsilon)["range"],
    ),
    _isotropy(
        name="more anisotropic at 1",
        statement="more anisotropic at 1 than at ε: median ratio of the ranges",
        bound=1.0,
        radius=1.0,
        statistic=Median("ratio"),
        values=_more_anisotropic,
    ),
    _isotropy(
        name="strongly anisotropic at 10",
        statement="strongly anisotropic at 10: median range of scores",
        bound=0.1,
        most_networks=0.5,
        radius=10.0,
        statistic=Median("ratio"),
        values=lambda run, network: at_radius(run, "isotropy", network, 10.0)["range"],
    ),
    Claim(
        name="not symmetric",
        statement=f"not symmetric beyond ε: share of samples whose permuted range is above {NOISE_FLOOR_FACTOR} floors "
        "at every r ≥ 1",
        bound=0.5,
        probes=("symmetry",),
        values=_not_symmetric,
        statistic=Share(),
    ),
    Claim(
        name="topology changed",
        statement=f"topology changed: median over samples of ρ, mean over radii, within ±{RHO_BAND}",
        bound=RHO_BAND,
        direction="±",
        probes=("topology",),
        values=rho,
    ),
    Claim(
        name="locally a contraction",
        statement="locally a contraction: share of normalised ratios below 1",
        bound=0.5,
        probes=("lipschitz",),
        values=lambda run, network: below_1(run, network)["share"],
        statistic=Share(),
    ),
    Claim(
        name="locally a contraction, largest ratio",
        statement="locally a contraction: share of samples whose largest normalised ratio is below 1, since Eq. 9 is "
        "a supremum",
        bound=0.5,
        probes=("lipschitz",),
        values=lambda run, network: below_1(run, network)["all"],
        statistic=Share(),
    ),
)


def unanswered(config: Config) -> list[str]:
    """Return a sentence for each thing that a run lacks for a verdict on one of the paper's claims."""
    found: dict[str, list[str]] = {}
    for claim in CLAIMS:
        if claim.radius is not None and claim.radius not in config.ball.radii:
            found.setdefault(f"radius {claim.radius:g}", []).append(claim.name)
    return [f"Without {lack} there is no verdict on: {', '.join(names)}." for lack, names in found.items()]
