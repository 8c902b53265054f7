"""Tables, figures and a chapter of many networks, of tables that are made up."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.analysis.across_networks import NOTHING, across_networks
from epsball.analysis.properties import PROPERTIES, factors, properties
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.config import Config, load_config
from epsball.reporting.chapters import CHAPTERS
from epsball.reporting.figures import drawn, figure, names, pages, style
from epsball.runs.files import write_table
from epsball.runs.gaps import gap
from epsball.stages.studied import studied
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from support.written_run import MINIMAL, WITH_EXTRA_PROBES, write_run

pytestmark = pytest.mark.slow


def of_networks(number: int, **keys: object) -> Config:
    networks = {
        f"n{place:02}": {
            "dataset": "mine",
            "factory": "a.b:c",
            "factors": {"architecture": f"a{place % 3}", "training": "plain" if place < 6 else "noisy"},
        }
        for place in range(number)
    }
    extra = list(WITH_EXTRA_PROBES.extra_probes)
    return load_config({**MINIMAL, "networks": networks, "extra_probes": extra, **keys})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Twelve networks: each has distances and random distances that are larger than those of the one before."""
    config, folder = of_networks(12), tmp_path_factory.mktemp("run")
    write_run(folder, samples=6, growth=3.0, floor=1e-6)
    generator = np.random.default_rng(0)
    for place, network in enumerate(config.networks):
        for path in (folder / "metrics" / "net").iterdir():
            table = pd.read_parquet(path)
            if path.stem == "boundary":
                table["distance"] *= 1.3**place
            if path.stem == "gradient":
                table["gradient_margin"] *= np.exp(generator.normal())
            write_table(folder / "metrics" / network / path.name, table)
        survey = pd.DataFrame({"label": np.zeros(10, int), "prediction": (np.arange(10) > 8 - place % 4).astype(int)})
        write_table(folder / "survey" / "mine" / f"{network}.parquet", survey)
    found = Run(config, folder)
    table = properties(found, "mine")
    for each, name in ((table, "properties.csv"), (across_networks(table, resampled=50), "across_networks.tsv")):
        write_table(folder / name, each.assign(dataset="mine"))
    return found


def points(ax: Axes) -> np.ndarray:
    return np.concatenate([np.asarray(one.get_offsets()) for one in ax.collections if isinstance(one, PathCollection)])


def test_what_is_studied() -> None:
    assert studied(of_networks(10)) == ["mine"]
    assert studied(of_networks(9)) == []
    assert studied(of_networks(10, extra_probes=["gradient"])) == []
    assert "across_networks" in names(of_networks(12))
    assert not [name for name in drawn(of_networks(9)) if name.startswith("across")]
    assert pages("across_networks", of_networks(12)) == [list(of_networks(12).networks)]


def test_the_table_of_properties_has_what_the_probes_found(run: Run) -> None:
    table = run.properties
    assert set(table) == {
        *("dataset", "network", "sample", "factor_architecture", "factor_training", "distance", "censored", "accuracy"),
        *PROPERTIES,
    }
    assert factors(table) == ["factor_architecture", "factor_training"]
    assert len(table) == 12 * 6
    assert table["network"].iloc[0] == "n00"
    one = table[(table["network"] == "n03")].set_index("sample")
    gradient = run.metrics("gradient", "n03").set_index("sample")
    np.testing.assert_allclose(one["first_order"], gradient["margin"] / gradient["gradient_margin"], rtol=1e-12)
    np.testing.assert_allclose(one["symmetry"], 2.0)
    assert one["rho"].to_numpy() == pytest.approx(0.8)
    found = run.metrics("boundary", "n03")
    attacks, limit = (
        found[found["kind"] == "attack"].groupby("sample")["distance"].min(),
        found["search_limit"].iloc[0],
    )
    np.testing.assert_allclose(one["distance"], attacks.clip(upper=limit)[one.index])
    np.testing.assert_array_equal(one["censored"], np.isinf(attacks[one.index]))
    assert set(one["accuracy"]) == {0.6}


