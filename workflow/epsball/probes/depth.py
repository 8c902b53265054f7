"""Topology and the local Lipschitz ratio layer by layer: where, from the image to the classifier, they are lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from epsball.config import Ball, WhiteBox
from epsball.errors import EpsballError
from epsball.networks import layers
from epsball.networks.model import Network
from epsball.networks.scores import Array
from epsball.probes.mantel import mantel, square
from epsball.probes.white_box_input import WhiteBoxInput

_UNITS = 2**18  # units in float64 at a time

PASSES = {
    "sample": 1,
    "radius": 1,
    "draw": 1,
    "draw_at_radius": 1,
}  # see `epsball.probes.passes`; for layers of one group
INPUT = "image"


def measure(inputs: WhiteBoxInput) -> pd.DataFrame:
    """Compare distances at each layer with those of the images: of perturbed images from each other and from the clean.

    Layers are passed in groups that fit into the memory of the settings; only distances of their outputs are kept.

    Returns:
        A row a family (uniform at each radius, mixed up to the largest), radius and layer: family, radius, draws;
        depth, 0 for the image itself, and layer, kind (its class), units; rho, Mantel's (Pearson's correlation of the
        distances with those of the images; not a number where they are all equal); ratio, the root mean square over
        draws of ‖Φ_l(x+v) - Φ_l(x)‖ / ‖v‖; relative, the same of changes relative to ‖Φ_l(x)‖ and ‖x‖, which layers of
        different scale and width can be compared by.

    Raises:
        EpsballError: there is no such layer.
    """
    parts: dict[tuple[str, float, str], _Seen] = {}
    groups = list(_groups(inputs))
    order = [INPUT, *(name for group in groups for name in group)]
    kinds = {name: type(part).__name__ for name, part in inputs.network.module.named_modules()}
    for group in groups:
        clean = _passed(inputs, group, inputs.pixels[None])
        for family, radius in _cells(inputs.ball):
            for name, outputs in _passed(inputs, group, inputs.perturbed(family, radius)).items():
                parts[family, radius, name] = _Seen(outputs, clean[name][0])
    rows = []
    for family, radius in _cells(inputs.ball):
        image = parts[family, radius, INPUT]
        for depth, name in enumerate(order):
            seen = parts[family, radius, name]
            ratio = float(np.sqrt(np.square(seen.changes / image.changes).mean()))
            rows.append(
                {
                    "family": family,
                    "radius": radius,
                    "draws": len(seen.changes),
                    "depth": depth,
                    "layer": name,
                    "kind": kinds.get(name, ""),
                    "units": seen.units,
                    "rho": mantel(image.distances, seen.distances)[0],
                    "ratio": ratio,
                    "relative": ratio * image.length / seen.length if seen.length > 0 else np.nan,
                }
            )
    return pd.DataFrame(rows)


def require(network: Network, network_name: str, settings: WhiteBox) -> None:
    """See `epsball.probes.require`."""
    _names(network, network_name, settings)


def _names(network: Network, network_name: str, settings: WhiteBox) -> list[str]:
    try:
        return layers.chosen(network.module, settings.layers.get(network_name, ()))
    except EpsballError as error:
        raise EpsballError(f"white_box.layers.{network_name}: {error}") from None


class _Seen:
    """What is kept of a layer's float32 outputs: for the perturbed images (draw, ...), and the clean one (...)."""

    def __init__(self, outputs: Tensor, clean: Tensor) -> None:
        flat, centre = outputs.flatten(start_dim=1), clean.flatten()
        gram = torch.zeros(len(flat), len(flat), dtype=torch.float64)
        for start in range(0, flat.shape[1], _UNITS):
            some = slice(start, start + _UNITS)
            change = flat[:, some].cpu().double() - centre[some].cpu().double()
            gram += change @ change.T
        squares = gram.diagonal()
        rows, columns = torch.tril_indices(len(flat), len(flat), offset=-1)
        between = (squares[rows] + squares[columns] - 2 * gram[rows, columns]).clamp_min(0).sqrt()
        self.changes: Array = squares.clamp_min(0).sqrt().numpy()  # from the clean image
        self.distances = square(between.numpy())  # from each other
        self.length = float(centre.cpu().double().norm())
        self.units = flat.shape[1]


def _cells(ball: Ball) -> list[tuple[str, float]]:
    return [*(("uniform", radius) for radius in ball.radii[1:]), ("mixed_radius", max(ball.radii))]


def _groups(inputs: WhiteBoxInput) -> Iterator[list[str]]:
    """Return the layers in the order of a pass, in groups whose outputs fit into memory."""
    names = _names(inputs.network, inputs.network_name, inputs.settings)
    bytes_of_a_unit = 4.0 * (1 + min(inputs.settings.draws, inputs.ball.draws))
    group: list[str] = []
    taken = 0.0
    for name, units in layers.sizes(inputs.network, inputs.network.module, names, inputs.pixels).items():
        size = bytes_of_a_unit * units
        if group and taken + size > inputs.settings.layer_memory * 1e6:
            yield group
            group, taken = [], 0.0
        group.append(name)
        taken += size
    yield group


def _passed(inputs: WhiteBoxInput, group: Sequence[str], images: Tensor) -> dict[str, Tensor]:
    """Pass images in batches of one size: return them and the outputs of a group of layers, float32 (image, ...)."""
    parts: list[dict[str, Tensor]] = []
    with torch.no_grad(), layers.recorded(inputs.network.module, group) as held:
        for batch in torch.split(images, inputs.forward.size):
            filled = torch.cat([batch, batch[-1:].expand(inputs.forward.size - len(batch), -1, -1, -1)])
            inputs.network(filled.contiguous(memory_format=inputs.forward.layout))
            parts.append({INPUT: batch, **{name: output[: len(batch)] for name, output in held.items()}})
    return {name: torch.cat([part.pop(name) for part in parts]) for name in [*parts[0]]}  # in memory once
