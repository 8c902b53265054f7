"""The plan, against counts made by hand and by the stages themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import yaml
from epsball import probes
from epsball.commands import cost
from epsball.config import Config, load_config
from epsball.perturbations import families
from support.toys import BALL, COMPUTE, ROOT, Stages, conv_net
from torch import Tensor, nn


@pytest.fixture
def paper() -> Config:
    return load_config(yaml.safe_load((ROOT / "config" / "paper.yaml").read_text()))


def test_the_papers_forward_passes(paper: Config) -> None:
    """300 samples, two families, ε and radii 1 to 20 with 100 draws, a batch at radius 0, and the pool."""
    found = cost.network(paper, paper.networks["resnet50"])
    assert found.passes == 50_000 + 2 * 300 * (21 * 100 + 20)
    assert found.exact == 2 * 300 * 4
    assert found.gpu_seconds == pytest.approx((found.passes + 5 * found.exact) / 610)
    assert cost.network(paper, paper.networks["aghdam2015"]).training == 10 * round(0.9 * 39_209)


def test_the_papers_disk(paper: Config) -> None:
    """Features are 4-byte numbers: of each network, sample, radius and draw, before compression."""
    features = 300 * 21 * 100 * 4 * (4096 + 1024 + 4096 + 2048 + 300 + 300)
    assert 0.8 * features < cost.disk(paper, {})["activations"] < features
    distances = 2 * 300 * 21 * 100 * 99 / 2 * 8
    assert distances < cost.disk(paper, {})["perturbations"] < 1.2 * distances


class Counting(nn.Module):
    """Counts images, in each precision, its own and its copies' together."""

    counts: ClassVar[dict[torch.dtype, int]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()

    def forward(self, x: Tensor) -> Tensor:
        self.counts[x.dtype] = self.counts.get(x.dtype, 0) + len(x)
        logits: Tensor = self.net(x)
        return logits


@pytest.mark.slow
def test_the_stages_make_as_many_passes_as_planned(stages: Stages, tmp_path: Path, paper: Config) -> None:
    Counting.counts.clear()
    compute = replace(COMPUTE, batch=4)  # divides the draws: no pass is filled up
    paper = replace(paper, extra_probes=("alpha_mixed_radius",))
    for name in probes.families(paper):
        stages.extract(Counting(), name, tmp_path / f"{name}.zarr.zip", families.ball(BALL, name), compute, "net.3")
    datasets = {"gtsrb": replace(paper.datasets["gtsrb"], samples=len(stages.samples), limit=1)}
    config = replace(paper, ball=BALL, compute=compute, datasets=datasets)
    found = cost.network(config, replace(paper.networks["ciresan2012"], training=None))
    assert Counting.counts == {torch.float32: found.passes - 1, torch.float64: found.exact}


def test_missing_data_is_said(paper: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = cost.describe(paper, 2, {})
    assert "Not there yet: datasets.imagenet: root is 'data/imagenet/val', no such folder" in text
    assert "Not there yet: datasets.gtsrb: 'data/gtsrb/GTSRB/Training' does not exist" in text


def test_radii_and_draws_that_claims_need(paper: Config) -> None:
    assert "no verdict" not in cost.describe(paper, 2, {})
    few = replace(paper, ball=replace(paper.ball, radii=(0.0, paper.ball.epsilon, 2.0, 10.0), draws=28))
    text = cost.describe(few, 2, {})
    assert "Without radius 1 there is no verdict on: more anisotropic at 1." in text


def test_a_rate_that_was_measured_counts(paper: Config, tmp_path: Path) -> None:
    own = replace(paper.networks["ciresan2012"], name="mine", factory="mine.py:make", training=None)
    config = replace(paper, networks={"mine": own})
    said = cost.describe(config, 2, {})
    assert "Of mine no rate is known, so that may be far off" in said
    (tmp_path / "networks" / "mine").mkdir(parents=True)
    (tmp_path / "networks" / "mine" / "card.json").write_text('{"images_per_second": 5000, "units": 7}')
    seen = cost.seen_in(config, tmp_path)
    assert seen == {"mine": cost.Seen(5000, 7)}
    known = cost.describe(config, 2, seen)
    assert "no rate is known" not in known
    assert "nominal, but measured for mine" in known
    assert cost.network(config, own, 5000).core_seconds == pytest.approx(cost.network(config, own).core_seconds / 500)
    assert cost.seen_in(config, tmp_path / "elsewhere") == {}


def test_features_that_were_seen_count_on_disk(paper: Config, tmp_path: Path) -> None:
    own = replace(paper.networks["ciresan2012"], name="mine", factory="mine.py:make", training=None)
    config = replace(paper, networks={"mine": own, "ciresan2012": paper.networks["ciresan2012"]})
    assumed = cost.describe(config, 2, {})
    assert "Activations are of as many features: 2,048 of mine, 300 of ciresan2012 (assumed)." in assumed
    cost.keep_seen({"mine": cost.Seen(12.5, 50_000)}, tmp_path)
    seen = cost.seen_in(config, tmp_path)
    assert seen == {"mine": cost.Seen(12.5, 50_000)}
    assert ": 50,000 of mine (as seen); 300 of ciresan2012 (assumed)." in cost.describe(config, 2, seen)
    more = cost.disk(config, seen)["activations"] - cost.disk(config, {})["activations"]
    assert more == pytest.approx(300 * 21 * 100 * 4 * 0.88 * (50_000 - 2048))
    for broken in ("", "{", '{"mine": 12.5}', '{"mine": {"rate": 1}}'):
        (tmp_path / "seen.json").write_text(broken)
        assert cost.seen_in(config, tmp_path) == {}


@pytest.mark.parametrize("name", ["config", "paper", "beyond"])
def test_the_table_fits_a_terminal_of_80_columns(name: str) -> None:
    config = load_config(yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text()))
    table = [line for line in cost.describe(config, 2, {}).splitlines() if line.split()[0] in config.networks]
    assert len(table) == len(config.networks)
    assert max(map(len, table)) <= 80
