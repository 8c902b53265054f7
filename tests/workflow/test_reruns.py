"""What runs again after a change, a failure or damage, through Snakemake, on a small study."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from epsball.controls import CONTROLS
from epsball.probes import PAPERS
from support.soak import differences
from support.study import BASE, TINY, Study, kinds

pytestmark = pytest.mark.slow


@pytest.mark.fault("files of a run that are removed", "made again from what is there")
def test_what_is_removed_of_the_results_comes_back_from_what_is_there(study: Study) -> None:
    removed = {"figures/fig4_topology.svg", "metrics/one/topology.parquet"}
    for name in removed:
        (study.folder / "results" / "small" / name).unlink()
    made = study.run(BASE)
    assert removed <= made
    assert kinds(made) == {"figures", "metrics", "claims.tsv", "report.html"}


@pytest.mark.fault("results moved to another folder", "complete, and a changed key is noticed")
def test_a_run_that_was_moved_is_complete_and_notices_changes(study: Study, tmp_path: Path) -> None:
    study.run(BASE)
    elsewhere = Study(tmp_path / "elsewhere", warm=True)
    shutil.copytree(study.folder / "results" / "small", elsewhere.folder / "results" / "small")
    for path in (elsewhere.folder / "workflow").rglob("*"):
        path.touch()  # as a fresh clone has them
    assert elsewhere.run(BASE) == set()
    made = elsewhere.run({**BASE, "mantel_permutations": 199}, "results/small/claims.tsv")
    assert kinds(made) == {"metrics", "claims.tsv"}


def test_other_images_in_the_same_file_are_surveyed_again_and_what_is_stored_of_the_old_ones_stays(
    study: Study, tmp_path: Path
) -> None:
    path = tmp_path / "images.npz"
    with np.load(study.folder / "squares.npz") as arrays:
        pictures, labels = arrays["images"], arrays["labels"]
    np.savez(path, images=pictures[:12], labels=labels[:12])
    datasets = {"squares": {"kind": "arrays", "root": str(path)}}
    config = {**TINY, "run": "other", "samples": 20, "shard_size": 20, "datasets": datasets}
    target = "results/other/claims.tsv"
    study.run(config, target)
    study.passes()
    samples = pd.read_csv(study.folder / "results" / "other" / "samples" / "squares.csv")
    time.sleep(1)
    np.savez(path, images=pictures[:15], labels=labels[:15])
    study.run(config, target)
    more = pd.read_csv(study.folder / "results" / "other" / "samples" / "squares.csv")
    assert set(samples["sample"]) < set(more["sample"])
    # Two families, ε and radius 1 with 6 draws, and radius 0 with a batch of 4; a pass is filled up to 4.
    assert study.passes()["extract"] == (len(more) - len(samples)) * 2 * (2 * 8 + 4)


def test_what_failed_fails_again_and_the_network_of_an_edited_factory_is_another(study: Study) -> None:
    config = {**TINY, "run": "again"}
    target = "results/again/claims.tsv"
    study.run(config, target)
    study.passes()
    for _ in range(2):
        done = study.snakemake({**config, "threshold": 0.9999999999}, target)
        assert done.returncode != 0
        assert "none of 24 images is classified correctly" in done.stderr
    study.run(config, target)
    assert not study.passes().get("extract")
    factory = (study.folder / "factory.py").read_text()
    (study.folder / "factory.py").write_text(factory.replace("nn.ReLU()", "nn.LeakyReLU(0.1)"))
    made = study.run(config, target)
    assert {"networks", "activations"} <= kinds(made)
    assert study.passes()["extract"] == 2 * 2 * (2 * 8 + 4)
    (study.folder / "factory.py").write_text(factory)


@pytest.mark.fault("tables below a job that failed", "not taken for current")
def test_what_is_below_a_failed_job_is_not_taken_for_current(study: Study) -> None:
    config, target = {**TINY, "run": "failed"}, "results/failed/claims.tsv"
    study.run(config, target)
    (study.folder / "broken").touch()
    config["float64_draws"] = 3
    done = study.snakemake(config, target)
    assert done.returncode != 0
    assert "the network's forward pass fails: ValueError: no such luck" in done.stderr
    assert "Traceback" not in done.stderr
    (study.folder / "broken").unlink()
    assert kinds(study.run(config, target)) == {"activations", "metrics", "claims.tsv"}
    study.run({**config, "run": "fresh"}, "results/fresh/claims.tsv")
    assert not differences(study, "fresh", "failed")


@pytest.mark.fault("a store that is damaged", "named, and its shard alone is made anew")
def test_a_damaged_store_is_named_and_its_shard_alone_is_made_anew(study: Study) -> None:
    study.run(BASE)
    root = study.folder / "results" / "small"
    store = root / "activations" / "one" / "uniform" / "1.zarr.zip"
    content, when = bytearray(store.read_bytes()), store.stat().st_mtime_ns
    content[len(content) // 3] ^= 1
    store.write_bytes(content)
    os.utime(store, ns=(when, when))
    for table in ("topology/1.parquet", "topology.parquet"):
        (root / "metrics" / "one" / table).unlink()
    target = "results/small/metrics/one/topology.parquet"
    done = study.snakemake(BASE, target)
    assert done.returncode != 0
    assert "'results/small/activations/one/uniform/1.zarr.zip' is not what the run made on" in done.stderr
    assert "remove it and run again to make it anew" in done.stderr
    assert "Traceback" not in done.stderr
    store.unlink()
    study.passes()
    made = study.run(BASE, target)
    # The job of the shard takes the store of the other family as it was.
    assert {name for name in made if name.startswith(("activations", "perturbations"))} == {
        f"activations/one/{family}/1.zarr.zip" for family in ("uniform", "permuted")
    }
    assert study.passes()["extract"] == 2 * (2 * 8 + 4)
    assert {name for name in made if name.startswith("metrics/one/") and name.count("/") == 3} == {
        f"metrics/one/{probe}/1.parquet" for probe in PAPERS
    }


def test_more_samples_compute_new_shards_only_and_fewer_again_none(study: Study) -> None:
    target = "results/small/claims.tsv"
    made = study.run({**BASE, "samples": 6}, target)
    activations = {name for name in made if name.startswith(("activations", "perturbations"))}
    assert {Path(name).name for name in activations} == {"2.zarr.zip"}
    assert not kinds(made) & {"networks", "survey"}
    assert study.table("small", "one", "topology")["sample"].nunique() == 6
    made = study.run(BASE, target)
    assert not kinds(made) & {"networks", "survey", "activations", "perturbations"}
    assert study.table("small", "one", "topology")["sample"].nunique() == 4


def test_only_what_an_edit_touches_runs_again(study: Study) -> None:
    study.run(BASE)
    study.edit("workflow/report/fig4_topology.rst", "black bars", "the black bars")
    assert study.run(BASE) == {"report.html"}
    study.edit("workflow/epsball/reporting/figures/paper.py", '"rho", color=style.BLUE', '"rho", color=style.GREEN')
    assert kinds(study.run(BASE)) == {"report.html", "figures"}
    study.edit("workflow/epsball/probes/topology.py", "np.full(shape, np.nan)", "np.full(shape, float('nan'))")
    made = study.run(BASE, "results/small/claims.tsv")
    assert not kinds(made) & {"networks", "survey", "activations", "perturbations", "samples"}
    study.edit("workflow/epsball/perturbations/families/permuted.py", "STREAMS[1])", "1 * STREAMS[1])")
    study.passes()
    made = study.run(BASE, "results/small/claims.tsv")
    # ε and radius 1 with 6 draws, and radius 0 with a batch of 4: of one family, 4 samples and two networks.
    assert study.passes()["extract"] == 2 * 4 * (2 * 8 + 4)
    assert not kinds(made) & {"networks", "survey"}


def test_further_probes_measure_themselves_only(study: Study) -> None:
    config, targets = (
        {**TINY, "run": "further"},
        ["results/further/claims.tsv", "results/further/figures/beyond_geometry.pdf"],
    )
    study.run(config, targets[0])
    claims = pd.read_csv(study.folder / "results" / "further" / "claims.tsv", sep="\t")
    study.passes()
    made = study.run({**config, "extra_probes": ["topology_mixed_radius", "alpha", "alpha_mixed_radius"]}, *targets)
    # Two samples of the new family, 0 and the largest radius.
    assert study.passes()["extract"] == 2 * (8 + 4)
    assert not kinds(made) & {"networks", "survey", "samples"}
    extra = {"topology_mixed_radius", "alpha", "alpha_mixed_radius"}
    assert {name.split("/")[2] for name in made if name.startswith("metrics/") and name.count("/") == 3} == {
        *PAPERS,
        *extra,
    }
    assert "figures/beyond_geometry.pdf" in made
    more = pd.read_csv(study.folder / "results" / "further" / "claims.tsv", sep="\t")
    assert len(more) == len(claims) + 4
    pd.testing.assert_frame_equal(more.iloc[: len(claims)], claims)


def test_white_box_probes_ask_the_network_and_nothing_else_is_redone(study: Study) -> None:
    config, target = {**TINY, "run": "white_box"}, "results/white_box/claims.tsv"
    study.run(config, target)
    study.passes()
    made = study.run({**config, "extra_probes": ["gradient", "depth"]})
    assert {name for name in made if name.startswith("metrics/") and name.count("/") == 3} == {
        "metrics/one/gradient/0.parquet",
        "metrics/one/depth/0.parquet",
    }
    assert kinds(made) == {"metrics", "claims.tsv", "illustrations", "figures", "report.html"}
    assert "figures/beyond_depth.pdf" in made
    assert set(study.passes()) == {"measure_white_box", "illustrate"}
    assert "Layer by layer" in (study.folder / "results" / "white_box" / "report.html").read_text()
    fewer = study.run({**config, "extra_probes": ["gradient", "depth"], "white_box": {"draws": 4}}, target)
    assert study.table("white_box", "one", "depth")["draws"].unique().tolist() == [4]
    assert "metrics/one/topology/0.parquet" not in fewer


def test_controls_are_measured_and_nothing_else_is_redone(study: Study) -> None:
    config = {**TINY, "run": "controlled", "extra_probes": ["topology_mixed_radius"]}
    targets = ["results/controlled/claims.tsv", "results/controlled/figures/beyond_controls.pdf"]
    study.run(config, targets[0])
    before = pd.read_csv(study.folder / "results" / "controlled" / "claims.tsv", sep="\t")
    study.passes()
    config["controls"] = list(CONTROLS)
    made = study.run(config, *targets)
    assert {name.split("/")[1] for name in made if name.startswith("metrics/") and name.count("/") == 3} == {
        f"one~{name}" for name in CONTROLS
    }
    assert not {"activations", "perturbations", "samples", "networks"} & kinds(made)
    assert "figures/beyond_controls.pdf" in made
    assert not study.passes().keys() & {"extract", "build_network"}
    after = pd.read_csv(study.folder / "results" / "controlled" / "claims.tsv", sep="\t")
    own = after[after["control"].isna()].reset_index(drop=True)
    others = ["control", "scale", "smallest", "adjusted_verdict"]  # empty throughout, or of how many verdicts there are
    pd.testing.assert_frame_equal(own.drop(columns=others), before.drop(columns=others))
    identity = after[(after["control"] == "identity") & (after["claim"] == "topology changed")].iloc[0]
    assert identity["estimate"] == pytest.approx(1), "its ρ"
    study.passes()
    config["controls"] = ["identity"]
    fewer = study.run(config, *targets)
    assert not study.passes()
    assert kinds(fewer) == {"metrics", "claims.tsv", "figures"}
