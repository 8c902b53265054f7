"""Sources of networks, layers, weights, and what is said when they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import conv_net
from epsball import networks
from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import Network, efficientnet_lite
from torch import nn


def spec(factory: str, **keys: object) -> NetworkSpec:
    return NetworkSpec(name="mine", dataset="d", factory=factory, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "parameters"), [("ciresan2012", 1_543_443), ("aghdam2015", 1_123_449)])
def test_sign_networks_have_the_published_parameters(name: str, parameters: int) -> None:
    module = networks.build(spec(f"sign:{name}"))
    assert networks.parameters(module) == parameters
    assert networks.probe_shape(Network(module), torch.rand(3, 48, 48)) == (43, 300)


def test_published_reductions_of_parameters_are_met() -> None:
    """Aghdam et al. 2015: 27% fewer than Ciresan's, 22% fewer than the runner-up's."""
    assert round(100 * (1 - 1_123_449 / 1_543_443)) == 27
    assert round(100 * (1 - 1_123_449 / 1_437_791)) == 22


def test_efficientnet_lite_has_its_shapes() -> None:
    network = networks.open_network(spec("efficientnet-lite:0"))
    assert networks.probe_shape(network, torch.rand(3, 64, 64)) == (1000, 1280)


def test_features_are_what_enters_the_last_linear_module() -> None:
    module = conv_net()
    module.eval()
    images = torch.rand(4, 3, 6, 6)
    logits, features = Network(module)(images)
    assert torch.equal(features, module[:-1](images))
    assert torch.equal(module[-1](features), logits)
    assert torch.equal(Network(conv_net().eval(), "0")(images)[1], module[0](images).flatten(1))


def test_layers_that_do_not_exist() -> None:
    with pytest.raises(EpsballError, match="layer 'clasifier' does not exist .*; did you mean 'classifier'"):
        Network(Named(), "clasifier")
    with pytest.raises(EpsballError, match="no Linear module"):
        Network(nn.Conv2d(3, 3, 1))


class Named(nn.Module):
    """Has a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 2)


FACTORY = """
import torch
from torch import nn

def make(width=4, weights=None):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, width))
    if weights:
        net.load_state_dict(torch.load(weights, weights_only=True))
    return net

def broken():
    raise RuntimeError("no luck")

def wrong():
    return 7
"""


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FACTORY)
    return path


def test_own_factory_with_args_and_weights(factory: Path, tmp_path: Path) -> None:
    torch.save({"1.weight": torch.ones(6, 12), "1.bias": torch.zeros(6)}, tmp_path / "w.pt")
    made = networks.build(spec(f"{factory}:make", args={"width": 6}, weights=str(tmp_path / "w.pt")))
    assert float(made(torch.ones(1, 3, 2, 2)).sum()) == 72


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mak", "factory 'mak' does not exist in .*mine.py; did you mean 'make'"),
        ("broken", "factory '.*' fails: RuntimeError: no luck"),
        ("wrong", "returned int, expected a torch.nn.Module"),
    ],
)
def test_factories_that_do_not_work(factory: Path, name: str, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        networks.open_network(spec(f"{factory}:{name}"))


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        ("nowhere.py:make", "factory's file 'nowhere.py' does not exist"),
        ("no_such_package.x:make", "factory's module 'no_such_package.x' does not exist"),
        ("sign:ciresan201", "did you mean 'ciresan2012'"),
        ("efficientnet-lite:7", "'efficientnet-lite:7' does not exist"),
    ],
)
def test_factories_that_do_not_exist(factory: str, sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        networks.open_network(spec(factory))


def test_missing_weights(factory: Path) -> None:
    with pytest.raises(EpsballError, match="networks.mine: weights 'gone.npz' do not exist"):
        networks.open_network(spec(f"{factory}:make", weights="gone.npz"))


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (
            {"1.weight": torch.ones(5, 12), "1.bias": torch.zeros(4)},
            r"'1.weight' have shape \(5, 12\), expected \(4",
        ),
        ({"1.weight": torch.ones(4, 12)}, "weights have no '1.bias'"),
        (
            {"1.weight": torch.ones(4, 12), "1.bias": torch.zeros(4), "2.bias": torch.zeros(4)},
            "weights hold '2.bias', which the network does not have; did you mean '1.bias'",
        ),
    ],
)
def test_weights_that_do_not_fit(factory: Path, weights: dict[str, torch.Tensor], sentence: str) -> None:
    with pytest.raises(EpsballError, match=sentence):
        networks.open_network(spec(f"{factory}:make"), weights)


def test_images_that_a_network_does_not_take(factory: Path) -> None:
    network = networks.open_network(spec(f"{factory}:make"))
    with pytest.raises(EpsballError, match=r"does not take an image of shape \(3, 9, 9\)"):
        networks.probe_shape(network, torch.rand(3, 9, 9))


def test_folding_changes_nothing_but_rounding() -> None:
    module = efficientnet_lite._EfficientNetLite("0", 64).eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(part.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(part.bias, -1, 1)
    images = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    module.double().requires_grad_(False)
    before = module(images)
    after = efficientnet_lite.fold(module)(images)
    assert float((after - before).abs().max()) < 1e-9 * float(before.abs().max())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
