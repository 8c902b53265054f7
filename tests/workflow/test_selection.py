"""Samples that are not those of all networks: each has what it has alone, and another network changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from epsball.analysis.run import open_run
from epsball.probes import PAPERS
from support.study import BASE, Study, kinds

pytestmark = pytest.mark.slow

EXTRA = ["gradient"]
# Each is sure of two of the three colours.
NETWORKS: dict[str, Any] = {
    name: {"dataset": "squares", "factory": "factory.py:make", "args": {"seed": seed, "sharpness": sharpness}}
    for name, seed, sharpness in (("one", 1, 12), ("two", 2, 10), ("three", 3, 12))
}


def config(run: str, *networks: str, **dataset: Any) -> dict[str, Any]:
    squares = {**BASE["datasets"]["squares"], **dataset}
    chosen = {name: NETWORKS[name] for name in networks}
    return {**BASE, "run": run, "networks": chosen, "datasets": {"squares": squares}, "extra_probes": EXTRA} | {
        "controls": ["identity"]
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two networks that are sure of different images."""
    made = Study(tmp_path_factory.mktemp("study"), warm=True)
    made.run(config("each", "one", "two", selection="each"), "results/each/claims.tsv")
    return made


def tables(study: Study, run: str, network: str) -> dict[tuple[str, str], pd.DataFrame]:
    return {
        (name, probe): study.table(run, name, probe)
        for name, probes in ((network, (*PAPERS, *EXTRA)), (f"{network}~identity", ("topology", "lipschitz")))
        for probe in probes
    }


def test_each_network_has_the_tables_that_it_has_alone(study: Study) -> None:
    of_each = {name: set(study.table("each", name, "isotropy")["sample"]) for name in ("one", "two")}
    assert of_each["one"] != of_each["two"]
    for name in ("one", "two"):
        study.run(config(f"{name}-alone", name), f"results/{name}-alone/claims.tsv")
        for place, table in tables(study, f"{name}-alone", name).items():
            pd.testing.assert_frame_equal(tables(study, "each", name)[place], table, check_exact=True)
    run = open_run(study.folder / "results" / "each")
    assert list(run.activations("one")["sample"].values) == list(run.samples("squares", "one")["sample"])
    assert len(run.perturbations("squares")["sample"]) == len(set.union(*of_each.values()))


def test_a_network_that_is_added_is_computed_alone(study: Study) -> None:
    before = {name: tables(study, "each", name) for name in ("one", "two")}
    study.passes()
    made = study.run(config("each", "one", "two", "three", selection="each"))
    of_networks = {Path(name).parts[1].partition("~")[0] for name in made if name.split("/")[0] == "activations"}
    assert of_networks == {"three"}
    for name, own in before.items():
        for place, table in own.items():
            pd.testing.assert_frame_equal(tables(study, "each", name)[place], table, check_exact=True)
    assert "report.html" in kinds(made)
    page = (study.folder / "results" / "each" / "report.html").read_text()
    assert "images of squares that each of its networks that is measured on them is sure of." in page
    assert ", of which each network has at least 4<" in page


def test_of_a_share_networks_are_measured_where_they_are_sure(study: Study) -> None:
    study.run(config("share", "one", "two", selection="share", share=0.5, balanced=True), "results/share/claims.tsv")
    run = open_run(study.folder / "results" / "share")
    sure = {
        name: set(survey.loc[(survey["prediction"] == survey["label"]) & (survey["score"] > 0.99), "digest"])
        for name in ("one", "two")
        for survey in [run.survey(name)]
    }
    samples = run.samples("squares")
    assert len(samples) == 4
    for name in ("one", "two"):
        own = set(samples.loc[samples["digest"].isin(sure[name]), "sample"])
        assert set(study.table("share", name, "isotropy")["sample"]) == own
