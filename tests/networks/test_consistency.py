"""What is measured is a fixed function of one image, or the run stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from epsball.errors import EpsballError
from epsball.networks.forward import Forward
from epsball.networks.model import Network, probe_shape
from epsball.stages.survey import survey
from support.toys import COMPUTE, SIZE, Stages, conv_net
from torch import Tensor, nn
from torch.nn import functional

IMAGE = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


class Around(nn.Module):
    """A network with a step before it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = conv_net()
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(self.step(x))
        return logits

    def step(self, x: Tensor) -> Tensor:
        return x


class Dropout(Around):
    def step(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.01)


class NumpyNoise(Around):
    def step(self, x: Tensor) -> Tensor:
        return x + 0.01 * torch.from_numpy(np.random.default_rng().random(x.shape)).to(x)


class Counter(Around):
    def step(self, x: Tensor) -> Tensor:
        self.passes += 1
        return x * (1 + 0.01 * self.passes)


class BatchStatistics(Around):
    def step(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, training=True)


class Ranked(Around):
    """An image's rank in its batch: nothing of normalisation."""

    def step(self, x: Tensor) -> Tensor:
        return x + x.mean((1, 2, 3)).argsort().argsort()[:, None, None, None]


CASES = [
    (Dropout, "from pass to pass .*: it draws random numbers; a likely cause is dropout that is left on"),
    (NumpyNoise, "from pass to pass .*: it changes with each pass; .* NumPy's random numbers"),
    (Counter, "from pass to pass .*: it changes with each pass; a likely cause is state that it keeps"),
    (BatchStatistics, "depend on the other images of its batch .* by the statistics of the batch"),
    (Ranked, "depend on the other images of its batch"),
]


@pytest.mark.parametrize(("module", "sentence"), CASES)
def test_networks_that_are_no_fixed_function_are_refused(module: type[Around], sentence: str, stages: Stages) -> None:
    with pytest.raises(EpsballError, match=sentence):
        probe_shape(Network(module().eval()), IMAGE)
    with pytest.raises(EpsballError, match=sentence):
        survey(Forward(Network(module().eval()), COMPUTE), stages.pool, COMPUTE.batch, "net")


def test_half_precision_is_a_fixed_function() -> None:
    assert probe_shape(Network(conv_net().half().eval()), IMAGE)[0] == 3
