"""What a store holds already is not computed again, and what is added is what a run from nothing would have."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import xarray as xr
from epsball.config import Ball
from epsball.errors import EpsballError
from epsball.runs import files, store
from epsball.stages.perturb import perturb
from support.extend import extend, markdown
from support.study import Study
from support.toys import BALL, COMPUTE, ROOT, Stages, conv_net
from torch import Tensor, nn

pytestmark = pytest.mark.slow

# Neither number of draws is a multiple of the batch, 5.
FEW = replace(BALL, radii=(0.0, 0.1, 3.0), draws=7)
MORE = replace(BALL, radii=(0.0, 0.1, 1.0, 3.0), draws=12)


class Counted(nn.Module):
    """Counts the images of its float32 passes."""

    passed: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32:
            self.passed.append(len(x))
        logits: Tensor = self.net(x)
        return logits


@pytest.fixture
def extract(stages: Stages) -> Callable[[Ball, str], tuple[xr.Dataset, int]]:
    """Runs the stage; its store, and the images that passed."""

    def run(spec: Ball, place: str) -> tuple[xr.Dataset, int]:
        Counted.passed.clear()
        held = stages.extract(Counted(), "uniform", stages.folder / place, spec, COMPUTE, "net.3").load()
        files.retain(stages.folder / place)
        return held, sum(Counted.passed)

    return run


def test_more_draws_and_radii(extract: Callable[[Ball, str], tuple[xr.Dataset, int]]) -> None:
    whole, from_nothing = extract(MORE, "whole.zarr.zip")
    extract(FEW, "grown.zarr.zip")
    grown, added = extract(MORE, "grown.zarr.zip")
    xr.testing.assert_identical(whole, grown)
    # Of four samples: draws 7 to 11 lie in batches 1 and 2 of 0.1 and 3; all three batches of 1.
    assert added == 4 * 5 * (2 + 2 + 3)
    assert from_nothing == 4 * 5 * (1 + 3 * 3)
    less, added = extract(FEW, "grown.zarr.zip")
    assert added == 0
    xr.testing.assert_identical(less, whole)


class Placed(nn.Module):
    """Rounds otherwise at each place of a batch, as kernels may."""

    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits * (1 + 1e-5 * torch.arange(len(x), dtype=x.dtype)[:, None])


@pytest.mark.parametrize("few", [replace(MORE, draws=3), replace(MORE, draws=7), FEW])
def test_a_draw_keeps_its_place_in_its_batch(stages: Stages, few: Ball) -> None:
    whole = stages.extract(Placed(), "uniform", stages.folder / "whole.zarr.zip", MORE, COMPUTE).load()
    grown = stages.folder / "grown.zarr.zip"
    for spec in (few, MORE):
        stages.extract(Placed(), "uniform", grown, spec, COMPUTE)
        files.retain(grown)
    xr.testing.assert_identical(whole, store.open_store(grown).load())


def test_images_that_are_not_those_surveyed_any_more(stages: Stages) -> None:
    stages.samples["digest"] = stages.samples["digest"].iloc[::-1].to_numpy()
    with pytest.raises(EpsballError, match="has other pixels than when it was surveyed; remove its dataset's survey"):
        stages.extract(conv_net(), "uniform", stages.folder / "a.zarr.zip", BALL, COMPUTE)
    stages.pool = replace(stages.pool, names=["other", *stages.pool.names[1:]])
    with pytest.raises(EpsballError, match=f"{stages.samples['image'][0]}: is not there any more; run again"):
        stages.extract(conv_net(), "uniform", stages.folder / "a.zarr.zip", BALL, COMPUTE)


def test_more_and_other_samples(stages: Stages, extract: Callable[[Ball, str], tuple[xr.Dataset, int]]) -> None:
    every = stages.samples
    whole, from_nothing = extract(BALL, "whole.zarr.zip")
    stages.samples = every.iloc[:2]
    extract(BALL, "other.zarr.zip")
    stages.samples = every.iloc[1:]
    other, added = extract(BALL, "other.zarr.zip")
    assert added == from_nothing // 2
    xr.testing.assert_identical(other, whole.isel(sample=slice(1, None)))


def test_what_is_damaged_or_made_otherwise_is_made_anew(
    stages: Stages, extract: Callable[[Ball, str], tuple[xr.Dataset, int]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "epsball")
    whole, from_nothing = extract(BALL, "a.zarr.zip")
    path = stages.folder / "a.zarr.zip"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again, passed = extract(BALL, "a.zarr.zip")
    assert passed == from_nothing
    xr.testing.assert_identical(whole, again)
    assert "made anew: " in caplog.text
    assert store.PreviousStore(path, {"family": "uniform"}, stages.samples).draws(11, 0.1) == BALL.draws
    assert store.PreviousStore(path, {"family": "uniform", "code": "other"}, stages.samples).draws(11, 0.1) == 0
    assert "made anew for another code" in caplog.text


def test_a_sample_with_another_label_or_name_is_not_taken_for_the_same(
    stages: Stages, extract: Callable[[Ball, str], tuple[xr.Dataset, int]]
) -> None:
    before, from_nothing = extract(BALL, "a.zarr.zip")
    stages.samples = stages.samples.assign(image=["renamed", *stages.samples["image"][1:]])
    stages.pool = replace(stages.pool, names=["renamed", *stages.pool.names[1:]])
    renamed, passed = extract(BALL, "a.zarr.zip")
    assert renamed["image"].values[0] == "renamed"
    assert passed < from_nothing / 4
    np.testing.assert_array_equal(renamed["log_odds"], before["log_odds"])
    stages.samples = stages.samples.assign(label=[(stages.samples["label"][0] + 1) % 3, *stages.samples["label"][1:]])
    relabelled, _ = extract(BALL, "a.zarr.zip")
    fresh, _ = extract(BALL, "fresh.zarr.zip")
    xr.testing.assert_identical(relabelled, fresh)


@pytest.mark.parametrize("family", ["uniform", "permuted"])
def test_perturbations(stages: Stages, tmp_path: Path, family: str) -> None:
    paths = [tmp_path / name for name in ("whole.zarr.zip", "grown.zarr.zip")]
    perturb(family, stages.samples, stages.pool, MORE, paths[0], {})
    for spec in (replace(MORE, radii=MORE.radii[:3]), MORE):
        perturb(family, stages.samples, stages.pool, spec, paths[1], {})
        files.retain(paths[1])
    xr.testing.assert_identical(*(store.open_store(path).load() for path in paths))


def test_measures_read_what_is_asked_for(stages: Stages, tmp_path: Path) -> None:
    rows = stages.samples.iloc[[2, 0]]
    paths = {}
    for name, spec in (("less", FEW), ("more", MORE)):
        paths[name] = tmp_path / f"{name}.zarr.zip"
        perturb("uniform", stages.samples, stages.pool, spec, paths[name], {})
    less, more = (store.open_part(path, rows, FEW.radii, FEW.draws).load() for path in paths.values())
    assert more["sample"].values.tolist() == ["s2", "s0"]
    xr.testing.assert_identical(less, more)
    with pytest.raises(EpsballError, match=r"less.zarr.zip: lacks radius 1.0; remove it"):
        store.open_part(paths["less"], rows, MORE.radii, FEW.draws)
    with pytest.raises(EpsballError, match="lacks draws, of 12 it has 7"):
        store.open_part(paths["less"], rows, FEW.radii, MORE.draws)


def test_the_table_of_the_page_is_what_runs(tmp_path: Path) -> None:
    """All but its last row, which takes as long as all the others."""
    assert markdown(extend(Study(tmp_path, warm=True), 9)) in (ROOT / "docs" / "howto" / "extend.md").read_text()
