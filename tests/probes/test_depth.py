"""Layer by layer, against linear layers whose distances are known and against the probes of the last layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks import layers
from epsball.probes import white_box_probe
from scipy.spatial.distance import pdist
from support.toys import BALL, SIZE, Stages, conv_net, white_box_input
from torch import Tensor, nn
from torchvision.models import googlenet, resnet18, vgg11

UNITS = 3 * SIZE * SIZE


def image(seed: int = 0) -> Tensor:
    return torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def test_every_layer_is_what_a_pass_by_hand_gives() -> None:
    given = white_box_input(conv_net(), image())
    table = white_box_probe("depth").measure(given)
    at = table[(table["family"] == "uniform") & (table["radius"] == 1.0)].set_index("layer")
    images = given.perturbed("uniform", 1.0)
    before = pdist(images.flatten(start_dim=1).double().numpy())
    lengths = (images.double() - image().double()).flatten(start_dim=1).norm(dim=1)
    out, clean = images, image()[None]
    for name, part in given.network.module.named_children():
        out, clean = part(out), part(clean)
        flat = out.flatten(start_dim=1).double()
        row = at.loc[name]
        assert row["units"] == flat.shape[1]
        assert row["rho"] == pytest.approx(np.corrcoef(before, pdist(flat.numpy()))[0, 1], abs=1e-6)
        ratios = (flat - clean.flatten().double()).norm(dim=1) / lengths
        assert row["ratio"] == pytest.approx(float(ratios.square().mean().sqrt()), rel=1e-5)
        assert row["relative"] == pytest.approx(row["ratio"] * float(image().norm() / clean.norm()), rel=1e-4)
    assert table.loc[table["layer"] == "image", ["rho", "relative"]].to_numpy() == pytest.approx(1)


def test_orthogonal_layers_lose_nothing_and_scale_alone() -> None:
    generator = np.random.default_rng(0)
    module = nn.Sequential(nn.Flatten(), *(nn.Linear(UNITS, UNITS, bias=False) for _ in range(3)), nn.Linear(UNITS, 3))
    for part in list(module)[1:4]:
        part.weight.data = 2 * torch.from_numpy(np.linalg.qr(generator.normal(size=(UNITS, UNITS)))[0]).float()
    table = white_box_probe("depth").measure(white_box_input(module, image()))
    inner = table[table["layer"].isin(["1", "2", "3"])]
    assert inner["rho"].to_numpy() == pytest.approx(1, abs=1e-4)
    assert inner["ratio"].to_numpy() == pytest.approx(2.0 ** inner["layer"].astype(float).to_numpy(), rel=1e-4)
    assert inner["relative"].to_numpy() == pytest.approx(1, rel=1e-4)


def test_the_layer_of_the_features_is_as_the_probe_of_the_stores_has_it(stages: Stages) -> None:
    ball = replace(BALL, radii=(0.0, 0.1, 1.0))
    stages.samples = stages.samples.iloc[:1].assign(seed=11)
    stored = stages.run(conv_net(), "topology", ball, layer="5")
    pixels = torch.from_numpy(stages.pool.read(0).copy()).permute(2, 0, 1).float() / 255
    table = white_box_probe("depth").measure(white_box_input(conv_net(), pixels, ball=ball))
    rows = table[(table["layer"] == "5") & (table["family"] == "uniform")]
    assert rows["rho"].to_numpy() == pytest.approx(stored.query("radius > 0")["rho"].to_numpy(), abs=1e-4)


def test_groups_of_layers_change_nothing() -> None:
    whole = white_box_probe("depth").measure(white_box_input(conv_net(), image()))
    module = nn.Sequential(conv_net(), nn.Identity())
    many = white_box_probe("depth").measure(white_box_input(module, image(), layer="0.5", layer_memory=1))
    assert len(whole) == len(many) - 4  # the identity, at three radii and mixed
    numbers = ["rho", "ratio", "relative"]
    shared = many[many["kind"] != "Identity"].reset_index(drop=True)
    assert whole[numbers].equals(shared[numbers])


@pytest.mark.slow
def test_groups_fit_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = layers.recorded

    def counted(module: nn.Module, names: list[str]) -> object:
        sizes.append(len(names))
        return original(module, names)

    monkeypatch.setattr(layers, "recorded", counted)
    wide = nn.Sequential(
        nn.Flatten(), *(nn.Linear(UNITS if n == 0 else 9000, 9000) for n in range(3)), nn.Linear(9000, 3)
    )
    white_box_probe("depth").measure(white_box_input(wide, image(), draws=12, layer_memory=1))
    sizes = sizes[2:]  # after passes of two and of three images
    assert max(sizes) < 5, "13 outputs of 9000 units take half a megabyte: two layers a group"
    assert sum(sizes) % 5 == 0


@pytest.mark.slow
def test_blocks_are_modules_that_are_no_lists() -> None:
    assert layers.blocks(conv_net()) == ["0", "1", "2", "3", "4", "5", "6"]
    names = layers.blocks(resnet18(weights=None))
    assert names[:5] == ["conv1", "bn1", "relu", "maxpool", "layer1.0"]
    assert names[-2:] == ["avgpool", "fc"]
    assert "features.0" in layers.blocks(vgg11(weights=None))
    assert "inception3a" in layers.blocks(googlenet(weights=None, init_weights=False))


def test_a_wrapper_is_gone_into() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = resnet18(weights=None)

    assert layers.blocks(Wrapped())[4] == "inner.layer1.0"


@pytest.mark.parametrize("tokens", [2, 3, 4])
def test_tokens_in_front_of_images_are_no_rows(tokens: int) -> None:
    class TokensFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.mixed = nn.Linear(3 * SIZE * SIZE // tokens, 4), nn.Tanh()
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            embedded = self.embed(x.reshape(len(x), tokens, -1))
            logits: Tensor = self.head(self.mixed(embedded.transpose(0, 1)).mean(dim=0))
            return logits

    module = TokensFirst().eval()
    assert list(layers.sizes(module, module, ["embed", "mixed", "head"], torch.rand(3, SIZE, SIZE))) == [
        "embed",
        "head",
    ]


def test_an_unknown_layer_is_named() -> None:
    with pytest.raises(EpsballError, match=r"white_box.layers.net: layer '5x' does not exist in the network; .*'5'"):
        white_box_probe("depth").measure(white_box_input(conv_net(), image(), layers={"net": ("5x",)}))


def test_the_layers_that_are_asked_for_are_measured() -> None:
    table = white_box_probe("depth").measure(white_box_input(conv_net(), image(), layers={"net": ("4", "0")}))
    assert table.drop_duplicates("depth")["layer"].tolist() == ["image", "0", "4"]
