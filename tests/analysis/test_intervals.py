"""Intervals against SciPy and published values; claims on tables with known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.analysis import intervals
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, Verdict, given, judge_comparison, ratio
from epsball.analysis.comparisons import correlate_halves
from epsball.analysis.intervals import Estimate
from epsball.analysis.statistics import Median, Scale
from epsball.analysis.verdicts import judge
from epsball.runs.files import write_table
from scipy import stats as scipy_stats
from scipy.spatial.distance import pdist
from support.written_run import MINIMAL_RUN, write_run


@pytest.mark.parametrize(("successes", "size"), [(0, 20), (7, 20), (20, 20), (299, 300)])
def test_shares_have_the_interval_of_clopper_and_pearson(successes: int, size: int) -> None:
    found = intervals.share(np.arange(size) < successes)
    low = scipy_stats.beta.ppf(0.025, successes, size - successes + 1) if successes else 0
    high = scipy_stats.beta.ppf(0.975, successes + 1, size - successes) if successes < size else 1
    assert found == pytest.approx((successes / size, low, high))


def test_a_mean_of_shares_is_judged_as_so_many_successes() -> None:
    found = intervals.share([0.5, 0.5, 1.0, 0.0])
    assert found == pytest.approx(tuple(intervals.share([1, 1, 0, 0])))


def test_shares_that_agree_on_all_samples_may_still_differ() -> None:
    """Rise and fall are 0 of 20, each with an upper end at 98.75%: 1 - 0.0125 ** (1 / 20)."""
    found = intervals.share_difference(np.ones(20), np.ones(20))
    assert found == pytest.approx((0, -0.196760, 0.196760), abs=1e-6)
    found = intervals.share_difference([1, 1, 1, 0] * 10, [0, 1, 1, 1] * 10)
    assert found.value == 0
    assert found.high == -found.low > 0.2


def test_medians_lie_between_order_statistics() -> None:
    """Of 20 values the sixth and the fifteenth: both tails have P(B(20, 1/2) < 6) = 0.0207."""
    values = np.random.default_rng(0).permutation(np.arange(1.0, 21.0))
    assert intervals.median(values) == (10.5, 6, 15)
    assert intervals.median(values, 0.999) == (10.5, 3, 18)
    assert scipy_stats.binom.cdf(5, 20, 0.5) < 0.025 < scipy_stats.binom.cdf(6, 20, 0.5)
    assert intervals.median(np.arange(5.0)) == (2, -np.inf, np.inf)
    assert intervals.median([-np.inf] * 3 + [1.0] + [np.inf] * 4).value == 1


def test_the_jackknife_of_a_normal_correlation_is_fishers() -> None:
    rows = np.random.default_rng(3).multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 2000)
    found = intervals.correlation(correlate_halves, rows)
    theirs = scipy_stats.pearsonr(rows[:, 0], rows[:, 1]).confidence_interval()
    assert found[1:] == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_a_perfect_correlation_is_not_certain_and_one_that_is_none_has_no_interval() -> None:
    rows = np.c_[np.arange(20.0), np.arange(20.0)]
    found = intervals.correlation(correlate_halves, rows)
    assert found.value == pytest.approx(1)
    assert 0.9 < found.low < found.high == found.value  # also where it is beyond the largest finite z
    assert np.isnan(intervals.correlation(correlate_halves, np.ones((20, 2)))).all()
    assert intervals.correlation(correlate_halves, rows[:3])[1:] == (-1, 1)


@pytest.mark.parametrize(
    ("estimate", "inner", "truth"),
    [
        (intervals.share, 0.3, 0.9),
        (intervals.share, 0.8, 0.975),
        (intervals.median, None, 1.0),
    ],
)
def test_intervals_cover_as_they_say(
    estimate: Callable[[np.ndarray], Estimate], inner: float | None, truth: float
) -> None:
    """Shares of 40 draws that correlate within a sample; lognormal values. docs/intervals.py has all of them."""
    generator, inside = np.random.default_rng(1), 0
    for _ in range(300):
        if inner is None:
            values = generator.lognormal(0, 2, 20)
        else:
            own = generator.beta(truth * (1 / inner - 1), (1 - truth) * (1 / inner - 1), 20)
            values = generator.binomial(40, own) / 40
        found = estimate(values)
        inside += found.low <= truth <= found.high
    assert inside / 300 > 0.92


@pytest.mark.parametrize(
    ("interval", "scale", "verdict"),
    [
        (Estimate(1.0, 0.9, 1.2), "ratio", "equivalent"),
        (Estimate(1.1, 1.05, 1.2), "ratio", "equivalent"),
        (Estimate(1.1, 0.9, 1.3), "ratio", "undecided"),
        (Estimate(2.0, 1.1, 3.0), "ratio", "differs"),
        (Estimate(0.0, -0.2, 0.2), "difference", "undecided"),
        (Estimate(0.0, -0.09, 0.09), "difference", "equivalent"),
        (Estimate(-0.3, -0.4, -0.05), "difference", "differs"),
    ],
)
def test_three_answers_of_a_comparison(interval: Estimate, scale: Scale, verdict: str) -> None:
    assert judge_comparison(interval, 20, scale) == verdict
    assert judge_comparison(interval, 19, scale) == "too few samples"
    assert judge_comparison(None, 20, scale) == "not measured in this run"


def test_medians_are_compared_sample_by_sample() -> None:
    """Samples differ a million times more than two networks on one."""
    level = np.logspace(0, 6, 30)
    found = Median("ratio").compare(1.1 * level, level, 0.95)
    assert found == pytest.approx((1.1, 1.1, 1.1))
    none = np.zeros(30)
    assert Median("ratio").compare(none, none, 0.95) == (1, 1, 1)
    assert Median("ratio").compare(level, none, 0.95).low == np.inf
    assert Median().compare(level + 2, level, 0.95) == pytest.approx((2, 2, 2))


def test_ratios_of_zeros() -> None:
    found = ratio(pd.Series([0.0, 1.0, 3.0]), pd.Series([0.0, 0.0, 1.0]))
    assert found.tolist() == [1, np.inf, 3]


@pytest.mark.parametrize(
    ("interval", "above", "below"),
    [
        (Estimate(0.8, 0.6, 0.9), "holds", "does not hold"),
        (Estimate(0.2, 0.1, 0.4), "does not hold", "holds"),
        (Estimate(0.5, 0.4, 0.6), "undecided", "undecided"),
    ],
)
def test_verdicts(interval: Estimate, above: str, below: str) -> None:
    claim = replace(CLAIMS[0], bound=0.5)
    assert claim.criterion == "> 0.5"
    assert claim.judge(interval, 20) == above
    assert replace(claim, direction="<").judge(interval, 20) == below
    assert claim.judge(interval, 19) == "too few samples"
    assert claim.judge(None, 20) == "not measured in this run"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.05, 0.09, "holds"), (0.05, 0.11, "undecided"), (-0.2, 0.2, "undecided"), (0.11, 0.2, "does not hold")],
)
def test_a_claim_within_a_band(low: float, high: float, verdict: str) -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "topology changed")
    assert claim.criterion == "within ±0.1"
    assert claim.judge(Estimate((low + high) / 2, low, high), 20) == verdict
    assert claim.judge(Estimate(-(low + high) / 2, -high, -low), 20) == verdict


def test_a_verdict_is_its_words_and_has_a_symbol_of_its_own() -> None:
    assert Verdict("does not hold").symbol == "✗"
    assert f"{Verdict.DOES_NOT_HOLD}" == "does not hold"
    assert len({verdict.symbol for verdict in Verdict}) == len(Verdict)
    assert given(pd.Series(["differs", "holds", "differs"])) == ["holds", "differs"]


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.05, 0.2])
def test_the_verdict_on_topology_does_not_depend_on_the_draws(true: float) -> None:
    """Distances in 2000 dimensions and in the first of them correlate by about the root of their share."""
    verdicts = set()
    claim = next(claim for claim in CLAIMS if claim.name == "topology changed")
    for draws in (20, 40, 100):
        generator, means = np.random.default_rng(draws), []
        for _ in range(20):
            rho = []
            for _ in range(5):
                points = generator.standard_normal((draws, 2000))
                points /= np.linalg.norm(points, axis=1, keepdims=True)
                rho.append(np.corrcoef(pdist(points), pdist(points[:, : round(2000 * true**2)]))[0, 1])
            means.append(np.mean(rho))
        verdicts.add(claim.judge(claim.statistic.estimate(np.array(means), 0.95), 20))
    assert verdicts == {"holds" if true < 0.1 else "does not hold"}


@pytest.mark.slow
def test_most_networks_are_judged_by_the_one_in_the_middle(tmp_path: Path) -> None:
    """Of three networks with ranges of 0.1, 0.2 and 0.4 at 10, more than half reach 0.2."""
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    spec = MINIMAL_RUN.networks["net"]
    names = {"net": 1, "two": 2, "four": 4}
    for name, factor in names.items():
        for path in sorted((tmp_path / "metrics" / "net").glob("*.parquet")):
            table = pd.read_parquet(path)
            if "range" in table and factor > 1:
                table["range"] = factor * table["range"]
            write_table(tmp_path / "metrics" / name / path.name, table)
    config = replace(MINIMAL_RUN, networks={name: replace(spec, name=name) for name in names})
    [row] = judge(config, tmp_path).query("network == @ALL_NETWORKS").to_dict("records")
    assert [row["estimate"], row["verdict"], row["bound"]] == [pytest.approx(0.2), "holds", "> 0.1"]
    assert ALL_NETWORKS not in set(judge(MINIMAL_RUN, tmp_path)["network"])


def test_verdicts_are_adjusted_for_how_many_there_are(tmp_path: Path) -> None:
    """15 of 20 is above 0.5 by an interval at 95% (0.509), not by one at 99.375% for eight verdicts."""
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table.assign(rho=0.05)  # noqa: E731
    write_run(tmp_path, samples=20, growth=10.0, floor=1e-6, topology=change)
    path = tmp_path / "metrics" / "net" / "isotropy.parquet"
    table = pd.read_parquet(path)
    few = table["sample"].isin([f"s{number}" for number in range(5)]) & (table["radius"] == 0.1)
    table.loc[few, "noise_floor"] = 1.0
    table.to_parquet(path)
    judged = judge(MINIMAL_RUN, tmp_path).set_index("claim")
    row = judged.loc["not isotropic at epsilon"]
    assert [row["verdict"], row["adjusted_verdict"]] == ["holds", "undecided"]
    assert row["ci_low"] == pytest.approx(0.509, abs=0.001)
    assert (judged["adjusted_verdict"] == judged["verdict"]).sum() == len(judged) - 1


def test_claims_on_tables_with_known_answers(tmp_path: Path) -> None:
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    table = judge(MINIMAL_RUN, tmp_path).set_index(["claim", "network"])
    one = table.xs("net", level="network")
    # Ranges are 0.001 at ε, and ten times as large at each radius after it; floors are 1e-6.
    assert one.loc["not isotropic at epsilon", "estimate"] == 1
    assert one.loc["little change at epsilon", "estimate"] == pytest.approx(0.001)
    assert one.loc["more anisotropic at 1", "estimate"] == pytest.approx(10)
    assert one.loc["strongly anisotropic at 10", "estimate"] == pytest.approx(0.1)
    assert one.loc["topology changed", "estimate"] == pytest.approx(0.05)
    assert one.loc["locally a contraction", "estimate"] == 0
    assert one.loc["permuted against redrawn", "estimate"] == pytest.approx(2)
    assert one["verdict"].to_dict() == {
        "not isotropic at epsilon": "holds",
        "little change at epsilon": "holds",
        "more anisotropic at 1": "holds",
        "strongly anisotropic at 10": "undecided",
        "not symmetric": "holds",
        "topology changed": "holds",
        "locally a contraction": "does not hold",
        "locally a contraction, largest ratio": "does not hold",
        "permuted against redrawn": "differs",
    }


def test_ranges_at_the_floor_are_not_anisotropy(tmp_path: Path) -> None:
    write_run(tmp_path, samples=30, growth=1.0, floor=0.001)
    table = judge(MINIMAL_RUN, tmp_path).set_index("claim")
    assert table.loc["not isotropic at epsilon", "verdict"] == "does not hold"
    assert table.loc["not symmetric", "verdict"] == "does not hold"


def test_scores_that_are_all_1_give_no_verdict(tmp_path: Path) -> None:
    """Beyond 1e-308 there is no number between a score and 1, however far the margin moves."""
    write_run(tmp_path, samples=30, growth=10.0, floor=0.0)
    for probe in ("isotropy", "symmetry"):
        path = tmp_path / "metrics" / "net" / f"{probe}.parquet"
        table = pd.read_parquet(path)
        table.loc[table["sample"] == "s3", "range"] = 0.0
        table.to_parquet(path)
    verdicts = judge(MINIMAL_RUN, tmp_path).set_index("claim")["verdict"]
    lost = {"not isotropic at epsilon", "more anisotropic at 1", "not symmetric", "permuted against redrawn"}
    assert set(verdicts.index[verdicts == "not available"]) == lost


def test_a_sample_whose_ratio_is_undefined_is_left_out(tmp_path: Path) -> None:
    """Permuted 0 at one radius and redrawn 0 at another: their geometric mean is 0 times infinity."""
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    for probe, radius in (("symmetry", 1.0), ("isotropy", 10.0)):
        path = tmp_path / "metrics" / "net" / f"{probe}.parquet"
        table = pd.read_parquet(path)
        table.loc[(table["sample"] == "s3") & (table["radius"] == radius), ["range", "margin_range"]] = 0.0
        table.to_parquet(path)
    row = judge(MINIMAL_RUN, tmp_path).set_index("claim").loc["permuted against redrawn"]
    assert [row["estimate"], row["ci_low"], row["ci_high"]] == pytest.approx([2, 2, 2])


@pytest.mark.slow
def test_few_samples_and_missing_radii_give_no_verdict(tmp_path: Path) -> None:
    write_run(tmp_path, samples=19, growth=10.0, floor=1e-6)
    assert set(judge(MINIMAL_RUN, tmp_path)["verdict"]) == {"too few samples"}
    config = replace(MINIMAL_RUN, ball=replace(MINIMAL_RUN.ball, radii=(0.0, 0.1, 1.0)))
    write_run(tmp_path, samples=25, growth=10.0, floor=1e-6, radii=(0.0, 0.1, 1.0))
    table = judge(config, tmp_path)
    strong = table[table["claim"] == "strongly anisotropic at 10"]
    assert set(strong["verdict"]) == {"not measured in this run"}
    assert strong["estimate"].isna().all()


def test_undefined_rho_is_left_out(tmp_path: Path) -> None:
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table.assign(rho=np.nan)  # noqa: E731
    write_run(tmp_path, samples=25, growth=2.0, floor=1e-6, topology=change)
    table = judge(MINIMAL_RUN, tmp_path).set_index("claim")
    assert table.loc["topology changed", "verdict"] == "not measured in this run"
