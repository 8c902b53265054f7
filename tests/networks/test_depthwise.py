"""Depthwise convolutions in float64 against PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from epsball.config import Compute, NetworkSpec
from epsball.networks import depthwise, model
from epsball.networks.depthwise import Depthwise
from epsball.networks.forward import Forward
from torch import nn

Options = dict[str, Any]
TAKEN: list[Options] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "stride": 2, "padding": 2, "bias": False},
    {"kernel_size": (3, 5), "stride": (1, 2), "padding": (0, 3)},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    {"kernel_size": 2, "out_channels": 18},
    {"kernel_size": 9, "padding": 0},
]
LEFT: list[Options] = [
    {"kernel_size": 3, "groups": 3},
    {"kernel_size": 3, "groups": 1},
    {"kernel_size": 3, "dilation": 2},
    {"kernel_size": 3, "padding": "same"},
]


def both(options: Options, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A convolution of six channels, of a layer's own kind and while `Depthwise` lasts."""
    torch.manual_seed(1)
    layer = nn.Conv2d(**{"in_channels": 6, "out_channels": 6, "groups": 6, **options}).to(images.dtype)
    with torch.inference_mode():
        own = layer(images)
        with Depthwise():
            return own, layer(images)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has an entry for each convolution that was taken over."""
    calls: list[int] = []
    convolve: Callable[..., None] = depthwise._convolve

    def counted(*given: object) -> None:
        calls.append(1)
        convolve(*given)

    monkeypatch.setattr(depthwise, "_convolve", counted)
    return calls


@pytest.mark.parametrize("options", TAKEN, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["plain", "channels last"])
def test_sums_are_those_of_pytorch(options: Options, layout: torch.memory_format, taken: list[int]) -> None:
    images = torch.randn(2, 6, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own, found = both(options, images.contiguous(memory_format=layout))
    assert taken == [1]
    assert found.shape == own.shape
    torch.testing.assert_close(found, own, rtol=0, atol=1e-14)


@pytest.mark.parametrize("options", LEFT, ids=str)
def test_other_convolutions_are_left_alone(options: Options, taken: list[int]) -> None:
    own, found = both(options, torch.rand(2, 6, 9, 11, dtype=torch.float64))
    assert not taken
    assert torch.equal(found, own)


def test_those_in_float32_are_left_alone(taken: list[int]) -> None:
    own, found = both(TAKEN[0], torch.rand(2, 6, 9, 11))
    assert not taken
    assert torch.equal(found, own)


def test_the_passes_of_the_noise_floor_take_them_over(taken: list[int]) -> None:
    network = model.open_network(NetworkSpec("lite", "photographs", "efficientnet-lite:0"))
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    found, features = Forward(network, Compute(device="cpu")).float64(images)
    assert len(taken) == 16
    with torch.inference_mode():
        logits, expected = network.double()(images.double())
    torch.testing.assert_close(found, logits, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(features, expected, rtol=1e-11, atol=1e-11)
