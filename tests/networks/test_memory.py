"""A network that draws random numbers or drifts is refused, however rarely or little it shows."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks.model import Network, probe_shape
from support.toys import SIZE
from torch import Tensor, nn

IMAGE = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Base(nn.Module):
    """Pooled activations and a classifier; a subclass changes what is between them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)
        self.register_buffer("mean", torch.zeros(8))
        self.calls = 0
        self.generator = torch.Generator().manual_seed(0)
        self.shuffled = np.random.default_rng(0)

    def between(self, features: Tensor) -> Tensor:
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.between(self.conv(images).relu().mean((2, 3))))
        return logits


class Rare(Base):
    """Wrong once in a million passes."""

    def between(self, features: Tensor) -> Tensor:
        return features * float(torch.rand(()) > 1e-6)


class RareOwn(Base):
    def between(self, features: Tensor) -> Tensor:
        return features * float(torch.rand((), generator=self.generator) > 1e-6)


class RareNumpy(Base):
    def between(self, features: Tensor) -> Tensor:
        return features * float(np.random.rand() > 1e-6)  # noqa: NPY002


class RareNumpyOwn(Base):
    def between(self, features: Tensor) -> Tensor:
        return features * float(self.shuffled.random() > 1e-6)


class RarePython(Base):
    def between(self, features: Tensor) -> Tensor:
        return features * float(random.random() > 1e-6)


class Drifting(Base):
    mean: Tensor

    def between(self, features: Tensor) -> Tensor:
        out = features - self.mean
        self.mean.mul_(0.999999).add_(1e-6 * features.mean(0))
        return out


class DriftingWeight(Base):
    def between(self, features: Tensor) -> Tensor:
        self.fc.weight.data = self.fc.weight.data * (1 + 1e-6)
        return features


class DriftingMasked(DriftingWeight):
    """A class that a huge number masks hides nothing of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.fc.bias.data[2] = -1e9


class DriftingNumber(Base):
    def between(self, features: Tensor) -> Tensor:
        self.calls += 1
        return features * (1 + 1e-7 * self.calls)


class Later(Base):
    """Another function after a thousand passes."""

    def between(self, features: Tensor) -> Tensor:
        self.calls += 1
        return -features if self.calls > 1000 else features


class TrainedInPasses(Base):
    """Batch normalisation whose statistics are made in eval mode, slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(8, momentum=1e-6)

    def between(self, features: Tensor) -> Tensor:
        plane = features[:, :, None, None].repeat(1, 1, 2, 2)
        self.norm.train()
        self.norm(plane)
        out: Tensor = self.norm.eval()(plane)
        return out.mean((2, 3))


class Counting(Base):
    mean: Tensor

    def between(self, features: Tensor) -> Tensor:
        self.calls += 1
        self.mean += 1
        self.last = features
        return features


class Seeded(Base):
    def between(self, features: Tensor) -> Tensor:
        torch.manual_seed(1)
        return features + torch.randn(1, 8)


class DrawnOnce(Base):
    """What is made in the first pass stays."""

    def between(self, features: Tensor) -> Tensor:
        if not self.calls:
            self.calls, self.shift = 1, torch.randn(8)
        return features + self.shift


@pytest.mark.parametrize(
    ("make", "whose"),
    [
        (Rare, "PyTorch's"),
        (RareOwn, "of module.generator"),
        (RareNumpy, "NumPy's"),
        (RareNumpyOwn, "of module.shuffled"),
        (RarePython, "the module random's"),
    ],
)
def test_random_numbers_are_refused_however_rarely_they_show(make: Callable[[], nn.Module], whose: str) -> None:
    with pytest.raises(EpsballError, match=rf"a pass draws random numbers \({whose}\)"):
        probe_shape(Network(make().eval()), IMAGE)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Drifting, "mean"),
        (DriftingMasked, "weight"),
        (DriftingWeight, "weight"),
        (DriftingNumber, "calls"),
        (Later, "calls"),
        (TrainedInPasses, "num_batches_tracked, running_mean, running_var"),
    ],
)
def test_state_that_outputs_depend_on_is_refused_however_slowly_it_changes(
    make: Callable[[], nn.Module], what: str
) -> None:
    network = Network(make().eval())
    with pytest.raises(EpsballError, match=rf"keeps state that each pass changes and outputs depend on \({what}\)"):
        probe_shape(network, IMAGE)
    assert all(held.isfinite().all() for held in network.state_dict().values())


@pytest.mark.parametrize("make", [Base, Counting, Seeded, DrawnOnce])
def test_counters_seeds_and_what_is_made_once_are_allowed(make: Callable[[], nn.Module]) -> None:
    network = Network(make().eval())
    assert probe_shape(network, IMAGE) == (3, 8)
    outputs = network(IMAGE[None])
    assert all(map(torch.equal, network(IMAGE[None]), outputs))
