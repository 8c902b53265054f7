"""Training, weights and cards."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from epsball.config import NetworkSpec, TrainingSpec
from epsball.data import Pool, arrays
from epsball.networks import model, weights
from epsball.networks.augmentation import augment
from epsball.networks.forward import Forward, configure
from epsball.networks.model import Network
from epsball.probes.normalisers import scales
from epsball.stages import build_network
from epsball.stages.survey import survey
from epsball.stages.training import hold_out, train
from support.toys import COMPUTE, ROOT, conv_net, pictures
from torch import Tensor, nn

SPEC = TrainingSpec(epochs=15, batch=8, learning_rate=0.02)


@pytest.fixture
def easy(tmp_path: Path) -> Pool:
    """Ninety images, three classes."""
    images, labels = pictures(90, seed=5)
    np.savez(tmp_path / "easy.npz", images=images, labels=labels)
    return arrays.load(tmp_path / "easy.npz")


@pytest.mark.slow
def test_training_learns_and_repeats_itself(easy: Pool) -> None:
    configure(COMPUTE)
    first, second = conv_net(seed=1), conv_net(seed=2)
    history = train(first, easy, SPEC, 3, "a")
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["validation_accuracy"] > 0.8
    assert [row["epoch"] for row in history if "validation_loss" in row] == list(range(1, SPEC.epochs + 1))
    train(second, easy, SPEC, 3, "b")
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
    assert not first.training


@pytest.mark.slow
def test_weights_come_back_and_the_card_is_true(tmp_path: Path, easy: Pool) -> None:
    (tmp_path / "net.py").write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r})\nfrom support.toys import conv_net as make\n"
    )
    spec = NetworkSpec(name="mine", dataset="easy", factory=f"{tmp_path}/net.py:make", training=SPEC)
    configure(COMPUTE)
    card_path = tmp_path / "card.json"
    build_network.build_network(spec, easy, easy, COMPUTE, 3, tmp_path / "w.safetensors", card_path)
    card = json.loads(card_path.read_text())
    network = model.restore(spec, tmp_path / "w.safetensors")
    expected = conv_net()
    train(expected, easy, SPEC, 3, "again")
    for one, two in zip(network.module.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, two)
    table = survey(Forward(network, COMPUTE), easy, 7, "mine").images
    assert card["accuracy"] == pytest.approx((table["prediction"] == table["label"]).mean())
    assert card["accuracy"] > 0.9
    assert (card["parameters"], card["classes"], card["units"]) == (5 * 27 + 5 + 20 * 7 + 7 + 7 * 3 + 3, 3, 7)
    assert card["terms"] == "those of the images that this run trained it on"
    assert card["digest"] == weights.digest(tmp_path / "w.safetensors")
    assert card["weights_read"] == "as they are"


def test_labels_are_smoothed(easy: Pool) -> None:
    """A step of no length leaves the loss of the first weights, by the formula of Szegedy et al. (2016), in float64."""
    configure(COMPUTE)
    module = conv_net()
    spec = TrainingSpec(batch=9, learning_rate=1e-30, validation=0, label_smoothing=0.3)
    history = train(module, easy, spec, 3, "a")
    images = torch.stack([torch.from_numpy(easy.read(number)) for number in range(90)]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        scores = module(images).double().softmax(dim=1).numpy()
    wanted = 0.7 * np.eye(3)[easy.labels] + 0.3 / 3
    assert np.mean([row["loss"] for row in history]) == pytest.approx(-(wanted * np.log(scores)).sum(axis=1).mean())


class Recording(nn.Module):
    """A linear network that keeps what it is shown."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * side * side, 3)
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach().clone())
        return torch.as_tensor(self.linear(x.flatten(start_dim=1)))


def test_noise_is_drawn_anew_at_each_step(easy: Pool) -> None:
    configure(COMPUTE)
    shown = {}
    for deviation in (0.0, 0.2):
        module = Recording(easy.read(0).shape[0])
        train(module, easy, TrainingSpec(epochs=2, batch=9, validation=0, gaussian_noise=deviation), 3, "a")
        shown[deviation] = torch.stack(module.shown)
    noise = (shown[0.2] - shown[0.0]).double().flatten(start_dim=1).numpy()
    assert len(noise) == 20
    assert noise.std() == pytest.approx(0.2, rel=0.02)
    assert abs(noise.mean()) < 5 * 0.2 / np.sqrt(noise.size)
    between = np.corrcoef(noise)[np.triu_indices(20, 1)]
    assert np.abs(between).max() < 5 / np.sqrt(noise.shape[1])
    assert shown[0.2].min() < 0 and shown[0.2].max() > 1  # not clipped


