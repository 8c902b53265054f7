"""What goes with adversarial distance, in made-up networks of which the truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from epsball.analysis.across_networks import across_networks, correlation, gain, logarithms, medians
from scipy import stats

ARCHITECTURES = 7


def networks_of(seed: int, *, effect: float, networks: int = 56, samples: int = 20) -> pd.DataFrame:
    """Networks whose distance grows with their margin and, by `effect`, with the property ratio.

    Another property, gradient, is no more than a noisy copy of the margin.
    """
    generator = np.random.default_rng(seed)
    architecture = np.arange(networks) % ARCHITECTURES
    margin, copy, ratio, noise = generator.normal(size=(4, networks))
    distance = 0.6 * margin + effect * ratio + 0.3 * generator.normal(size=ARCHITECTURES)[architecture] + 0.4 * noise
    image = 0.5 * generator.normal(size=samples)
    rows = []
    for network in range(networks):
        own = 0.5 * generator.normal(size=(4, samples))
        rows.append(
            pd.DataFrame(
                {
                    "network": f"n{network}",
                    "sample": [f"s{number}" for number in range(samples)],
                    "factor_architecture": f"a{architecture[network]}",
                    "factor_training": "plain",
                    "distance": np.exp(distance[network] + image + own[0]),
                    "ratio": np.exp(ratio[network] + own[1]),
                    "gradient": np.exp(0.8 * margin[network] + 0.6 * copy[network] + own[2]),
                    "margin": np.exp(margin[network] + image + own[3]),
                    "accuracy": 0.9 + 0.03 * np.tanh(generator.normal()),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


STATISTICS = ["correlation", "partial correlation", "mixed model", "gain"]


def of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a property, by statistic."""
    return table[table["property"] == name].set_index("statistic")


@pytest.mark.slow
def test_it_finds_what_is_there_and_not_what_the_margin_says_already() -> None:
    tables = [across_networks(networks_of(seed, effect=0.5), resampled=200) for seed in range(3)]
    wrong = 0
    for table in tables:
        real, copy = of(table, "ratio"), of(table, "gradient")
        assert list(real.index) == STATISTICS
        assert (real["p_adjusted"] < 0.05).all()
        assert (real["estimate"] > 0.2).all()
        assert copy["p_adjusted"]["correlation"] < 0.05
        wrong += int((copy["p_adjusted"].drop("correlation") < 0.05).sum())
        assert (table["networks"] == 56).all()
        assert "gain" not in of(table, "margin").index, "it is in the baseline"
    assert wrong == 0


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is() -> None:
    """Of 12 studies, an unrelated property is found by no statistic in more than the level and its binomial error."""
    studies = [networks_of(100 + seed, effect=0, networks=28, samples=12) for seed in range(12)]
    found = pd.concat([of(across_networks(study, resampled=120), "ratio") for study in studies])
    wrong = (found["p"] < 0.05).groupby(level="statistic").sum()
    assert set(wrong.index) == set(STATISTICS)
    assert (wrong <= stats.binom.ppf(0.999, len(studies), 0.05)).all(), wrong


def test_medians_are_those_of_pandas_and_of_repeated_rows() -> None:
    generator = np.random.default_rng(0)
    table = networks_of(0, effect=0, networks=4, samples=9).sample(frac=0.7, random_state=0)  # other samples of each
    columns = ["ratio", "margin"]
    by_hand = table.groupby("network", sort=False)[columns].median().to_numpy()
    np.testing.assert_allclose(medians(table, columns), by_hand)
    names = list(table["sample"].unique())
    weights = generator.integers(0, 3, size=(5, len(names))).astype(float)
    found = medians(table, columns, weights)
    for own, drawn in zip(weights, found, strict=True):
        repeated = pd.concat(
            [table[table["sample"] == name] for name, times in zip(names, own, strict=True) for _ in range(int(times))]
        )
        for network, row in zip(table["network"].unique(), drawn, strict=True):
            some = repeated.loc[repeated["network"] == network, columns]
            np.testing.assert_allclose(row, some.median() if len(some) else np.nan)


def test_correlations_are_scipys_and_those_of_residuals() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(3, 30, 4)).round(1)  # with ties
    values[..., 1] += values[..., 0] + values[..., 2]
    plain, partial = correlation(values), correlation(values, partial=True)
    for each, one, other in zip(values, plain, partial, strict=True):
        assert one == pytest.approx(stats.spearmanr(each[:, 0], each[:, 1]).statistic)
        ranks = stats.rankdata(each, axis=0)
        design = np.column_stack([np.ones(30), ranks[:, 2:]])
        left = [ranks[:, n] - design @ np.linalg.lstsq(design, ranks[:, n], rcond=None)[0] for n in (0, 1)]
        assert other == pytest.approx(stats.pearsonr(*left).statistic)
    same = values[0].copy()
    same[:, 0] = 1.0
    assert np.isnan(correlation(same))
    same[:, 0] = same[:, 2]
    assert np.isnan(correlation(same, partial=True)), "all of it is in the baseline"


