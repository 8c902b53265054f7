"""The first layer's answer to noise, against circular convolution, where Parseval's theorem is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from epsball.errors import EpsballError
from epsball.probes import white_box_probe
from support.toys import BALL, conv_net, white_box_input
from torch import Tensor, nn

SIDE = 64


def image() -> Tensor:
    return torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def network(**options: object) -> nn.Module:
    torch.manual_seed(1)
    first = nn.Conv2d(3, 6, 5, padding=2, padding_mode="circular", **options)  # type: ignore[arg-type]
    with torch.no_grad():
        first.weight[0] = 0.04  # a mean over the neighbourhood: low frequencies pass
        first.weight[1] -= first.weight[1].mean(dim=(1, 2), keepdim=True)  # none at frequency 0
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


@pytest.mark.parametrize("options", [{}, {"groups": 3}, {"dilation": 1, "bias": False}])
def test_on_a_torus_parseval_is_exact(options: dict[str, object]) -> None:
    table = white_box_probe("frequency").measure(white_box_input(network(**options), image()))
    assert set(table["family"]) == {"permuted", "low_frequency", "permuted_low_frequency"}
    assert table["parseval"].to_numpy() == pytest.approx(table["measured"].to_numpy(), rel=1e-4)


def test_independent_elements_have_a_flat_spectrum_and_low_frequencies_have_not() -> None:
    table = white_box_probe("frequency").measure(
        white_box_input(network(), image(), ball=replace(BALL, draws=40), draws=40)
    )
    flat = table[table["family"] == "permuted"]
    assert (flat["measured"] / flat["white"]).to_numpy() == pytest.approx(1, abs=0.1)
    # Responses to two permutations have nothing in common, and yet the same energy.
    assert flat["difference"].to_numpy() == pytest.approx(np.sqrt(2), rel=0.15)
    assert (flat["spread"] < 0.2).all()
    gain = {name: (rows["measured"] / rows["white"]).to_numpy() for name, rows in table.groupby("family")}
    # No permutation changes the mean of all elements, which the first filter passes.
    assert gain["low_frequency"][0] > 10 > 4 > gain["permuted_low_frequency"][0]
    assert gain["low_frequency"][1] < 0.5 < gain["permuted_low_frequency"][1]


def test_a_network_without_a_convolution_is_told() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 4), nn.Linear(4, 3))
    with pytest.raises(EpsballError, match=r"networks.net: has no convolution to measure frequency by"):
        white_box_probe("frequency").measure(white_box_input(module, image()))


class Flipped(nn.Module):
    """Passes each image and its mirror image."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.both = conv_net(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(self.both(torch.cat([x, x.flip(-1)]))).unflatten(0, (2, -1)).mean(dim=0)
        return logits


def test_a_convolution_that_gets_other_rows_than_images_is_told() -> None:
    with pytest.raises(EpsballError, match=r"the first convolution gets \d+x3x\d+x\d+ numbers for \d+ images"):
        white_box_probe("frequency").measure(white_box_input(Flipped(), image(), layer="both"))


def test_the_rest_of_the_network_is_not_passed() -> None:
    module = conv_net()
    module.append(nn.Module())  # cannot be called
    assert len(white_box_probe("frequency").measure(white_box_input(module, image(), layer="5"))) == 3 * 5
