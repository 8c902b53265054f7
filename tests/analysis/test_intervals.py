"""Intervals against SciPy and published values; claims on tables with known answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.analysis import intervals
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS, RHO_BAND, RHO_DRAWS, Verdict, given, log_ratio
from epsball.analysis.intervals import Estimate
from epsball.analysis.verdicts import judge
from epsball.config import load_config
from scipy import stats as scipy_stats
from scipy.spatial.distance import pdist
from support.written_run import MINIMAL, MINIMAL_RUN, write_run


@pytest.mark.parametrize(("successes", "size"), [(0, 20), (7, 20), (20, 20), (299, 300)])
def test_shares_have_the_interval_of_clopper_and_pearson(successes: int, size: int) -> None:
    found = intervals.share(np.arange(size) < successes)
    low = scipy_stats.beta.ppf(0.025, successes, size - successes + 1) if successes else 0
    high = scipy_stats.beta.ppf(0.975, successes + 1, size - successes) if successes < size else 1
    assert found == pytest.approx((successes / size, low, high))


def test_bootstrap_is_scipys() -> None:
    values = np.random.default_rng(0).lognormal(size=40)
    found = intervals.bootstrap(40, lambda numbers: float(np.mean(values[numbers])), 9999, 0)
    theirs = scipy_stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=1)
    assert found.value == values.mean()
    assert found.low == pytest.approx(theirs.confidence_interval.low, rel=0.02)
    assert found.high == pytest.approx(theirs.confidence_interval.high, rel=0.02)


def test_bootstrap_covers_as_it_says() -> None:
    generator = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        values = generator.normal(3, 1, 50)
        found = intervals.bootstrap(50, lambda numbers, v=values: float(v[numbers].mean()), 300, 0)  # type: ignore[misc]
        inside += found.low < 3 < found.high
    assert 0.88 < inside / 200 < 0.99


def test_log_ratios_of_zeros() -> None:
    found = log_ratio(pd.Series([0.0, 1.0, np.e]), pd.Series([0.0, 0.0, 1.0]))
    assert found.tolist() == [0, np.inf, 1]


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
    assert claim.judge(interval, 20, 29) == above
    assert replace(claim, direction="<").judge(interval, 20, 29) == below
    assert claim.judge(interval, 19, 29) == "too few samples"
    assert replace(claim, min_draws=30).judge(interval, 20, 29) == "too few draws"
    assert claim.judge(None, 20, 29) == "not measured in this run"


def test_a_verdict_is_its_words_and_has_a_symbol_of_its_own() -> None:
    assert Verdict("does not hold").symbol == "✗"
    assert f"{Verdict.DOES_NOT_HOLD}" == "does not hold"
    assert len({verdict.symbol for verdict in Verdict}) == len(Verdict)
    assert given(pd.Series(["differs", "holds", "differs"])) == ["holds", "differs"]


@pytest.mark.slow
@pytest.mark.parametrize("draws", [RHO_DRAWS - 1, RHO_DRAWS])
def test_with_fewer_draws_chance_takes_rho_out_of_the_band(draws: int) -> None:
    generator = np.random.default_rng(0)
    noise = (generator.standard_normal((draws, 500)) for _ in range(10000))
    on_a_sphere = (pdist(points / np.linalg.norm(points, axis=1, keepdims=True)) for points in noise)
    rho = [np.corrcoef(one, other)[0, 1] for one, other in zip(on_a_sphere, on_a_sphere, strict=True)]
    outside = np.mean(np.abs(rho) >= RHO_BAND)
    expected = 2 * scipy_stats.norm.sf(RHO_BAND * np.sqrt(draws * (draws - 1) / 2))
    assert outside == pytest.approx(expected, abs=0.01)
    assert (expected < 0.05) == (draws >= RHO_DRAWS)


def test_claims_on_tables_with_known_answers(tmp_path: Path) -> None:
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    table = judge(MINIMAL_RUN, tmp_path).set_index(["claim", "network"])
    one = table.xs("net", level="network")
    # Ranges are 0.001 at ε, and ten times as large at each radius after it; floors are 1e-6.
    assert one.loc["not isotropic at epsilon", "estimate"] == 1
    assert one.loc["little change at epsilon", "estimate"] == pytest.approx(0.001)
    assert one.loc["more anisotropic at 1", "estimate"] == pytest.approx(np.log(10))
    assert one.loc["strongly anisotropic at 10", "estimate"] == pytest.approx(0.1)
    assert one.loc["topology changed", "estimate"] == 1
    assert one.loc["locally a contraction", "estimate"] == 0
    assert one.loc["permuted against redrawn", "estimate"] == pytest.approx(1)
    assert one["verdict"].to_dict() == {
        "not isotropic at epsilon": "holds",
        "little change at epsilon": "holds",
        "more anisotropic at 1": "holds",
        "strongly anisotropic at 10": "undecided",
        "not symmetric": "holds",
        "topology changed": "holds",
        "locally a contraction": "does not hold",
        "permuted against redrawn": "differs",
    }
    assert ALL_NETWORKS not in table.index.get_level_values("network"), "of one network, its own row says it"
    again = {**MINIMAL, "networks": dict.fromkeys(("net", "again"), MINIMAL["networks"]["net"])}
    shutil.copytree(tmp_path / "metrics" / "net", tmp_path / "metrics" / "again")
    both = judge(load_config(again), tmp_path).set_index(["claim", "network"])
    assert both.loc[("strongly anisotropic at 10", ALL_NETWORKS), "samples"] == 30


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


def test_few_samples_and_missing_radii_give_no_verdict(tmp_path: Path) -> None:
    write_run(tmp_path, samples=19, growth=10.0, floor=1e-6)
    assert set(judge(MINIMAL_RUN, tmp_path)["verdict"]) == {"too few samples"}
    config = replace(MINIMAL_RUN, ball=replace(MINIMAL_RUN.ball, radii=(0.0, 0.1, 1.0)))
    write_run(tmp_path, samples=25, growth=10.0, floor=1e-6, radii=(0.0, 0.1, 1.0))
    table = judge(config, tmp_path)
    strong = table[table["claim"] == "strongly anisotropic at 10"]
    assert set(strong["verdict"]) == {"not measured in this run"}
    assert strong["estimate"].isna().all()


def test_few_draws_give_no_verdict_on_topology_alone(tmp_path: Path) -> None:
    write_run(tmp_path, samples=20, growth=10.0, floor=1e-6)
    few = replace(MINIMAL_RUN, ball=replace(MINIMAL_RUN.ball, draws=RHO_DRAWS - 1))
    table = judge(few, tmp_path)
    assert set(table.loc[table["verdict"] == "too few draws", "claim"]) == {"topology changed"}


def test_undefined_rho_is_left_out(tmp_path: Path) -> None:
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda table: table.assign(rho=np.nan)  # noqa: E731
    write_run(tmp_path, samples=25, growth=2.0, floor=1e-6, topology=change)
    table = judge(MINIMAL_RUN, tmp_path).set_index("claim")
    assert table.loc["topology changed", "verdict"] == "not measured in this run"