def test_a_training_may_have_its_own_seed(tmp_path: Path, easy: Pool) -> None:
    """It is that of parameters that no layer resets, too."""
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Shift(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.shift = nn.Parameter(torch.randn(3))\n\n    def forward(self, x):\n"
        "        return x + self.shift[:, None, None]\n\n\ndef make():\n"
        "    return nn.Sequential(Shift(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))\n"
    )
    configure(COMPUTE)
    made = {}
    for own, runs in ((None, 3), (3, 4), (None, 4)):
        spec = replace(TrainingSpec(batch=9, learning_rate=1e-30, weight_decay=0, validation=0), seed=own)
        network = NetworkSpec(name="mine", dataset="easy", factory=f"{tmp_path}/net.py:make", training=spec)
        path = tmp_path / f"{own}-{runs}" / "w.safetensors"
        path.parent.mkdir()
        build_network.build_network(network, easy, easy, COMPUTE, runs, path, path.with_name("card.json"))
        made[own, runs] = weights.digest(path)
    assert made[None, 3] == made[3, 4] != made[None, 4]


def test_the_card_takes_some_images_of_a_large_pool(
    tmp_path: Path, easy: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_network, "_ACCURACY_IMAGES", 40)
    spec = NetworkSpec(name="mine", dataset="easy", factory=f"{ROOT}/tests/support/toys.py:conv_net")
    configure(COMPUTE)
    build_network.build_network(spec, easy, None, COMPUTE, 3, tmp_path / "w.safetensors", tmp_path / "card.json")
    card = json.loads((tmp_path / "card.json").read_text())
    named = replace(easy, class_names=("a", "b", "c"))
    table = survey(Forward(Network(conv_net().eval()), COMPUTE), named, 5, "mine").images
    assert table.attrs == {"class_names": ["a", "b", "c"]}
    right = (table["prediction"] == table["label"]).to_numpy()
    assert card["accuracy"] == pytest.approx(right[[place * 90 // 40 for place in range(40)]].mean())


def test_survey_gives_the_extremes_of_g_and_h(easy: Pool) -> None:
    configure(COMPUTE)
    module = conv_net()
    network = Network(module.eval())
    table, extremes = survey(Forward(network, replace(COMPUTE, batch=4)), easy, 4, "mine")
    images = torch.from_numpy(np.stack([easy.read(n) for n in range(90)])).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        features = module[:-1](images)
        score = torch.softmax(module(images).double(), 1)[torch.arange(90), torch.from_numpy(easy.labels)]
    found = scales(table, extremes)
    assert found.g == pytest.approx(1 / float(features.max() - features.min()), rel=1e-5)
    assert found.h == pytest.approx(1 / float(images.max() - images.min()), rel=1e-6)
    assert found.images == 90
    spans = (features.amax(dim=0) - features.amin(dim=0)).numpy()
    assert found.g_per_feature == pytest.approx(np.where(spans > 0, 1 / np.where(spans > 0, spans, 1), 0), rel=1e-5)
    assert table["score"].to_numpy() == pytest.approx(score.numpy(), abs=1e-6)


class Drawn(nn.Module):
    """Draws as people's code does, from NumPy's and Python's own generators."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (0.8 + 0.2 * np.random.rand() + 0.2 * random.random()) if self.training else x  # noqa: NPY002


def net(seed: int, dropout: float) -> nn.Module:
    """A network with running statistics and, if so, random units: a resumed training must have both again."""
    module = conv_net(seed=seed)
    return nn.Sequential(nn.BatchNorm2d(3), module[:3], nn.Dropout(dropout) if dropout < 1 else Drawn(), module[3:])


@pytest.mark.slow
@pytest.mark.fault("training killed and gone on (dropout {id})", "the same weights, bit for bit")
@pytest.mark.parametrize("dropout", [0.0, 0.3, 1.0])
def test_a_stopped_training_ends_with_the_same_weights(tmp_path: Path, easy: Pool, dropout: float) -> None:
    configure(COMPUTE)
    spec = replace(SPEC, epochs=4, augment=True)
    whole, stopped = net(1, dropout), net(1, dropout)
    history = train(whole, easy, spec, 3, "whole")
    reads = 0

    def failing(number: int) -> np.ndarray:
        nonlocal reads
        reads += 1
        if reads > 230:  # in the third epoch
            raise KeyboardInterrupt
        return easy.read(number)

    checkpoint = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        train(stopped, replace(easy, read=failing), spec, 3, "stopped", checkpoint)
    resumed = net(5, dropout)
    reads = 0
    counting = replace(easy, read=lambda number: failing(number) if reads < 230 else easy.read(number))
    assert train(resumed, counting, spec, 3, "resumed", checkpoint) == history
    assert 170 <= reads <= 200, "two of four epochs"
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)
    other = train(net(1, dropout), easy, replace(spec, epochs=3), 3, "other", checkpoint)
    assert len({row["epoch"] // 1 for row in other}) > 2, "a checkpoint of another training is left alone"


@pytest.mark.fault("a checkpoint of training that is empty, cut, or something else", "training begins anew")
@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut", "another"])
def test_a_checkpoint_that_cannot_be_read_is_none(
    tmp_path: Path, easy: Pool, content: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    configure(COMPUTE)
    checkpoint, spec = tmp_path / "training.pt", replace(SPEC, epochs=1)
    if isinstance(content, bytes):
        checkpoint.write_bytes(content)
    else:
        torch.save([content], checkpoint)
    history = train(conv_net(seed=1), easy, spec, 3, "one", checkpoint)
    assert history == train(conv_net(seed=1), easy, spec, 3, "two")
    assert isinstance(content, str) or "training.pt cannot be read" in caplog.text
    assert torch.load(checkpoint, weights_only=True)["history"] == history


@pytest.mark.fault("training killed, and its images replaced", "it begins anew")
def test_a_training_stopped_before_its_images_were_replaced_begins_anew(tmp_path: Path, easy: Pool) -> None:
    configure(COMPUTE)
    checkpoint, spec = tmp_path / "training.pt", replace(SPEC, epochs=2)
    train(conv_net(seed=1), easy, spec, 3, "one", checkpoint, "images as given first")
    replaced = replace(easy, read=lambda number: 255 - easy.read(number))
    fresh, after = conv_net(seed=1), conv_net(seed=1)
    expected = train(fresh, replaced, spec, 3, "fresh")
    assert train(after, replaced, spec, 3, "after", checkpoint, "images as given now") == expected
    for one, two in zip(fresh.parameters(), after.parameters(), strict=True):
        assert torch.equal(one, two)


def test_frames_of_a_track_are_on_one_side(easy: Pool) -> None:
    tracks = [f"t{number // 6}" for number in range(len(easy))]
    pool = replace(easy, tracks=tracks)
    training, held = hold_out(pool, 0.2)
    assert len(training) + len(held) == len(pool)
    assert set(training.tracks or ()) & set(held.tracks or ()) == set()
    assert len(set(held.tracks or ())) == 3
    assert (held.read(0) == pool.read(list(pool.names).index(held.names[0]))).all()
    assert hold_out(pool, 0.0)[0].names == list(pool.names)


def test_augmentation_moves_what_it_should() -> None:
    """A bright square stays within the allowed shift, and images differ from each other."""
    images = torch.zeros(64, 3, 41, 41)
    images[:, :, 18:23, 18:23] = 0.5
    varied = augment(images, torch.Generator().manual_seed(1))
    assert varied.shape == images.shape
    assert float(varied.min()) >= 0
    assert float(varied.max()) <= 1
    weight = varied[:, 0] - varied[:, 0, :1, :1]
    place = torch.arange(41.0)
    row = (weight.sum(2) * place).sum(1) / weight.sum((1, 2))
    assert float((row - 20).abs().max()) < 0.1 * 20.5 * 1.4 + 0.5
    assert float(row.std()) > 0.5
    assert torch.equal(varied, augment(images, torch.Generator().manual_seed(1)))
