"""The same architecture with weights as before training: He et al. (2015), biases 0, identity normalisations.

It shows what the architecture alone does. Layers of other kinds keep the network's parameters. A weight that is made of
others, by weight normalisation, pruning or another parametrisation, is the drawn one as far as that allows: what is
pruned stays 0, and an orthogonal matrix orthogonal.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from epsball.errors import EpsballError
from epsball.networks.copying import require_registered
from epsball.networks.model import Network

PROBES = ("topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = True
PASSES = 1


_ITERATIONS = 100
_MADE_OF = {"weight_orig", "weight_g"}  # by hooks of PyTorch's, in a pass that reaches the layer


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    require_registered(network, lambda: network.logits(image[None]))
    before = network.logits(image[None])
    layers = [(name, part) for name, part in network.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    weights = [layer.weight.detach().clone() for _, layer in layers]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                _draw(name, layer)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, _BatchNorm):
                layer.reset_parameters()
        after = network.logits(image[None])
        for (name, layer), weight in zip(layers, weights, strict=True):
            if weight.any() and torch.equal(layer.weight, weight) and not _MADE_OF & layer._parameters.keys():
                raise _unreachable(name)
        if torch.equal(after, before):
            raise EpsballError(
                "the network's outputs do not change with the weights of its layers, which it seems to have "
                "elsewhere, such as in tensors that are no parameters; make them its parameters"
            )
    return network


def _draw(name: str, layer: nn.Conv2d | nn.Linear) -> None:
    """Draw the weight of a layer."""
    drawn = nn.init.kaiming_normal_(torch.empty_like(layer.weight), nonlinearity="relu")
    own = dict(layer.named_parameters(recurse=False))
    if parametrize.is_parametrized(layer, "weight"):
        try:
            layer.weight = drawn  # the parametrisation sets what it is made of
        except Exception:  # such as one without an inverse
            raise _unreachable(name) from None
    elif norms := [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, WeightNorm)]:
        own["weight_v"].copy_(drawn)  # the direction, and the length
        own["weight_g"].copy_(torch.norm_except_dim(drawn, 2, norms[0].dim))
    else:
        own.get("weight_orig", layer.weight).copy_(drawn)  # the former: pruning, spectral_norm
    _iterate(layer)


def _iterate(layer: nn.Module) -> None:
    """Let spectral normalisation find the norm of the drawn weight, which takes power iterations of training."""
    hooks = [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
    is_parametrised = any(isinstance(part, parametrizations._SpectralNorm) for part in layer.modules())
    layer.train()
    for _ in range(_ITERATIONS if hooks or is_parametrised else 0):
        for hook in hooks:
            hook(layer, ())
        if is_parametrised:
            _ = layer.weight
    layer.eval()


def _unreachable(name: str) -> EpsballError:
    return EpsballError(
        f"the weight of its layer '{name}' is made in each pass of something that cannot be set; leave out the control "
        "random-weights, or make the weight a parameter, as torch.nn.utils.parametrize.remove_parametrizations does"
    )
