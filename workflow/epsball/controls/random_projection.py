"""A random linear projection of the image to as many numbers as the network has features: geometry alone.

It is sparse as in Li, Hastie & Church (2006): an element is non-zero with probability 1/√d. This preserves distances as
well as a Gaussian matrix (Johnson & Lindenstrauss), and fits into memory at any image size.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from epsball.networks.model import Network, probe_shape

PROBES = ("topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = True
PASSES = 0


class Projection(nn.Module):
    """P x as features, where ‖P v‖ is ‖v‖ on average, with constant logits."""

    indices: Tensor
    values: Tensor

    def __init__(self, elements: int, units: int, classes: int, seed: int) -> None:
        super().__init__()
        self.shape, self.classes = (units, elements), classes
        generator = np.random.default_rng(seed)
        density = elements**-0.5
        counts = generator.binomial(elements, density, units)
        columns = np.concatenate([np.sort(generator.choice(elements, count, replace=False)) for count in counts])
        signs = generator.choice([-1.0, 1.0], len(columns)) / np.sqrt(density * units)
        rows = np.repeat(np.arange(units), counts)
        self.register_buffer("indices", torch.from_numpy(np.stack([rows, columns])))
        self.register_buffer("values", torch.from_numpy(signs).float())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return equal logits for all classes, and features (n, units)."""
        # Built in each pass, because PyTorch does not cast sparse buffers.
        matrix = torch.sparse_coo_tensor(self.indices, self.values, self.shape, check_invariants=False)
        features = (matrix @ images.flatten(start_dim=1).T.contiguous()).T
        return images.new_zeros(len(images), self.classes), features


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    classes, units = probe_shape(network, image)
    return Projection(image.numel(), units, classes, seed)
