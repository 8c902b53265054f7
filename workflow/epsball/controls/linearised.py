"""The network linearised at the sample: logits and features at x plus their Jacobian times v, exactly.

Where it scores as the network does, the network's curvature says nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap

from epsball.networks.model import Network

PROBES = ("isotropy", "symmetry", "topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = False
PASSES = 2


class Linearised(nn.Module):
    """First-order expansion of a network at a centre."""

    image: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("image", torch.empty(0))

    def refit_at(self, image: Tensor, label: int) -> None:
        """Expand at an image from here on."""
        self.image = image.clone()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, each Φ(x) + J v."""
        with torch.inference_mode(False):
            at = self.image[None]
            # Draw by draw, that the network itself is passed once and not once a draw.
            along = (images - at).clone()[:, None]
            values, changes = vmap(lambda v: jvp(self.network, (at,), (v,)))(along)  # type: ignore[misc]
        return (values[0] + changes[0])[:, 0], (values[1] + changes[1])[:, 0]


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    return Linearised(network)