def test_a_probe_that_one_network_lacks_is_a_gap(run: Run) -> None:
    path = run.folder / "metrics" / "n02" / "lipschitz_bounds.parquet"
    before = path.read_bytes()
    write_table(path, gap("no derivative"))
    table = properties(run, "mine")
    path.write_bytes(before)
    assert table.loc[table["network"] == "n02", ["jacobian", "clever"]].isna().all(axis=None)
    assert table.loc[table["network"] != "n02", ["jacobian", "clever"]].notna().all(axis=None)


def test_points_of_the_figure_are_the_medians(run: Run) -> None:
    with style.paper():
        found = figure("across_networks", run)
    table = run.properties
    medians = table.groupby("network", sort=False)[["distance", "gradient"]].median()
    [panel] = [ax for ax in found.axes if ax.get_xlabel() == PROPERTIES["gradient"].words]
    points = np.concatenate(
        [np.asarray(one.get_offsets()) for one in panel.collections if isinstance(one, PathCollection)]
    )
    np.testing.assert_allclose(points, medians[["gradient", "distance"]], rtol=1e-9)
    [legend] = found.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        *("architecture", "a0", "a1", "a2", "training", "plain", "noisy")
    }


def test_the_forest_has_a_point_for_each_estimate(run: Run) -> None:
    with style.paper():
        found = figure("across_correlations", run)
    related = run.across_networks
    shown = related[related["estimate"].notna()]
    assert sum(len(points(ax)) for ax in found.axes) == len(shown) > 10


def test_the_chapter_counts_what_stays(run: Run) -> None:
    related = run.across_networks
    partial = related[related["statistic"] == "partial correlation"]
    sure = int((partial["p_adjusted"] < 0.05).sum())
    chapter = CHAPTERS["across_correlations"](run, pd.DataFrame())
    assert f"{sure} of {len(partial)} properties {'goes' if sure == 1 else 'go'} with" in chapter.text
    assert "of networks of another architecture" in chapter.text
    assert "The most robust for their accuracy (median distance, accuracy): n11 (" in chapter.text
    head, rows = chapter.table()
    assert head[1:] == ["correlation", "partial correlation", "mixed model", "gain"]
    assert len(rows) == related["property"].nunique()


def test_claims_of_many_networks_are_in_one_figure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = judge(run.config, run.folder)
    monkeypatch.setattr(Run, "claims", claims)
    with style.paper():
        found = figure("overview_claims", run)
    own = claims[(claims["kind"] == "paper") & claims["network"].isin(run.networks) & claims["estimate"].notna()]
    assert sum(len(points(ax)) for ax in found.axes) == len(own)
    assert [label.get_text() for label in found.axes[0].get_yticklabels()] == run.networks[::-1]


@pytest.mark.parametrize("lacking", ["the probe", "samples"])
def test_where_nothing_can_be_said_that_is_said(run: Run, tmp_path: Path, lacking: str) -> None:
    """The probe is available of no network, or each has one sample of its own."""
    shutil.copytree(run.folder, tmp_path / "run")
    found = Run(run.config, tmp_path / "run")
    for place, network in enumerate(found.networks):
        folder = found.folder / "metrics" / network
        if lacking == "the probe":
            write_table(folder / "boundary.parquet", gap("no derivative"))
        for path in folder.iterdir() if lacking == "samples" else ():
            table = pd.read_parquet(path)
            own = table[table["sample"] == table["sample"].iloc[0]]
            write_table(path, own.assign(sample=f"s{place}"))
    table = properties(found, "mine")
    assert table.empty == (lacking == "the probe")
    for each, name in ((table, "properties.csv"), (across_networks(table, resampled=20), "across_networks.tsv")):
        write_table(found.folder / name, each.assign(dataset="mine"))
    assert found.across_networks.empty
    for name in ("across_networks", "across_correlations"):
        with style.paper():
            said = figure(name, found)
        assert [text.get_text() for text in said.texts] == [NOTHING]
    chapter = CHAPTERS["across_correlations"](found, pd.DataFrame())
    assert chapter.text == NOTHING
    assert chapter.table() == ([""], [])
