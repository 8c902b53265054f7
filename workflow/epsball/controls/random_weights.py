"""The same architecture with weights as before training: He et al. (2015), biases 0, identity normalisations.

It shows what the architecture alone does. Layers of other kinds keep the network's parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from epsball.errors import EpsballError
from epsball.networks.copying import require_registered
from epsball.networks.model import Network

PROBES = ("topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = True
PASSES = 1


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    require_registered(network, lambda: network.logits(image[None]))
    before = network.logits(image[None])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, _BatchNorm):
                layer.reset_parameters()
        if torch.equal(network.logits(image[None]), before):
            raise EpsballError(
                "the network's outputs do not change with the weights of its layers, which it seems to have "
                "elsewhere, such as in tensors that are no parameters; make them its parameters"
            )
    return network
