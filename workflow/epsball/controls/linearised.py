"""The network linearised at the sample: logits and features at x plus their exact Jacobian times v.

Where it scores like the network, the network's curvature plays no role.
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
    """First-order expansion of a network at an image."""

    image: Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("image", torch.empty(0))

    def refit_at(self, image: Tensor, label: int) -> None:
        """Expand at this image from now on."""
        self.image = image.clone()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features, each Φ(x) + J v."""
        with torch.inference_mode(False):
            at = self.image[None]
            # Mapped over draws, so that the network itself is passed once and not once for each draw.
            along = (images - at).clone()[:, None]
            values, changes = vmap(lambda v: jvp(self.network, (at,), (v,)))(along)  # type: ignore[misc]
        return (values[0] + changes[0])[:, 0], (values[1] + changes[1])[:, 0]


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    return Linearised(network)
