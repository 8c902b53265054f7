"""Write how intervals and verdicts do on truths that are known into the documentation: python docs/intervals.py.

Ten minutes on two cores. Each table of explanation/intervals.md is made by repeating a study many times on made-up
samples whose true value is known.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from epsball.analysis import comparisons, intervals
from epsball.analysis.claims import MIN_SAMPLES, RHO_BAND
from epsball.analysis.statistics import SMALLEST, Correlation, Median, Share, Statistic
from epsball.probes.mantel import mantel
from marked import put, table
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import pdist, squareform

PAGE = Path(__file__).parent / "explanation" / "intervals.md"
SIZES = (20, 50, 300)
DRAWS = 40

Array = NDArray[np.float64]


class Truth(NamedTuple):
    """Made-up samples whose true value is known."""

    statistic: str
    name: str
    draw: Callable[[np.random.Generator, int], Array]  # rows of that many samples
    value: float
    estimate: Callable[[Array, float], intervals.Estimate]


@functools.cache
def known() -> list[Truth]:
    """Return the truths of all statistics of the claims."""
    return list(_truths())


def _truths() -> Iterator[Truth]:
    share, median = Share().estimate, Median().estimate
    words = "share of samples"
    for p in (0.5, 0.9, 0.975, 0.99):
        yield Truth(words, f"{p:g}", functools.partial(_held, p), p, share)
    words = "mean share of draws"
    for mean, inner in itertools.product((0.5, 0.9, 0.975), (0.0, 0.3, 0.8)):
        draw = functools.partial(_shares, mean, inner)
        yield Truth(words, f"{mean:g}, correlation of draws {inner:g}", draw, mean, share)
    yield Truth(words, "Beta(19.5, 0.5)", functools.partial(_beta, 19.5, 0.5), 0.975, share)
    yield Truth(words, "Beta(0.95, 0.05)", functools.partial(_beta, 0.95, 0.05), 0.95, share)
    words = "difference of shares, paired"
    for rise, fall in ((0.0, 0.0), (0.02, 0.0), (0.1, 0.1), (0.4, 0.1)):
        draw = functools.partial(_pairs, rise, fall)
        yield Truth(words, f"{rise:g} less {fall:g}", draw, rise - fall, _paired(Share()))
    words = "median"
    yield Truth(words, "lognormal, σ = 2", _lognormal, 1.0, median)
    near = float(stats.beta.ppf(0.5, 5, 0.5))
    yield Truth(words, "Beta(5, 0.5)", functools.partial(_beta, 5, 0.5), near, median)
    yield Truth(words, "ties: Poisson, mean 2", _poisson, 2.0, median)
    words = "median ratio, paired"
    for inner in (0.0, 0.3, 0.8):
        draw = functools.partial(_ratios, 1.25, inner)
        yield Truth(words, f"lognormal, correlation {inner:g}", draw, 1.25, _paired(Median("ratio")))
    words = "rank correlation"
    for name, rho in itertools.product(("lognormal", "t with 3 degrees", "ties"), (0.0, 0.8)):
        yield _correlated(words, name, rho, 1, 0.0, 2)
    for name, rho in itertools.product(("lognormal", "ties"), (0.0, 0.8)):
        yield _correlated("partial rank correlation", name, rho, 1, 0.0, 3)
    for inner, rho in itertools.product((0.0, 0.3, 0.8), (0.0, 0.8)):
        yield _correlated("rank correlation over 4 networks", "lognormal", rho, 4, inner, 3)
    words = "split-draw reliability"
    for half in (0.0, 0.5, 0.9):
        of = Correlation(comparisons.correlate_halves, comparisons.whole_of_half)
        draw = functools.partial(_normal, half)
        yield Truth(words, f"halves correlate by {half:g}", draw, comparisons.whole_of_half(half), of.estimate)


def _beta(one: float, other: float, generator: np.random.Generator, size: int) -> Array:
    return np.asarray(generator.beta(one, other, size), dtype=float)


def _poisson(generator: np.random.Generator, size: int) -> Array:
    return generator.poisson(2, size).astype(float)


def _lognormal(generator: np.random.Generator, size: int) -> Array:
    return np.asarray(generator.lognormal(0, 2, size), dtype=float)


def _held(share: float, generator: np.random.Generator, size: int) -> Array:
    return (generator.random(size) < share).astype(float)


def _shares(mean: float, inner: float, generator: np.random.Generator, size: int) -> Array:
    """Return the share of the draws of each sample, which correlate."""
    own = generator.beta(mean * (1 / inner - 1), (1 - mean) * (1 / inner - 1), size) if inner else mean
    return generator.binomial(DRAWS, own, size) / DRAWS


def _pairs(rise: float, fall: float, generator: np.random.Generator, size: int) -> Array:
    which = generator.choice(4, size, p=[rise, fall, (1 - rise - fall) * 0.9, (1 - rise - fall) * 0.1])
    return np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=float)[which]


def _ratios(ratio: float, inner: float, generator: np.random.Generator, size: int) -> Array:
    return np.exp(_normal(inner, generator, size)) * [ratio, 1]


def _normal(rho: float, generator: np.random.Generator, size: int) -> Array:
    return np.asarray(generator.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size))


def _paired(statistic: Statistic) -> Callable[[Array, float], intervals.Estimate]:
    return lambda rows, level: statistic.compare(rows[:, 0], rows[:, 1], level)


def _correlated(words: str, name: str, rho: float, networks: int, inner: float, columns: int) -> Truth:
    """Return rows of correlated columns, of several networks whose values correlate within a sample."""
    root = np.linalg.cholesky(np.full((columns, columns), rho) + (1 - rho) * np.eye(columns))

    def draw(generator: np.random.Generator, size: int) -> Array:
        shared, own = (generator.standard_normal((size, count, columns)) for count in (1, networks))
        rows = (np.sqrt(inner) * shared + np.sqrt(1 - inner) * own) @ root.T
        match name:
            case "lognormal":
                rows = np.exp(rows)
            case "ties":
                rows = np.round(rows)
            case _:
                rows = rows / np.sqrt(generator.chisquare(3, (size, 1, 1)) / 3)
        return np.asarray(rows.reshape(size, -1))

    def correlation(rows: Array) -> Array:
        return comparisons.rank_correlation(comparisons.by_network(rows, columns))

    true = float(correlation(draw(np.random.default_rng(0), 400_000 // networks)))
    said = f"{name}, {true:.2g}" + (f", correlation of networks {inner:g}" if networks > 1 else "")
    return Truth(words, said, draw, true, Correlation(correlation).estimate)


def _coverage(place: int, size: int) -> float:
    """Return how often the interval of a truth has its value."""
    truth = known()[place]
    slow = "correlation" in truth.statistic or "reliability" in truth.statistic
    repeats = 2000 if not slow or size < 300 else 300 if "networks" in truth.statistic else 1200
    generator = np.random.default_rng([place, size])
    found = (truth.estimate(truth.draw(generator, size), intervals.LEVEL) for _ in range(repeats))
    slack = 1e-12
    return float(np.mean([one.low - slack <= truth.value <= one.high + slack for one in found]))


def coverage(workers: ProcessPoolExecutor) -> list[str]:
    """Table the coverage of every statistic."""
    pairs = list(itertools.product(range(len(known())), SIZES))
    found = dict(zip(pairs, workers.map(_coverage, *zip(*pairs, strict=True)), strict=True))
    rows = [
        (truth.statistic, truth.name, *(f"{100 * found[place, size]:.1f}" for size in SIZES))
        for place, truth in enumerate(known())
    ]
    least = min(found.values())
    return [
        *table(["statistic", "truth", *(f"n = {size}, %" for size in SIZES)], rows),
        "",
        f"The least is {100 * least:.1f}%.",
    ]


def _compared(shift: float, size: int) -> Array:
    """Return how often a ratio is found by medians, by paired ratios and by signed ranks; and equivalence."""
    generator = np.random.default_rng([int(shift * 100), size])
    hits = np.zeros(4)
    repeats = 500
    for _ in range(repeats):
        level = generator.normal(0, 1.5, size)
        own, other = (np.exp(level + generator.normal(mean, 0.15, size)) for mean in (np.log(shift), 0))
        places = generator.integers(0, size, (400, size))
        low, high = np.quantile(np.median(own[places], axis=1) - np.median(other[places], axis=1), [0.025, 0.975])
        paired = Median("ratio").compare(own, other, intervals.LEVEL)
        ranks = stats.wilcoxon(np.log(own / other)).pvalue < 1 - intervals.LEVEL
        within = 1 / SMALLEST["ratio"] < paired.low and paired.high < SMALLEST["ratio"]
        hits += [float(hit) for hit in (not low <= 0 <= high, not paired.low <= 1 <= paired.high, ranks, within)]
    return hits / repeats


def power(workers: ProcessPoolExecutor) -> list[str]:
    """Table the power of paired comparisons."""
    pairs = list(itertools.product((1.0, 1.05, 1.1, 1.25, 1.5), SIZES))
    found = workers.map(_compared, *zip(*pairs, strict=True))
    rows = [
        (f"{shift:g}", size, *(f"{100 * share:.0f}" for share in shares))
        for (shift, size), shares in zip(pairs, found, strict=True)
    ]
    head = ["true ratio", "n", "difference of medians, %", "median paired ratio, %", "signed ranks, %"]
    return table([*head, f"equivalent within {SMALLEST['ratio']:g}, %"], rows)


def _family(verdicts: int, repeats: int = 1000) -> tuple[float, float]:
    """Return how often at least one of many intervals misses, alone and adjusted."""
    generator = np.random.default_rng(verdicts)
    missed = np.zeros(2)
    for _ in range(repeats):
        values = generator.lognormal(0, 1, (verdicts, MIN_SAMPLES))
        for place, level in enumerate((intervals.LEVEL, 1 - (1 - intervals.LEVEL) / verdicts)):
            # The interval between order statistics of one number of samples is between the same ranks.
            ranks = intervals.median(np.arange(MIN_SAMPLES, dtype=float), level)
            each = np.sort(values, axis=1)
            missed[place] += not ((each[:, int(ranks.low)] <= 1) & (each[:, int(ranks.high)] >= 1)).all()
    return float(missed[0] / repeats), float(missed[1] / repeats)


def families(workers: ProcessPoolExecutor) -> list[str]:
    """Table the chance of a miss among many verdicts."""
    counts = (10, 32, 100, 300)
    rows = [
        (count, *(f"{100 * share:.1f}" for share in shares))
        for count, shares in zip(counts, workers.map(_family, counts), strict=True)
    ]
    return table(["verdicts", "at least one miss, each alone, %", "adjusted, %"], rows)


def _topology(true: float, draws: int, repeats: int = 30) -> tuple[float, float]:
    """Return how often the share of |ρ| below the bound, and the median of mean ρ, give "holds"; ρ is nearly `true`.

    Distances on a sphere in d dimensions correlate with those in the first k by about √(k / 2d): half of what varies in
    the latter are the lengths there.
    """
    generator = np.random.default_rng([int(1000 * true), draws])
    dimensions = 2000
    kept, radii = round(2 * true**2 * dimensions), 5
    held = np.zeros(2)
    for _ in range(repeats):
        rho = np.empty((MIN_SAMPLES, radii))
        for at in np.ndindex(rho.shape):
            points = generator.standard_normal((draws, dimensions))
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            after = pdist(points[:, :kept])
            rho[at] = mantel(squareform(pdist(points)), squareform(after))[0]
        inside = (np.abs(rho) < RHO_BAND).mean(axis=1)
        resampled = inside[generator.integers(0, MIN_SAMPLES, (1000, MIN_SAMPLES))].mean(axis=1)
        median = intervals.median(rho.mean(axis=1))
        held += np.quantile(resampled, 0.025) > 0.95, median.low > -RHO_BAND and median.high < RHO_BAND
    return float(held[0] / repeats), float(held[1] / repeats)


def topology(workers: ProcessPoolExecutor) -> list[str]:
    """Table the verdict on topology against the number of draws."""
    pairs = list(itertools.product((0.03, 0.05, 0.08, 0.12, 0.15), (20, 40, 100)))
    found = dict(zip(pairs, workers.map(_topology, *zip(*pairs, strict=True)), strict=True))
    rows = [
        (f"{true:g}", *(f"{100 * found[true, draws][kind]:.0f}" for kind in (0, 1) for draws in (20, 40, 100)))
        for true in dict.fromkeys(true for true, _ in pairs)
    ]
    head = [f"{words}, T = {draws}, %" for words in ("share", "median") for draws in (20, 40, 100)]
    return table(["ρ", *head], rows)


def main() -> None:
    """Write all tables."""
    known()  # once, before workers are forked
    with ProcessPoolExecutor() as workers:
        for part in (topology, families, power, coverage):
            put(PAGE, part.__name__, part(workers))


if __name__ == "__main__":
    main()
