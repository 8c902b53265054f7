"""Readings of the paper: what their configurations differ in, and how their verdicts stand beside each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from epsball.analysis.claims import ALL_NETWORKS, CLAIMS
from epsball.analysis.readings import compare, describe, readings, summary
from epsball.analysis.verdicts import judge
from epsball.commands.cli import main
from epsball.config import Config, NetworkSpec, load_config
from epsball.errors import EpsballError
from epsball.networks import model
from epsball.networks.weights import save as save_weights
from epsball.reporting.figures import save, sensitivity, style
from epsball.runs.files import write_table
from PIL import Image
from support.toys import ROOT
from support.written_run import MINIMAL_RUN, write_run

RAW: dict[str, Any] = yaml.safe_load((ROOT / "config" / "sensitivity.yaml").read_text())
VERDICTS = (
    "holds",
    "does not hold",
    "undecided",
    "too few samples",
    "not available",
    "not measured in this run",
)


def parts(config: Config) -> dict[str, object]:
    """What a reading may differ in, by name."""
    kept = ("radii", "draws", "norm", "clip", "noise", "epsilon")
    found: dict[str, object] = {name: getattr(config.ball, name) for name in kept}
    found["radii"] = config.ball.radii[2:]  # ε is one of all
    found["threshold"] = {name: dataset.threshold for name, dataset in config.datasets.items()}
    datasets = {name: replace(dataset, threshold=0) for name, dataset in config.datasets.items()}
    found["normaliser"] = config.normaliser
    found["rest"] = replace(config, run="", normaliser="global", ball=MINIMAL_RUN.ball, datasets=datasets, networks={})
    return found


def test_each_reading_is_valid_and_differs_in_one_thing() -> None:
    base, made = load_config(RAW), readings(RAW)
    assert list(made) == [
        *("base", "norm-linf", "epsilon-0.01", "epsilon-0.5", "clip-on", "noise-sphere", "noise-gaussian"),
        *("threshold-0.9", "threshold-0.999", "normaliser-per-feature"),
    ]
    assert made["base"] == {**RAW, "run": "sensitivity-base"}
    for name, raw in made.items():
        config = load_config(raw)
        assert config.run == f"sensitivity-{name}"
        differs = [part for part, value in parts(config).items() if value != parts(base)[part]]
        assert differs == ([] if name == "base" else [name.split("-")[0]])


def test_only_the_base_trains() -> None:
    for name, raw in readings(RAW).items():
        for network in load_config(raw).networks.values():
            assert (network.training is not None) == (name == "base")
            expected = f"results/sensitivity-base/networks/{network.name}/weights.safetensors"
            assert network.weights == (None if name == "base" else expected)


def test_networks_of_ones_own_are_made_as_they_were() -> None:
    own = {"dataset": "signs", "factory": "mine.py:make", "training": {}}
    made = readings({**RAW, "networks": {"mine": own, "sign": {"dataset": "signs", "factory": "sign:aghdam2015"}}})
    assert made["clip-on"]["networks"]["mine"] == own
    assert "weights" in made["clip-on"]["networks"]["sign"], "it is trained, though nothing says so"


def test_what_cannot_be_is_left_out() -> None:
    assert {"epsilon-0.1", "epsilon-0.01"} <= set(readings({**RAW, "epsilon": 0.2, "radii": [0.5, 1]}))
    assert "epsilon-0.5" not in readings({**RAW, "radii": [0.5, 1]})
    assert "noise-gaussian" not in readings({**RAW, "norm": "linf"})
    gaussian = readings({**RAW, "noise": "gaussian"})
    assert "norm-linf" not in gaussian
    assert {"noise-uniform", "noise-sphere"} <= set(gaussian)
    assert "clip-off" in readings({**RAW, "clip": True})


def test_a_threshold_is_that_of_every_dataset() -> None:
    datasets = {"signs": RAW["datasets"]["signs"], "more": {"kind": "signs", "threshold": 0.9}}
    more = {"dataset": "more", "factory": "sign:aghdam2015", "weights": "w.pt"}
    made = readings({**RAW, "datasets": datasets, "networks": {**RAW["networks"], "more": more}})
    for value in (0.9, 0.99, 0.999):
        found = load_config(made[f"threshold-{value}"]).datasets.values()
        assert [dataset.threshold for dataset in found] == [value, value]
    assert load_config(made["clip-on"]).datasets["more"].threshold == 0.9
    assert made["clip-on"]["networks"]["more"] == more


@pytest.mark.parametrize("name", ["ciresan2012", "aghdam2015"])
def test_sign_networks_take_the_weights_that_a_run_keeps(name: str, tmp_path: Path) -> None:
    spec = NetworkSpec(name="sign", dataset="signs", factory=f"sign:{name}")
    module, path = model.build(spec), tmp_path / "weights.safetensors"
    save_weights(module, path)
    again = model.build(replace(spec, weights=str(path)))
    images = torch.rand(2, 3, 48, 48)
    assert torch.equal(again(images), module(images))
    with pytest.raises(EpsballError, match=r"weights 'gone.safetensors' do not exist"):
        model.build(replace(spec, weights="gone.safetensors"))


@pytest.fixture
def two(tmp_path: Path) -> dict[str, Path]:
    """Runs of two readings: one in which scores vary far above the noise, one in which they do not."""
    runs = {"base": tmp_path / "x-base", "clip-on": tmp_path / "x-clip-on"}
    for folder, growth in zip(runs.values(), (20.0, 1.0), strict=True):
        write_run(folder, samples=30, growth=growth, floor=1e-6)
        write_table(folder / "claims.tsv", judge(replace(MINIMAL_RUN, extra_probes=("alpha",)), folder))
    return runs


def test_verdicts_of_each_run_side_by_side(two: dict[str, Path]) -> None:
    table = compare(two)
    assert list(table) == [
        *("reading", "claim", "network", "dataset", "threshold", "estimate", "ci_low", "ci_high", "bound"),
        *("samples", "verdict"),
    ]
    assert set(table["claim"]) == {claim.name for claim in CLAIMS}, "the paper's alone"
    for reading, folder in two.items():
        judged = pd.read_csv(folder / "claims.tsv", sep="\t")
        judged = judged[judged["claim"].isin([claim.name for claim in CLAIMS])]
        rows = table[table["reading"] == reading]
        assert len(rows) == len(CLAIMS)
        assert list(rows["verdict"]) == list(judged["verdict"])
        np.testing.assert_array_equal(rows["estimate"], judged["estimate"])
    said = list(summary(table))
    assert said[0] == "The same verdict under all 2 readings:"
    assert (
        "  not isotropic at epsilon, net: holds"
        in said[: said.index("Another verdict under some (first that of 'base'):")]
    )
    assert "  strongly anisotropic at 10, net: holds; does not hold under clip-on" in said


def test_a_run_that_is_missing_is_told(two: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(
        EpsballError, match=r"reading 'clip-off' has no verdicts yet: '.*claims.tsv' does not exist; run"
    ):
        compare({**two, "clip-off": tmp_path / "gone"})


@pytest.mark.slow
def test_the_figure_shows_every_cell(two: dict[str, Path], tmp_path: Path) -> None:
    table = compare(two)
    most = table[table["claim"] == "strongly anisotropic at 10"].assign(network=ALL_NETWORKS)
    table = pd.concat([table, most], ignore_index=True)
    for verdict, place in zip(VERDICTS, table.index, strict=False):
        table.loc[place, "verdict"] = verdict
    table.loc[table["verdict"] == "not measured in this run", "estimate"] = np.nan
    with style.paper():
        figure = sensitivity.draw(table, describe(load_config(RAW)))
        save(figure, tmp_path / "sensitivity.tsv")
    [ax] = figure.axes
    verdicts: np.ndarray = np.ma.masked_invalid(np.ma.asarray(ax.collections[0].get_array())).compressed()
    assert np.bincount(verdicts.astype(int)).tolist() == [(table["verdict"] == name).sum() for name in VERDICTS]
    hatched = ax.collections[1]
    assert (hatched.get_hatch(), len(hatched.get_paths())) == ("////", (table["verdict"] == VERDICTS[-1]).sum())
    assert sum(text.get_text() != "" for text in ax.texts) == len(CLAIMS) + table["estimate"].notna().sum()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(VERDICTS)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["base\n", "clip\non"]
    assert "base: norm l2, ε 0.1, clip off, noise uniform, threshold 0.99, g global; each" in ax.get_xlabel()
    assert "most of them" in [label.get_text() for label in ax.get_yticklabels()]
    assert (tmp_path / "sensitivity.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (tmp_path / "sensitivity.svg").read_text()
    assert np.asarray(Image.open(tmp_path / "sensitivity.png").convert("L")).std() > 10


@pytest.mark.slow
def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(yaml.safe_dump({**RAW, "run": "x"}))
    assert main(["readings", "mine.yaml", "folder", "--cores", "2"]) == 0
    commands = capsys.readouterr().out.splitlines()
    assert commands[0] == "snakemake results/x-base/claims.tsv --cores 2 --configfile folder/base.yaml"
    files = sorted(Path("folder").iterdir())
    assert len(files) == len(commands) == 10
    for path in files:
        assert load_config(yaml.safe_load(path.read_text())).run == f"x-{path.stem}"
    assert main(["sensitivity", "folder"]) == 1
    told = "error: reading 'base' has no verdicts yet: 'results/x-base/claims.tsv' does not exist"
    assert told in capsys.readouterr().err
    for path in files:
        if path.stem in ("base", "clip-on"):
            run = Path("results") / f"x-{path.stem}"
            write_run(run, samples=30, growth=20.0, floor=1e-6)
            write_table(run / "claims.tsv", judge(MINIMAL_RUN, run))
        else:
            path.unlink()
    assert main(["sensitivity", "folder"]) == 0
    assert "The same verdict under all 2 readings:\n" in capsys.readouterr().out
    assert len(pd.read_csv("results/x/sensitivity.tsv", sep="\t")) == 2 * len(CLAIMS)
    assert {path.suffix for path in Path("results/x").iterdir()} == {".tsv", ".pdf", ".svg", ".png"}
