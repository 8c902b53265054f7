"""A run, opened in Python: a small one, made by the real stages, and what they wrote read by other means."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import epsball
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from epsball import probes
from epsball.analysis.run import Run
from epsball.analysis.verdicts import judge
from epsball.config import load_config
from epsball.data import open_pool
from epsball.errors import EpsballError
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.perturbations import families
from epsball.probes import Context
from epsball.probes.normalisers import Scales
from epsball.runs import files, provenance_records, store
from epsball.stages.extract import extract
from epsball.stages.gather import gather
from epsball.stages.measure import measure
from epsball.stages.perturb import perturb
from epsball.stages.select import select, shard_rows, shards
from epsball.stages.survey import survey
from support.toys import ROOT, pictures, sure_net

pytestmark = pytest.mark.slow

NETWORKS = {"one": 1, "two": 2}


def write(folder: Path, **changes: Any) -> Path:
    """The stages of a run of two networks on five images in shards of two, up to its tables."""
    images, labels = pictures(9)
    np.savez(folder / "squares.npz", images=images, labels=labels)
    raw = {
        "run": "small",
        "radii": [1, 3],
        "draws": 6,
        "batch": 5,
        "samples": 5,
        "shard_size": 2,
        "threshold": 0.2,
        "mantel_permutations": 99,
        "datasets": {"squares": {"kind": "arrays", "root": str(folder / "squares.npz")}},
        "networks": {name: {"dataset": "squares", "factory": "factory.py:make"} for name in NETWORKS},
        **changes,
    }
    config, run = load_config(raw), folder / "results" / "small"
    provenance_records.keep_configuration(run, raw)
    configure(config.compute)
    pool = open_pool(config.datasets["squares"], folder)
    nets = {name: Network(sure_net(seed).eval().requires_grad_(False)) for name, seed in NETWORKS.items()}
    forwards = {name: Forward(net, config.compute) for name, net in nets.items()}
    surveys = {name: survey(forward, pool, 5, name).images for name, forward in forwards.items()}
    samples = select(surveys, config.datasets["squares"], config.seed, config.shard_size)
    assert [len(shard_rows(samples, shard)) for shard in shards(samples)] == [2, 2, 1]
    files.write_table(run / "samples" / "squares.csv", samples)
    for name, table in surveys.items():
        files.write_table(run / "survey" / "squares" / f"{name}.parquet", table)
    for family in probes.families(config):
        ball = families.ball(config.ball, family)
        for shard in shards(samples):
            path = run / "perturbations" / "squares" / family / f"{shard}.zarr.zip"
            rows = shard_rows(samples, shard)
            perturb(family, rows, pool, ball, path, {})
            for name, forward in forwards.items():
                kept = run / "activations" / name / family / f"{shard}.zarr.zip"
                extract(family, forward, rows, pool, ball, config.compute, kept, {"network": name, "shard": str(shard)})
                for probe in filter(lambda probe: probes.family_of(probe) == family, probes.chosen_probes(config)):
                    part = measure(probe, rows, kept, path, ball, Context(Scales(1.0, 1.0), 99))
                    files.write_table(run / "metrics" / name / probe / f"{shard}.parquet", part)
    for name in NETWORKS:
        for probe in probes.chosen_probes(config):
            parts = [run / "metrics" / name / probe / f"{shard}.parquet" for shard in shards(samples)]
            files.write_table(run / "metrics" / name / f"{probe}.parquet", gather(parts, samples))
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return epsball.open_run(str(folder))


def test_names(run: Run) -> None:
    assert (run.networks, run.datasets, run.controls) == (["one", "two"], ["squares"], [])
    assert run.probes == list(probes.PAPERS)
    assert run.families == ["permuted", "uniform"]
    assert run.config.ball.radii == (0, 0.1, 1, 3)
    text = repr(run)
    assert "Run 'small'" in text
    assert "squares, 5 samples: one, two" in text
    assert "6 draws, radii 0, 0.1, 1, 3" in text


def test_tables(run: Run, folder: Path) -> None:
    one = pd.read_parquet(folder / "metrics" / "one" / "topology.parquet")
    two = pd.read_parquet(folder / "metrics" / "two" / "topology.parquet")
    found = run.metrics("topology")
    assert found["network"].tolist() == ["one"] * len(one) + ["two"] * len(two)
    pd.testing.assert_frame_equal(
        found.drop(columns="network"), pd.concat([one, two], ignore_index=True), check_exact=True
    )
    pd.testing.assert_frame_equal(run.metrics("topology", "two").drop(columns="network"), two, check_exact=True)
    samples = run.samples("squares")
    assert one["sample"].unique().tolist() == samples["sample"].tolist()
    assert len(run.survey("one")) == 9


def test_stores_of_all_shards_are_one_in_the_order_of_the_samples(run: Run, folder: Path) -> None:
    parts = [store.open_store(folder / "activations" / "one" / "uniform" / f"{n}.zarr.zip").load() for n in range(3)]
    held = run.activations("one")
    samples = run.samples("squares")["sample"].tolist()
    assert held["sample"].values.tolist() == samples
    assert dict(held.sizes) == {"sample": 5, "radius": 4, "draw": 6, "unit": 3, "class": 3, "float64_radius": 4}
    assert (held.attrs["network"], held.attrs["family"]) == ("one", "uniform")
    assert "part" not in held.attrs, "what shards do not have in common"
    expected = xr.concat(parts, "sample").sel(sample=samples)
    xr.testing.assert_equal(held, expected)
    some: dict[str, Any]
    for some in (
        {"sample": 3, "radius": -1},
        {"sample": [4, 1], "radius": [2, 0], "draw": [5, 1, 2]},
        {"sample": []},
    ):
        xr.testing.assert_equal(held["features"].isel(some), expected["features"].isel(some))
    apart = run.perturbations("squares", "uniform")
    assert apart["distance"].sizes == {"sample": 5, "radius": 4, "pair": 15}
    np.testing.assert_allclose(apart["norm"].sel(radius=3), 3, rtol=1e-5)
    assert "features" not in run.activations("two", "permuted")


def test_stores_are_read_where_they_are_looked_at(run: Run, folder: Path, tmp_path: Path) -> None:
    """Of a store with damaged features all else can be read, and features of the others."""
    other = shutil.copytree(folder, tmp_path / "small")
    path = other / "activations" / "one" / "uniform" / "1.zarr.zip"
    content = path.read_bytes()
    place = content.index(b"features/c.0.1.0.0") + 60
    path.write_bytes(content[:place] + bytes(100) + content[place + 100 :])
    held = epsball.open_run(other).activations("one")
    np.testing.assert_array_equal(held["logit"], run.activations("one")["logit"])
    assert np.isfinite(held["features"].isel(sample=[0, 1, 4])).all()
    with pytest.raises(Exception, match=r"(?i)crc|decompress|codec"):
        held["features"].isel(sample=2, radius=1).load()


def test_a_run_asks_for_less_than_its_stores_hold(folder: Path, tmp_path: Path) -> None:
    less = shutil.copytree(folder, tmp_path / "small")
    raw = provenance_records.last_configuration(folder)
    provenance_records.keep_configuration(less, {**raw, "draws": 4, "radii": [3]})
    samples = pd.read_csv(less / "samples" / "squares.csv", dtype=str).iloc[1:]
    files.write_table(less / "samples" / "squares.csv", samples)
    held = epsball.open_run(less).activations("two")
    assert held["features"].shape == (4, 3, 4, 3)
    whole = epsball.open_run(folder).activations("two")
    xr.testing.assert_equal(
        held["features"], whole["features"].isel(sample=slice(1, None), radius=[0, 1, 3], draw=slice(4))
    )
    provenance_records.keep_configuration(less, raw)
    assert epsball.open_run(less).config.ball.draws == 6, "the configuration that was run last"


def test_controls_are_reached_by_their_name(folder: Path, tmp_path: Path) -> None:
    raw = provenance_records.last_configuration(folder) | {"controls": ["identity"]}
    provenance_records.keep_configuration(tmp_path, raw)
    table = pd.read_parquet(folder / "metrics" / "one" / "topology.parquet").assign(rho=1.0)
    files.write_table(tmp_path / "metrics" / "one~identity" / "topology.parquet", table)
    run = epsball.open_run(tmp_path)
    assert run.controls == ["one~identity", "two~identity"]
    found = run.metrics("topology", "one~identity")
    assert (found["network"] == "one~identity").all()
    assert (found["rho"] == 1).all()
    with pytest.raises(EpsballError, match="'one~identity' is not measured by 'isotropy'"):
        run.metrics("isotropy", "one~identity")
    with pytest.raises(EpsballError, match="activations of the control 'one~identity' are not stored; its tables are"):
        run.activations("one~identity")


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda run: run.metrics("isotrpy"), "'isotrpy' is no probe of run 'small'; did you mean 'isotropy'?"),
        (lambda run: run.metrics("depth"), "has not measured 'depth'; add it to extra_probes"),
        (lambda run: run.metrics("isotropy", "on"), "'on' is no network of run 'small'; did you mean 'one'?"),
        (lambda run: run.samples("signs"), "'signs' is no dataset of run 'small'; known: squares."),
        (
            lambda run: run.activations("one", "mixed_radius"),
            "'mixed_radius' is no family of run 'small'; known: permuted, uniform.",
        ),
        (lambda run: run.claims, "claims.tsv' does not exist; if the run is unfinished, start it again"),
        (lambda run: run.card("one"), "card.json' does not exist; if the run is unfinished, start it again"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, ask: Any, sentence: str) -> None:
    with pytest.raises(EpsballError, match=re.escape(sentence)) as raised:
        ask(run)
    assert "\n" not in str(raised.value)


def test_the_page_about_it_works(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code, on this run under the names of the default one."""
    run = shutil.copytree(folder, tmp_path / "results" / "default")
    files.write_table(run / "claims.tsv", judge(epsball.open_run(run).config, run))
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "howto" / "read_results.md").read_text()
    for given, here in {"signs": "squares", "ciresan2012": "one"}.items():
        assert given in text
        text = text.replace(given, here)
    images, labels = pictures(2)
    said: dict[str, Any] = {"model": sure_net(1), "images": images, "labels": labels}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, said)
    assert said["store"]["features"].dims == ("sample", "radius", "draw", "unit")
    assert {"image", "sample", "radius", "rho"} <= set(said["table"])


def test_a_folder_that_is_no_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(EpsballError, match="'results/smal' is no folder of a run.*did you mean 'results/small'"):
        epsball.open_run("results/smal")


def test_activations_that_were_dropped(folder: Path, tmp_path: Path) -> None:
    provenance_records.keep_configuration(
        tmp_path, provenance_records.last_configuration(folder) | {"keep_activations": False}
    )
    with pytest.raises(EpsballError, match="set keep_activations: true"):
        epsball.open_run(tmp_path).activations("one")
