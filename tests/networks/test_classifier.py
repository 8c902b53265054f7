"""The classification layer is the one whose output is the logits, wherever it is defined."""

from __future__ import annotations

import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks.model import Network
from support.toys import SIZE, conv_net
from torch import Tensor, nn
from torch.nn import functional

IMAGES = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Base(nn.Module):
    """Pooled activations, a classifier, and a Linear module that is defined after it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(8, 3)
        self.other = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x))
        return logits


class Gated(Base):
    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        gate = self.other(features).sigmoid().mean(1, keepdim=True)
        logits: Tensor = self.head(features * gate)
        return logits


class TwoHeads(Base):
    """The mean of two heads, as of DeiT's and LeViT's in eval mode."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        mean: Tensor = (self.head(features) + self.other(features)) / 2
        return mean


class Functional(Base):
    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(self.body(x), self.head.weight, self.head.bias)


class Scaled(Base):
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = 10 * self.head(self.body(x))
        return logits


class Twice(Base):
    """The classifier also sees another input first."""

    def forward(self, x: Tensor) -> Tensor:
        self.head(self.body(x.flip(1)))
        logits: Tensor = self.head(self.body(x))
        return logits


class InPlaceAfterwards(Base):
    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        logits: Tensor = self.head(input=features)
        features.zero_()
        return logits


class Convolutional(Base):
    """A 1 × 1 convolution, and modules behind it that only change the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Sequential(nn.Dropout(), nn.Conv2d(8, 3, 1), nn.Flatten(), nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.body(x)[:, :, None, None])
        return logits


@pytest.mark.parametrize(
    ("module", "name"),
    [(Base(), "head"), (Gated(), "head"), (InPlaceAfterwards(), "head"), (Convolutional(), "last.1")],
)
def test_the_layer_that_gives_the_logits_is_the_classifier(module: Base, name: str) -> None:
    network = Network(module.eval())
    logits, features = network(IMAGES)
    assert network.classifier == name
    assert network.features_from == f"input of {name}"
    part = module.get_submodule(name)
    assert isinstance(part, nn.Linear | nn.Conv2d)
    torch.testing.assert_close(functional.linear(features, part.weight.flatten(1), part.bias), logits)


def test_features_are_those_of_a_network_that_is_defined_in_order() -> None:
    assert torch.equal(Network(Gated().eval())(IMAGES)[1].sign(), Network(Base().eval())(IMAGES)[1].sign())
    plain = conv_net().eval()
    assert Network(plain)(IMAGES)[1].shape == (3, plain[-1].in_features)


class Tempered(Base):
    """Has a parameter of its own around all of it, as a temperature is."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Base()
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x) / self.temperature
        return logits


