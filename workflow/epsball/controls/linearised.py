"""The network linearised at the sample: logits and features at x plus their exact Jacobian times v.

Where it scores like the network, the network's curvature plays no role.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from epsball.errors import EpsballError
from epsball.networks.model import Network, probe_shape
from epsball.robustness.derivatives import require_finite
from epsball.robustness.differentiation import Along, Function, first_order
from epsball.robustness.true_derivative import wrong_derivative

PROBES = ("isotropy", "symmetry", "topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = False
PASSES = 2


class Linearised(nn.Module):
    """First-order expansion of a network at an image."""

    image: Tensor

    def __init__(self, network: Network, classes: int, along: Along) -> None:
        super().__init__()
        self.network, self.classes, self.along = network, classes, along
        self.register_buffer("image", torch.empty(0))

    def refit_at(self, image: Tensor, label: int) -> None:
        """Expand at this image from now on."""
        self.image = image.clone()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features, each Φ(x) + J v."""
        values, changes = self.along(_joined(self.network), self.image, images - self.image)
        expanded = values + require_finite(changes)
        return expanded[:, : self.classes], expanded[:, self.classes :]


def _joined(network: Network) -> Function:
    """Return logits and features as one function."""
    return lambda images: torch.cat(network(images), dim=1)


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    if wrong := wrong_derivative(network, image):
        raise EpsballError(wrong)
    classes, _ = probe_shape(network, image)
    return Linearised(network, classes, first_order(_joined(network), image))
