"""Comparisons beyond the paper and what the report says of them, against SciPy and tables whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.analysis import comparisons
from epsball.analysis.claims import Claim, ratio
from epsball.analysis.properties import boundary
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.config import TrainingSpec
from epsball.reporting import figures
from epsball.reporting.chapters import CHAPTERS
from epsball.reporting.summary_text import format_range
from epsball.runs.files import write_table
from scipy import stats
from support.written_run import MINIMAL_RUN, WITH_EXTRA_PROBES, write_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_run(tmp_path, samples=30, growth=10.0, floor=1e-6)
    return Run(WITH_EXTRA_PROBES, tmp_path)


def test_rank_correlation_is_spearmans() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2)) @ [[1, 0.6], [0, 1]]
    assert comparisons.rank_correlation(rows) == pytest.approx(stats.spearmanr(rows[:, 0], rows[:, 1]).statistic)
    assert np.isnan(comparisons.rank_correlation(np.c_[rows[:, 0], np.ones(40)]))


def test_partial_rank_correlation_is_that_of_residuals() -> None:
    generator = np.random.default_rng(1)
    margin = generator.normal(size=60)
    rows = np.c_[margin + generator.normal(size=60), margin + generator.normal(size=60), margin]
    ranks = stats.rankdata(rows, axis=0)
    left = [ranks[:, side] - np.polyval(np.polyfit(ranks[:, 2], ranks[:, side], 1), ranks[:, 2]) for side in (0, 1)]
    assert comparisons.rank_correlation(rows) == pytest.approx(np.corrcoef(left)[0, 1])
    # What they share is the margin: the plain correlation is high, the partial one is not.
    assert comparisons.rank_correlation(rows[:, :2]) > 0.35 > 0.25 > abs(comparisons.rank_correlation(rows))


def test_an_adversarial_distance_that_was_not_found_is_the_largest() -> None:
    rows = np.c_[np.arange(10.0), np.arange(10.0)]
    rows[-1, 1] = np.inf
    assert comparisons.rank_correlation(rows) == pytest.approx(1)


def test_reliability_of_halves() -> None:
    """A true value with a variance of 1 and noise of 1 in each half: 0.5 a half, 2/3 whole."""
    generator = np.random.default_rng(2)
    true = generator.normal(size=(20_000, 1))
    rows = true + generator.normal(size=(20_000, 2))
    assert comparisons.whole_of_half(float(comparisons.correlate_halves(rows))) == pytest.approx(2 / 3, abs=0.02)
    assert np.isnan(comparisons.correlate_halves(np.ones((5, 2))))
    assert comparisons.whole_of_half(-0.9) == comparisons.whole_of_half(-1) == -1


@pytest.mark.slow
def test_boundaries_of_a_sample(run: Run) -> None:
    found = boundary(run, "net")
    assert (found["random"] / found["worst"]).to_numpy() == pytest.approx(40)
    assert (found["hyperplane_ratio"] == 20).all()
    rows = judge(WITH_EXTRA_PROBES, run.folder).set_index("claim")
    row = rows.loc["boundary against a flat one"]
    assert [row["estimate"], row["ci_low"], row["ci_high"]] == pytest.approx([2, 2, 2])


@pytest.mark.slow
def test_beyond_the_reach_of_a_search_nothing_is_known(run: Run) -> None:
    """No boundary is met in random directions, and a flat one would not be either."""
    path = run.folder / "metrics" / "net" / "boundary.parquet"
    table = pd.read_parquet(path)
    table.loc[table["kind"] == "random", ["distance", "search_limit"]] = [np.inf, 8.0]
    table["search_limit"] = 8.0  # a flat boundary would be met at 10 to 30
    write_table(path, table)
    row = judge(WITH_EXTRA_PROBES, run.folder).set_index("claim").loc["boundary against a flat one"]
    assert [row["estimate"], row["verdict"]] == [1, "equivalent"]


@pytest.mark.slow
def test_every_comparison_is_judged_where_its_probes_are_measured(run: Run) -> None:
    judged = judge(WITH_EXTRA_PROBES, run.folder)
    alone = {claim.name for claim in comparisons.COMPARISONS if claim.applies(WITH_EXTRA_PROBES, "net")}
    assert alone <= set(judged["claim"])
    assert not {claim.name for claim in comparisons.COMPARISONS if claim.across} & set(judged["claim"])
    assert judged.loc[judged["claim"] == "global bound against Jacobian", "verdict"].tolist() == [
        "not measured in this run"
    ]
    papers = judge(MINIMAL_RUN, run.folder)
    assert not {claim.name for claim in comparisons.COMPARISONS[1:]} & set(papers["claim"])


@pytest.mark.slow
def test_networks_of_a_dataset_together_and_one_that_is_trained_adversarially(run: Run) -> None:
    plain = TrainingSpec()
    spec = replace(WITH_EXTRA_PROBES.networks["net"], training=plain)
    robust = replace(spec, name="robust", training=replace(plain, adversarial_radius=0.5))
    config = replace(WITH_EXTRA_PROBES, networks={"net": spec, "robust": robust})
    for path in sorted((run.folder / "metrics" / "net").glob("*.parquet")):
        table = pd.read_parquet(path)
        for column in {"distance"} & set(table) if path.stem == "boundary" else {"gradient_margin"} & set(table):
            table[column] = table[column] * (4 if column == "distance" else 0.25)
        write_table(run.folder / "metrics" / "robust" / path.name, table)
    assert comparisons.find_plain_twin(config, "robust") == "net"
    assert comparisons.find_plain_twin(config, "net") is None
    judged = judge(config, run.folder)
    changed = judged[judged["claim"].str.startswith("adversarial training")].set_index("quantity")
    assert set(changed["network"]) == {"robust"}
    assert list(changed.index) == ["distance", *comparisons.QUANTITIES]
    assert changed.loc["distance", "estimate"] == pytest.approx(4)
    assert changed.loc["gradient", "estimate"] == pytest.approx(0.25)
    assert changed.loc["margin", "estimate"] == 1
    [row] = judged[judged["claim"] == "explains adversarial examples across networks: margin"].to_dict("records")
    assert row["network"] == "all networks"
    both = pd.concat([comparisons.correlates(Run(config, run.folder), name) for name in config.networks])
    assert row["estimate"] == pytest.approx(stats.spearmanr(both["margin"], both["distance"]).statistic)


@pytest.mark.slow
@pytest.mark.parametrize("claim", [claim for claim in comparisons.COMPARISONS if len(claim.probes) > 2])
def test_a_comparison_of_several_probes_needs_them_all(run: Run, claim: Claim) -> None:
    assert set(claim.probes) <= set(WITH_EXTRA_PROBES.extra_probes)
    fewer = replace(
        WITH_EXTRA_PROBES,
        extra_probes=tuple(name for name in WITH_EXTRA_PROBES.extra_probes if name != claim.probes[1]),
    )
    assert claim.name not in set(judge(fewer, run.folder)["claim"])


@pytest.mark.slow
def test_chapters_say_what_the_tables_hold(run: Run) -> None:
    claims = judge(WITH_EXTRA_PROBES, run.folder)
    said = {figure: says(run, claims) for figure, says in CHAPTERS.items() if figure.startswith("beyond")}
    assert set(said) == {name for name in figures.FIGURES if name.startswith("beyond")}
    shown = {figure: dict(found.table()[1]) for figure, found in said.items() if len(found.table()[0]) == 2}
    assert "ends at 0.4. Its largest fall in one step is 0.2." in said["beyond_depth"].text
    assert shown["beyond_depth"]["ρ at mixed norms at the end"] == "0.4"
    assert "off the measured one by 0% (median filter)" in said["beyond_frequency"].text
    assert "no boundary is met in 33.3% of the random directions" in said["beyond_boundary"].text
    assert said["beyond_boundary"].text.endswith("is 2 times what a flat boundary gives.")
    assert shown["beyond_boundary"]["random ÷ worst distance ÷ a flat boundary's"] == "2 (2 to 2)"
    assert "For net there is no global bound: mul of two tensors is not on the list." in said["beyond_lipschitz"].text
    assert "norm is 100 times the sampled" in said["beyond_lipschitz"].text
    assert shown["beyond_lipschitz"] == {
        "Jacobian's norm ÷ sampled ratio of Eq. 9": "100 (100 to 100)",
        "global bound ÷ Jacobian's norm": "–",
    }
    assert "too few samples" in said["beyond_controls"].text
    assert said["beyond_adversarial"].text.startswith("Of 2 rank correlations")
    for found in said.values():
        assert "nan" not in str(found)
        assert "not measured" not in found.text


def test_a_sentence_has_the_least_and_the_most_of_networks() -> None:
    assert format_range({"a": 0.5, "b": (0.25, 0.1, 0.3), "c": np.nan}) == "0.25 to 0.5"
    assert format_range({"a": 0.5, "b": 0.5001}) == "0.5"
    assert format_range({"a": 1.0, "b": 2.0}, "%") == "1 to 2%"
    assert format_range({"a": "12 of 12", "b": np.nan}, "%") == "not measured"
    assert format_range({"a": 1.0, "b": np.inf}) == "1 to ∞"


def test_a_chapter_has_what_adversarial_training_changes(run: Run) -> None:
    rows = [("explains adversarial examples: ratio", "net", -0.5, "differs")]
    rows += [("explains adversarial examples across networks: ratio", "all networks", 0.25, "undecided")]
    rows += [("adversarial training: distance", "robust", 2.0, "differs")]
    made = pd.DataFrame(rows, columns=["claim", "network", "estimate", "adjusted_verdict"]).assign(
        dataset="mine", control=""
    )
    made = made.assign(quantity=made["claim"].str.split(": ").str[1])
    made = made.assign(ci_low=made["estimate"] - 1, ci_high=made["estimate"] + 1)
    found = CHAPTERS["beyond_adversarial"](run, made)
    assert found.rows == {
        "rank correlation with median local ratio at the largest radius": {
            "net": "≠ -0.5 (-1.5 to 0.5)",
            "all networks of mine": "0.25 (-0.75 to 1.25)",
        },
        "adversarial training multiplies the smallest adversarial distance by": {"robust": "≠ 2 (1 to 3)"},
    }
    assert found.text.startswith(
        "Of 2 rank correlations with the smallest adversarial distance that could be judged, 1"
    )
    head, table = found.table()
    assert head == ["", "net", "all networks of mine", "robust"]
    assert table[1][1:] == ["–", "–", "≠ 2 (1 to 3)"]


@pytest.mark.slow
def test_a_chapter_counts_controls(run: Run) -> None:
    config = replace(WITH_EXTRA_PROBES, controls=("identity",))
    for path in sorted((run.folder / "metrics" / "net").glob("*.parquet")):
        table = pd.read_parquet(path)
        write_table(run.folder / "metrics" / "net~identity" / path.name, table)
    said = CHAPTERS["beyond_controls"](Run(config, run.folder), judge(config, run.folder))
    assert said.text.startswith("Of 5 comparisons with a control, judged together, 3 find it equivalent")
    assert {words: row["identity"] for words, row in said.rows.items()} == {
        "comparisons: equivalent": "3 of 5",  # medians and correlations, which are the same
        "comparisons: different": "0 of 5",
        "comparisons: undecided": "2 of 5",  # shares of 30 samples
    }


def test_ratios_are_of_the_samples_that_both_networks_have() -> None:
    robust, plain = pd.Series({"a": 3.0, "b": 0.0, "c": 1.0}), pd.Series({"b": 0.0, "d": 2.0, "a": 1.5})
    assert ratio(robust, plain).to_dict() == {"a": 2.0, "b": 1.0}
    assert ratio(robust[["c"]], plain).empty
