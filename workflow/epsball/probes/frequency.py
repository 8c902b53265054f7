"""The frequency argument of section 2.2: what the first layer's filters answer to noise and to its permutations.

A convolution multiplies spectra, and by Parseval's theorem the energy of what comes out is the sum over frequencies of
the energy of the product. A permutation of independent elements has a flat spectrum again: responses differ, their
energy hardly. A permutation of a low-frequency vector moves its energy to all frequencies, and the response with it.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from epsball.config import WhiteBox
from epsball.networks.model import Network
from epsball.networks.scores import Array
from epsball.probes.white_box_input import WhiteBoxInput
from epsball.runs.gaps import UnavailableError

PASSES = {"sample": 1}  # see `epsball.probes.passes`; of the first layer alone
_FAMILIES = ("permuted", "low_frequency", "permuted_low_frequency")


def measure(inputs: WhiteBoxInput) -> pd.DataFrame:
    """Compute mean square responses of the first convolution's filters to perturbations alone, biases aside.

    The response is linear in the perturbation: one radius, the smallest from 1 on, says all.

    Returns:
        A row a family (permuted: Eq. 6; low_frequency; permuted_low_frequency) and filter: family, filter, radius,
        draws; measured, the mean square over the network's own output positions, mean over draws; parseval, the same
        from the spectra of filter and perturbation, over all positions of a torus: equal but for the border and the
        positions that a stride leaves out; white, what a flat spectrum of the same energy a channel gives; spread, the
        standard deviation of the measured over draws, relative; difference, the distance of the responses to successive
        draws over the root mean of their squares, √2 where unrelated.

    Raises:
        UnavailableError: the network's first layer is no convolution.
    """
    radius = min((r for r in inputs.ball.radii if r >= 1), default=max(inputs.ball.radii))
    (clean,), (clean_out,), layer = _first_layer(inputs.network, inputs.pixels[None], inputs.network_name)
    weight = layer.weight.detach().cpu().double()
    rows = []
    for family in _FAMILIES:
        into, out, _ = _first_layer(inputs.network, inputs.perturbed(family, radius), inputs.network_name)
        moved = into - clean
        response = out - clean_out
        measured = response.square().mean(dim=(2, 3)).numpy()
        predicted = np.stack([_parseval(one, weight, layer) for one in moved])
        apart = (response[1:] - response[:-1]).square().mean(dim=(2, 3)).numpy()
        with np.errstate(invalid="ignore", divide="ignore"):  # of a filter that answers nothing
            frame = {
                "measured": measured.mean(axis=0),
                "parseval": predicted.mean(axis=0),
                "white": _white(moved, weight, layer.groups),
                "spread": measured.std(axis=0, ddof=1) / measured.mean(axis=0),
                "difference": np.sqrt(apart.mean(axis=0) / measured.mean(axis=0)),
            }
        numbers = {"family": family, "filter": range(len(weight)), "radius": radius, "draws": len(moved)}
        rows.append(pd.DataFrame(numbers | frame))
    return pd.concat(rows, ignore_index=True)


def require(network: Network, network_name: str, settings: WhiteBox) -> None:
    """See `epsball.probes.require`."""
    _convolutions(network, network_name)


def _convolutions(network: Network, name: str) -> list[nn.Conv2d]:
    found = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    if not found:
        said = "has no convolution to measure frequency by"
        raise UnavailableError(said, f"networks.{name}: {said}")
    return found


class _ReachedError(Exception):
    """The first convolution was passed, given its input and output; the rest of the network need not be."""


def _first_layer(network: Network, images: Tensor, name: str) -> tuple[Tensor, Tensor, nn.Conv2d]:
    """Return input and output of the first convolution, float64 (n, channels, height, width) on the CPU, and itself."""

    def stop(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        raise _ReachedError(inputs[0].cpu().double(), output.cpu().double(), part)

    with contextlib.ExitStack() as hooks, torch.no_grad():
        for part in _convolutions(network, name):
            hooks.callback(part.register_forward_hook(stop).remove)
        try:
            network.run(images)  # not a pass of one image, which may come first to find the classification layer
        except _ReachedError as reached:
            into, out, layer = reached.args
            if into.ndim != 4 or len(into) != len(images):
                raise UnavailableError(
                    f"the first convolution gets {'x'.join(map(str, into.shape))} numbers for {len(images)} images, "
                    "expected each image once"
                ) from None
            return into, out, layer
    raise UnavailableError("no convolution is passed to measure frequency by")


def _parseval(moved: Tensor, weight: Tensor, layer: nn.Conv2d) -> Array:
    """Compute the mean square of each filter's response to `moved` (channels, height, width) on a torus, by spectra."""
    height, width = moved.shape[1:]
    spread = torch.zeros(*weight.shape[:2], height, width, dtype=torch.float64)
    rows = torch.arange(weight.shape[2]) * layer.dilation[0] % height
    columns = torch.arange(weight.shape[3]) * layer.dilation[1] % width
    places = (rows[:, None] * width + columns).flatten()
    spread.flatten(start_dim=2).index_add_(2, places, weight.flatten(start_dim=2))
    spectrum, filters = torch.fft.rfft2(moved), torch.fft.rfft2(spread).conj()
    group, channels = len(weight) // layer.groups, weight.shape[1]
    energy = []
    for number, own in enumerate(filters):
        squares = (own * spectrum[number // group * channels :][:channels]).sum(dim=0).abs().square()
        # The real transform holds one of each pair of frequencies; these are their own partners.
        alone = squares[:, 0].sum() + (squares[:, -1].sum() if width % 2 == 0 else 0.0)
        energy.append(float(2 * squares.sum() - alone))
    return np.array(energy) / (height * width) ** 2


def _white(moved: Tensor, weight: Tensor, groups: int) -> Array:
    """Compute mean square responses to independent elements of the same mean square in each channel."""
    power = moved.square().mean(dim=(0, 2, 3)).reshape(groups, -1)
    gain = weight.square().sum(dim=(2, 3)).reshape(groups, -1, weight.shape[1])
    return torch.einsum("gc,gkc->gk", power, gain).flatten().numpy()
