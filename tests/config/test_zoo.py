"""The studies of sixty networks that ship: short, whole, and of networks that take their images."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from epsball.config import Config, load_config
from epsball.networks import model
from epsball.stages.studied import studied
from support.toys import ROOT

STUDIES = sorted((ROOT / "config").glob("zoo*.yaml"))
IMAGES = {"signs": (48, 43), "gtsrb": (48, 43), "cifar10": (32, 10)}  # side, classes


def load(path: Path) -> Config:
    return load_config(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_sixty_networks_take_sixty_lines(path: Path) -> None:
    config = load(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    assert len(config.networks) >= 60
    assert studied(config) == list(config.datasets)
    trainings = {tuple(network.factors.values())[1] for network in config.networks.values()}
    assert trainings == {"plain", "decay", "augmented", "smoothed", "noisy", "adversarial-0.25", "adversarial-1"}
    assert {network.factors["seed"] for network in config.networks.values()} == {"s0", "s1"}
    described = [repr((each.factory, each.args, each.training)) for each in config.networks.values()]
    assert len(set(described)) == len(described), "no two are the same"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_their_networks_take_the_images(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for network in load(path).networks.values():
        if network.name.endswith("-plain-s0"):
            side, classes = IMAGES[network.dataset]
            module = model.build(network, pretrained=False).eval()
            assert module(torch.rand(2, 3, side, side)).shape == (2, classes)
