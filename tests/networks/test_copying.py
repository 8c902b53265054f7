"""A copy of a network has weights of its own, or the network is refused."""

from __future__ import annotations

import types
import weakref
from collections.abc import Callable
from typing import Any

import epsball
import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks.copying import copy_module
from epsball.networks.model import Network, probe_shape
from epsball.robustness.differentiation import forward_first
from support.toys import SIZE
from torch import Tensor, nn

IMAGES = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.conv(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.features(images).relu().mean((2, 3)))
        return logits


class Lambda(Base):
    def __init__(self) -> None:
        super().__init__()
        self.features = lambda images: self.conv(1 * images)  # type: ignore[method-assign]


class Weak(Base):
    def __init__(self) -> None:
        super().__init__()
        self.weak = weakref.ref(self.conv)

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.weak()(images)  # type: ignore[misc]
        return found


class Hooked(Base):
    """A hook that keeps an activation, as feature extractors do."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Any = None
        self.conv.register_forward_hook(lambda part, given, output: setattr(self, "kept", output))

    def features(self, images: Tensor) -> Tensor:
        self.conv(images)
        found: Tensor = self.kept
        return found


class Listed(Base):
    """Its convolution is not among its modules."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [self.conv]
        del self.conv

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.listed[0](images)
        return found


class InTensors(Base):
    """Its weights are tensors that are no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.held = [held.detach() for held in (self.conv.weight, self.fc.weight)]
        self.head = Head(self.held[1])
        del self.conv, self.fc

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(nn.functional.conv2d(images, self.held[0]).relu().mean((2, 3)))
        return logits


class Head(nn.Module):
    """A product, with a bias alone as its parameter."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, nn.Parameter(torch.zeros(3))

    def forward(self, features: Tensor) -> Tensor:
        return features @ self.weight.T + self.bias


class ListedToo(Base):
    """Its convolution is among its modules, and in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [self.conv]

    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.listed[0](images)
        return found


def patched() -> nn.Module:
    module = Base()
    old = module.forward
    module.forward = lambda images: old(1 * images)  # type: ignore[method-assign]
    return module


def bound() -> nn.Module:
    module = Base()
    module.features = types.MethodType(Base.features, module)  # type: ignore[method-assign]
    return module


@pytest.mark.parametrize("make", [Lambda, Weak, Hooked, patched])
def test_a_function_that_uses_the_original_is_refused(make: Callable[[], nn.Module]) -> None:
    sentence = "a function that the network holds, such as a hook, a lambda or a patched forward, uses the network"
    with pytest.raises(EpsballError, match=sentence):
        probe_shape(Network(make().eval()), IMAGES[0])
    with pytest.raises(EpsballError, match=sentence):
        epsball.measure(make(), IMAGES, [0] * len(IMAGES), radii=[1.0], draws=4, batch=4)


@pytest.mark.parametrize("make", [Base, bound, ListedToo])
def test_methods_and_modules_of_its_own_are_copied(make: Callable[[], nn.Module]) -> None:
    module = make().eval()
    probe_shape(Network(module), IMAGES[0])
    made = copy_module(module)
    with torch.no_grad():
        for held in module.parameters():
            held.fill_(torch.nan)
    assert torch.equal(made(IMAGES), Base()(IMAGES))


@pytest.mark.slow
def test_random_weights_are_refused_where_some_are_out_of_reach() -> None:
    arguments: dict[str, Any] = {"radii": [1.0], "draws": 4, "batch": 4, "controls": ["random-weights"]}
    labels = [0] * len(IMAGES)
    with pytest.raises(EpsballError, match="has weights that are not among its parameters"):
        epsball.measure(Listed(), IMAGES, labels, "lipschitz", **arguments)
    with pytest.raises(EpsballError, match="features do not change with the weights of its layers"):
        epsball.measure(InTensors(), IMAGES, labels, "lipschitz", **arguments)
    found, expected = (epsball.measure(one(), IMAGES, labels, ["lipschitz"], **arguments) for one in (ListedToo, Base))
    assert found["lipschitz~random-weights"].equals(expected["lipschitz~random-weights"])


def test_a_network_is_copied_whose_derivatives_were_taken() -> None:
    """They leave an attribute without numbers, of a weight that is made anew in each pass."""
    module = Base().eval()
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(module.fc)
    expected = module(IMAGES)
    forward_first(module, IMAGES[0], torch.ones(2, 3, SIZE, SIZE))
    assert torch.allclose(copy_module(module)(IMAGES), expected)
