"""The image itself as features: what each probe measures of a function that does nothing."""

from __future__ import annotations

from torch import Tensor, nn

from epsball.networks.model import Network, probe_shape

PROBES = ("topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = True
PASSES = 0


class Identity(nn.Module):
    """The image as features, with constant logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return equal logits for all classes, and features (n, elements)."""
        return images.new_zeros(len(images), self.classes), images.flatten(start_dim=1)


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    return Identity(probe_shape(network, image)[0])
