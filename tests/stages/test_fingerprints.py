"""What a change makes anew: the fingerprints of the stages."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from epsball.config import load_config
from epsball.networks import sources
from epsball.networks.sources import SOURCES
from epsball.runs import files_read, provenance
from epsball.runs.contents import Contents
from epsball.stages.fingerprints import STAGES, Fingerprints
from epsball.stages.given import Given
from support.toys import ROOT

RAW: dict[str, Any] = yaml.safe_load((ROOT / "config" / "beyond.yaml").read_text())

PASSES = {"extract", "illustrate", "measure_controls", "measure_white_box", "survey", "survey_control"}
SUMMARIES = {"across_networks", "claims", "figures", "report"}
TABLES = {"measure", "gather", "select", *SUMMARIES}


def fingerprints(raw: dict[str, Any]) -> dict[str, str]:
    """The fingerprint of one job of each stage."""
    found = Fingerprints(load_config(raw), ROOT / "workflow" / "scripts", {})
    wildcards = {
        "render": {"dataset": "signs", "split": "train"},
        "download": {"dataset": "signs"},
        "select": {"dataset": "signs"},
        "perturb": {"dataset": "signs"},
        "measure_white_box": {"network": "ciresan2012", "probe": "gradient"},
        "survey_control": {"network": "ciresan2012", "control": "identity"},
        **{name: {} for name in ("illustrate", *SUMMARIES)},
    }
    return {name: found.of(name, **wildcards.get(name, {"network": "ciresan2012"})) for name in STAGES}


def changed(edit: Callable[[dict[str, Any]], object]) -> set[str]:
    """Stages that a change of the configuration makes anew."""
    raw = copy.deepcopy(RAW)
    edit(raw)
    before, after = fingerprints(RAW), fingerprints(raw)
    return {name for name in STAGES if before[name] != after[name]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda raw: raw.update(normaliser="per-feature"), SUMMARIES),
        (lambda raw: raw.update(shard_size=7), {"select", "gather", "illustrate", *TABLES} - {"measure", "gather"}),
        (lambda raw: raw.update(mantel_permutations=199), (TABLES | {"measure_controls", "illustrate"}) - {"select"}),
        (
            lambda raw: raw["datasets"]["signs"].update(samples=3),
            {"select", "illustrate", *SUMMARIES},
        ),
        (
            lambda raw: raw.update(radii=[1, 3]),
            (TABLES | PASSES | {"perturb"}) - {"select", "survey", "survey_control"},
        ),
        (lambda raw: raw.update(batch=10), TABLES | PASSES),
        (
            lambda raw: raw.update(float64_draws=3),
            (TABLES | {"extract", "measure_controls", "illustrate"}) - {"select"},
        ),
        (
            lambda raw: raw["networks"]["ciresan2012"]["training"].update(epochs=2),
            TABLES | PASSES | {"build_network", "fetch"},
        ),
        (
            lambda raw: raw.update(controls=["rbf"]),
            {"measure_controls", "gather", *SUMMARIES},
        ),
    ],
    ids=["normaliser", "shards", "mantel", "samples", "radii", "batch", "float64", "training", "controls"],
)
def test_a_change_makes_anew_what_it_decides_and_what_is_below(
    edit: Callable[[dict[str, Any]], object], expected: set[str]
) -> None:
    assert changed(edit) == expected


def test_a_fingerprint_names_what_has_changed() -> None:
    before = fingerprints(RAW)
    after = fingerprints({**RAW, "batch": 10})
    parts = [dict(part.split() for part in found["survey"].split(", ")) for found in (before, after)]
    assert set(parts[0]) == {"configuration", "code", "given", "above"}
    assert {name for name in parts[0] if parts[0][name] != parts[1][name]} == {"configuration"}
    measure = [found["measure"].rsplit(", above ", 1) for found in (before, after)]
    assert measure[0][0] == measure[1][0]
    assert measure[0][1] != measure[1][1]


@pytest.mark.parametrize(
    ("name", "built"),
    [
        ("weights.pt", {"given"}),
        ("own.py", {"given"}),
        ("beside.py", {"given"}),
        ("named.h5", {"given"}),
        ("read.npy", {"given"}),
        ("photos/red/1.png", {"given"}),
        ("classes.txt", {"given"}),
        ("photos/notes.txt", {"given"}),
        ("elsewhere.txt", set()),
    ],
)
def test_a_file_of_the_users_makes_anew_what_reads_it_and_what_is_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, built: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {"kind": "imagefolder", "root": "photos", "classes": "classes.txt"}
    network = {"dataset": "d", "factory": "own.py:make", "weights": "weights.pt", "args": {"of": "named.h5"}}
    config = load_config({"datasets": {"d": data}, "networks": {"n": network}, "controls": ["rbf"]})
    Path("photos/red").mkdir(parents=True)
    for path in ("weights.pt", "own.py", "beside.py", "named.h5", "read.npy", "photos/red/1.png", "classes.txt"):
        Path(path).write_text("import beside" if path == "own.py" else "1")
    (config.folder / "networks" / "n").mkdir(parents=True)
    files_read.keep(config.folder / "networks" / "n", {"read.npy"}, "")

    def of(stage: str, **wildcards: str) -> dict[str, str]:
        given = Given(config, Contents(tmp_path / "contents.json"))
        found = Fingerprints(config, ROOT / "workflow" / "scripts", {}, given)
        parts = found.of(stage, **wildcards).split(", ")
        return {**dict(part.split() for part in parts), "control": found.of_control("n", "rbf")}

    jobs = [("build_network", {"network": "n"}), ("extract", {"network": "n"}), ("perturb", {"dataset": "d"})]
    before = [of(stage, **wildcards) for stage, wildcards in jobs]
    Path(name).write_text("import beside  # 2" if name == "own.py" else "2")
    os.utime(name, (1e9, 1e9))
    after = [of(stage, **wildcards) for stage, wildcards in jobs]
    network_parts, extract_parts, perturb_parts = (
        {part for part in one if one[part] != other[part]} for one, other in zip(before, after, strict=True)
    )
    control = {"control"} if built else set()
    assert network_parts == built | control
    assert ("above" in extract_parts) == bool(built)
    assert perturb_parts == control, "its images are known by the digests of their pixels"


def test_a_control_is_made_anew_by_what_is_its_own() -> None:
    raw = {**RAW, "controls": ["rbf"]}
    both, one = (Fingerprints(load_config(given), ROOT / "workflow" / "scripts", {}) for given in (RAW, raw))
    assert both.of_control("ciresan2012", "rbf") == one.of_control("ciresan2012", "rbf")
    assert both.of_control("ciresan2012", "rbf") != both.of_control("ciresan2012", "identity")


def test_the_plane_of_a_dataset_is_made_anew_by_what_is_its_own() -> None:
    other = copy.deepcopy(RAW)
    other["datasets"]["photographs"]["samples"] = 2
    other["mantel_permutations"] = 199
    kept = Fingerprints(load_config(RAW), ROOT / "workflow" / "scripts", {})
    changed = Fingerprints(load_config(other), ROOT / "workflow" / "scripts", {})
    assert kept.of_illustration("signs") == changed.of_illustration("signs")
    assert kept.of_illustration("photographs") != changed.of_illustration("photographs")


def test_each_stage_has_a_script_and_a_rule_of_its_name() -> None:
    scripts = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
    rules = {path.stem for path in (ROOT / "workflow" / "rules").glob("*.smk")} - {"common"}
    assert set(STAGES) == scripts == rules
    for name in STAGES:
        text = (ROOT / "workflow" / "rules" / f"{name}.smk").read_text()
        assert f'fingerprint("{name}")' in text
        assert f'"../scripts/{name}.py"' in text
        assert f"logs/{name}" in text


def test_packages_that_decide_the_numbers_of_a_stage() -> None:
    config = load_config(RAW)
    found = Fingerprints(config, ROOT / "workflow" / "scripts", {})
    assert found.packages("extract", network="ciresan2012") == ["numpy", "scipy", "torch"]
    assert found.packages("measure", network="ciresan2012") == ["numpy", "scikit-bio", "scipy"]
    assert found.packages("illustrate", dataset="signs") == ["numpy", "scipy", "torch"]
    for stage in ("select", "gather", "figures", "report", "fetch", "download"):
        assert found.packages(stage) == []


@pytest.mark.parametrize("factory", [*SOURCES, "mine.py"])
def test_versions_are_known_of_the_packages_behind_each_network(factory: str) -> None:
    spec = load_config(RAW).networks["ciresan2012"]
    packages = sources.packages(replace(spec, factory=f"{factory}:name"))
    assert set(packages) <= provenance.DECIDING <= set(provenance.versions())
    assert bool(packages) == (factory not in ("sign", "torchscript"))
