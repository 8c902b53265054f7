"""Training, weights and cards."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import COMPUTE, conv_net, pictures
from epsball import preparation, weights
from epsball.config import NetworkSpec, TrainingSpec
from epsball.datasets import Pool, arrays
from epsball.forward import Forward, configure
from epsball.networks import Network
from epsball.normalisers import scales
from epsball.survey import survey
from epsball.training import train

SPEC = TrainingSpec(epochs=15, batch=8, learning_rate=0.02)


@pytest.fixture
def easy(tmp_path: Path) -> Pool:
    """Ninety images, three classes."""
    images, labels = pictures(90, seed=5)
    np.savez(tmp_path / "easy.npz", images=images, labels=labels)
    return arrays.load(tmp_path / "easy.npz")


def test_training_learns_and_repeats_itself(easy: Pool) -> None:
    configure(COMPUTE)
    first, second = conv_net(seed=1), conv_net(seed=2)
    losses = train(first, easy, SPEC, 3, "a")
    assert losses[-1] < 0.5 * losses[0]
    train(second, easy, SPEC, 3, "b")
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not first.training


def test_weights_come_back_and_the_card_is_true(tmp_path: Path, easy: Pool) -> None:
    (tmp_path / "net.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom conftest import conv_net as make\n"
    )
    spec = NetworkSpec(name="mine", dataset="easy", factory=f"{tmp_path}/net.py:make", training=SPEC)
    configure(COMPUTE)
    card_path = tmp_path / "card.json"
    preparation.prepare(spec, easy, easy, COMPUTE, 3, tmp_path / "w.safetensors", card_path)
    card = json.loads(card_path.read_text())
    network = weights.restore(spec, tmp_path / "w.safetensors")
    expected = conv_net()
    train(expected, easy, SPEC, 3, "again")
    for one, two in zip(network.module.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, two)
    table = survey(Forward(network, COMPUTE), easy, 7, "mine")
    assert card["accuracy"] == pytest.approx((table["prediction"] == table["label"]).mean())
    assert card["accuracy"] > 0.9
    assert (card["parameters"], card["classes"], card["units"]) == (5 * 27 + 5 + 20 * 7 + 7 + 7 * 3 + 3, 3, 7)
    assert card["digest"] == weights.digest(tmp_path / "w.safetensors")


def test_survey_gives_the_extremes_of_g_and_h(easy: Pool) -> None:
    configure(COMPUTE)
    module = conv_net()
    network = Network(module.eval())
    table = survey(Forward(network, replace(COMPUTE, batch=4)), easy, 4, "mine")
    images = torch.from_numpy(np.stack([easy.read(n) for n in range(90)])).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        features = module[:-1](images)
        score = torch.softmax(module(images).double(), 1)[torch.arange(90), torch.from_numpy(easy.labels)]
    scale_g, scale_h = scales(table)
    assert scale_g == pytest.approx(1 / float(features.max() - features.min()), rel=1e-5)
    assert scale_h == pytest.approx(1 / float(images.max() - images.min()), rel=1e-6)
    assert table["score"].to_numpy() == pytest.approx(score.numpy(), abs=1e-6)
