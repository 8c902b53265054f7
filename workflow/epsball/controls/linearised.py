"""The network linearised at the sample: logits and features at x plus their Jacobian times v, exactly.

Where it scores as the network does, the network's curvature says nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import jvp

from epsball.networks import Network

PROBES = ("isotropy", "symmetry", "topology", "lipschitz", "topology_mixed")
OWN_FEATURES = False


class Linearised(nn.Module):
    """First-order expansion of a network at a centre."""

    image: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("image", torch.empty(0))

    def centre(self, image: Tensor, label: int) -> None:
        """Expand at an image from here on."""
        self.image = image.clone()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, each Φ(x) + J v."""
        with torch.inference_mode(False):
            at = self.image.expand_as(images).contiguous()
            values, changes = jvp(self.network, (at,), (images.clone() - at,))  # type: ignore[misc]
        return values[0] + changes[0], values[1] + changes[1]


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    return Linearised(network)