def test_gain_is_that_of_a_loop_over_groups() -> None:
    generator = np.random.default_rng(2)
    groups = np.arange(21) % 3
    values = generator.normal(size=(21, 4))
    values[:, 1] += values[:, 0] + 0.5 * values[:, 3]
    error = {"both": 0.0, "baseline": 0.0}
    for group, (name, columns) in itertools.product(range(3), {"both": [0, 2, 3], "baseline": [2, 3]}.items()):
        known = groups != group
        design = np.column_stack([np.ones(21), values[:, columns]])
        weights = np.linalg.lstsq(design[known], values[known, 1], rcond=None)[0]
        error[name] += float(np.square(values[~known, 1] - design[~known] @ weights).sum())
    assert gain(values, groups) == pytest.approx(1 - error["both"] / error["baseline"])
    assert gain(np.stack([values, values]), np.stack([groups, groups])).shape == (2,)


@pytest.mark.slow
def test_intervals_cover_a_known_correlation() -> None:
    """Normal networks: Spearman's correlation is 6 / π · arcsin(r / 2). Coverage within its binomial error of 95%."""
    r, studies = 0.6, 30
    truth = 6 / np.pi * np.arcsin(r / 2)
    covered = 0
    for seed in range(studies):
        generator = np.random.default_rng(seed)
        one, other = generator.normal(size=(2, 40))
        table = pd.DataFrame(
            {
                "network": np.repeat([f"n{n}" for n in range(40)], 6),
                "sample": [f"s{n}" for n in range(6)] * 40,
                "ratio": np.exp(np.repeat(one, 6)),
                "distance": np.exp(np.repeat(r * one + np.sqrt(1 - r**2) * other, 6)),
                "margin": np.exp(generator.normal(size=240)),
                "accuracy": 0.9,
            }
        )
        row = of(across_networks(table, resampled=150), "ratio").loc["correlation"]
        covered += int(row["low"] <= truth <= row["high"])
    assert covered >= stats.binom.ppf(0.001, studies, 0.95)


def test_few_networks_say_nothing_and_gaps_are_left_out() -> None:
    table = networks_of(3, effect=0.5, networks=16, samples=5)
    assert across_networks(table[table["network"].isin([f"n{n}" for n in range(9)])], resampled=10).empty
    table.loc[table["network"].isin(["n0", "n1"]), "gradient"] = np.nan
    table.loc[table["network"] == "n2", "gradient"] = 0.0  # which has no logarithm
    found = across_networks(table, resampled=20)
    assert of(found, "gradient")["networks"]["correlation"] == 13
    assert of(found, "ratio")["networks"]["correlation"] == 16
    assert logarithms(table)["ratio"].to_numpy() == pytest.approx(np.log(table["ratio"].to_numpy()))
    assert list(of(found, "ratio").index) == STATISTICS
    without = across_networks(table.drop(columns=["factor_architecture", "factor_training"]), resampled=20)
    assert list(of(without, "ratio").index) == STATISTICS[:2], "without factors there are no groups"


def test_perfect_order_has_an_interval_and_what_is_infinite_is_a_gap() -> None:
    table = networks_of(4, effect=0.5, networks=14, samples=5)
    table["jacobian"] = table["distance"] ** 2
    table.loc[table["network"] == "n3", "clever"] = np.inf
    table["clever"] = table["clever"].fillna(table["ratio"])
    found = across_networks(table, resampled=20)
    row = of(found, "jacobian").loc["correlation"]
    assert row["estimate"] == pytest.approx(1)
    assert row["low"] < 0.999
    assert of(found, "clever")["networks"]["correlation"] == 13


@pytest.mark.parametrize(("samples", "said"), [(6, True), (1, False)])
def test_networks_with_samples_of_their_own(samples: int, said: bool) -> None:
    table = networks_of(5, effect=0.5, networks=12, samples=samples)
    table["sample"] = table["network"] + table["sample"]
    found = across_networks(table, resampled=100)
    assert ("ratio" in set(found["property"])) == said
    if said:
        assert np.isfinite(of(found, "ratio")[["estimate", "low", "high", "p"]].drop("mixed model")).all(axis=None)