class Bilinear(Base):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Bilinear(8, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        logits: Tensor = self.last(features, self.other(features))
        return logits


def _first(module: nn.Module) -> nn.Module:
    """A network that is behind a normalisation, which makes it a part."""
    return nn.Sequential(nn.BatchNorm2d(3), module)


@pytest.mark.parametrize(
    "module",
    [
        _first(Tempered()),
        nn.Sequential(Base(), nn.BatchNorm1d(3)),
        nn.Sequential(Base(), nn.LayerNorm(3)),
        nn.Sequential(Base(), nn.PReLU()),
        Bilinear(),
    ],
)
def test_what_only_scales_the_logits_or_takes_more_than_the_features_is_no_classifier(module: nn.Module) -> None:
    with pytest.raises(EpsballError, match=r"which is not one classification layer, .*; set its key layer to"):
        Network(module.eval())(IMAGES)


def test_a_part_with_parameters_of_its_own_hides_no_classifier() -> None:
    class Positioned(Base):
        def __init__(self) -> None:
            super().__init__()
            self.position = nn.Parameter(torch.zeros(3, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = super().forward(x + self.position)
            return logits

    network = Network(_first(Positioned()).eval())
    network(IMAGES)
    assert network.classifier == "1.head"


class EarlyExit(Base):
    """Dark images leave by another head."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        dark = (x.mean((1, 2, 3)) < 0.2)[:, None]
        return torch.where(dark, self.other(features), self.head(features))


def test_a_classifier_that_is_not_that_of_all_images_is_found_out() -> None:
    network = Network(EarlyExit().eval())
    network(IMAGES)
    assert network.classifier == "head"
    network.require_layer(IMAGES)
    with pytest.raises(EpsballError, match="some images are not the output of 'head', .* as with an early exit"):
        network.require_layer(IMAGES * torch.tensor([1, 1, 0.1])[:, None, None, None])


def test_a_layer_that_runs_twice_has_no_output_of_its_own() -> None:
    module = Twice().eval()
    with pytest.raises(EpsballError, match=r"its layer 'body\.3' runs 2 times in a pass"):
        Network(module, "body.3").require_layer(IMAGES)
    with pytest.raises(EpsballError, match=r"that is, or pass it through a torch\.nn\.Identity"):
        Network(module)(IMAGES)


@pytest.mark.parametrize("module", [TwoHeads(), Functional(), Scaled()])
def test_where_no_layer_gives_the_logits_it_is_asked_for(module: Base) -> None:
    with pytest.raises(EpsballError, match=r"set its key layer to the layer .*, such as 'body' or 'body\.3'"):
        Network(module.eval())(IMAGES)
    assert torch.equal(Network(module, "body.3")(IMAGES)[1], module.body(IMAGES))


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(dim=1)])
def test_a_last_step_to_scores_is_named_before_a_layer_is_asked_for(last: nn.Module) -> None:
    with pytest.raises(EpsballError, match=r"lie between 0 and 1 \(leave out a last sigmoid or softmax\)"):
        Network(nn.Sequential(Base(), last).eval())(IMAGES)


class Matrices(nn.Module):
    """Two layers whose weights are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.first).relu().mean((2, 3)) @ self.second.T


class FrozenFilters(nn.Module):
    """A layer that is learned behind one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("first", torch.randn(8, 8))
        self.second = nn.Parameter(torch.randn(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(functional.linear(x, self.get_buffer("first")).relu(), self.second)


class OneVector(nn.Module):
    """Two layers whose weights are one vector, as of hypernetworks."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(8 * 8 + 3 * 8))

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.split(self.weights, [8 * 8, 3 * 8])
        return functional.linear(functional.linear(x, first.view(8, 8)).relu(), second.view(3, 8))


class OfImages(nn.Module):
    """A whole network with one matrix of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 6))

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        return functional.linear(pooled.sin(), self.weight)


class ListHead(nn.Module):
    """A classifier of several features."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 16))

    def forward(self, one: Tensor, others: list[Tensor]) -> Tensor:
        return torch.cat([one, *others], 1) @ self.weight.T


class InAList(Base):
    def __init__(self) -> None:
        super().__init__()
        self.head = ListHead()  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x)
        logits: Tensor = self.head(features, [features.clone()])
        return logits


class OfATask(nn.Linear):
    """The number of a task comes first."""

    def forward(self, task: int, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class Tasks(Base):
    def __init__(self) -> None:
        super().__init__()
        self.head = OfATask(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(0, self.body(x))
        return logits


class ScaledByConvolution(Base):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Conv2d(3, 3, 1, groups=3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.scale(self.head(self.body(x))[..., None, None]).flatten(1)
        return logits


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (nn.Sequential(nn.Identity(), Matrices()), "the logits are the output of '1', which is not one"),
        (nn.Sequential(Base().body, FrozenFilters()), "the logits are the output of '1', which is not one"),
        (nn.Sequential(Base().body, OneVector()), "the logits are the output of '1', which is not one"),
        (nn.Sequential(nn.Identity(), OfImages()), "the logits are the output of '1', which is not one"),
        (InAList(), "the logits are the output of 'head', which is not one"),
        (ScaledByConvolution(), "the logits are the output of 'scale', which is not one"),
    ],
)
def test_two_layers_in_one_module_several_inputs_and_scales_are_asked_about(module: nn.Module, named: str) -> None:
    with pytest.raises(EpsballError, match=named):
        Network(module.eval())(IMAGES)


def test_the_features_are_the_tensor_among_the_arguments() -> None:
    module = Tasks().eval()
    assert torch.equal(Network(module)(IMAGES)[1], module.body(IMAGES))
