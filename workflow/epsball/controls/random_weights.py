"""The same architecture with weights as before training: He et al. (2015), biases 0, identity normalisations.

It shows what the architecture alone does. Drawn is what has at least two dimensions, of layers of every kind, such as
convolutions, linear layers and attention; other vectors, such as scales, stay. A weight that is made of others, by
weight normalisation, pruning or another parametrisation, is the drawn one as far as that allows: what is pruned stays
0, and an orthogonal matrix orthogonal. What a network makes of its weights when it goes to eval mode is made anew.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from epsball.errors import EpsballError
from epsball.networks.copying import held_tensors, require_registered, storage, touched
from epsball.networks.model import Network
from epsball.networks.state import MADE_OF

PROBES = ("topology", "lipschitz", "topology_mixed_radius")
OWN_FEATURES = True
PASSES = 1


_ITERATIONS = 100
_NORMALISATIONS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


class _Weight(NamedTuple):
    name: str  # of its layer
    layer: nn.Module
    key: str
    before: Tensor

    @property
    def now(self) -> Tensor:
        weight: Tensor = getattr(self.layer, self.key)
        return weight

    @property
    def made_of(self) -> Sequence[str]:
        """What hooks make it of."""
        return [key for suffix in MADE_OF if (key := self.key + suffix) in self.layer._parameters]


def make(network: Network, image: Tensor, seed: int) -> nn.Module:
    """See `epsball.controls.Control`."""
    outputs: Callable[[], tuple[Tensor, Tensor]] = functools.partial(network, image[None])
    require_registered(network, outputs)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = outputs()
        others = [(held, held.clone()) for held in held_tensors(network)]
        weights = list(_weights(network))
        torch.manual_seed(seed)
        for weight in weights:
            _draw(weight)
        for layer in network.modules():
            for key, parameter in layer._parameters.items():
                if parameter is not None and key.endswith("bias") and _is_vector(parameter):
                    parameter.zero_()
            if isinstance(layer, _NORMALISATIONS):
                layer.reset_parameters()
        network.train()
        for layer in network.modules():
            _iterate(layer)
        network.eval()
        after = outputs()
        used = touched(Tensor, outputs)
        _require_drawn(weights, used, others)
    if any(map(torch.equal, before, after)):
        raise EpsballError(
            "the network's features do not change with the weights of its layers, which it seems to have elsewhere, "
            "such as in tensors that are no parameters, or not at all; make them its parameters, or leave out the "
            "control random-weights"
        )
    return network


def _weights(network: Network) -> Iterator[_Weight]:
    """Yield the weights of a network's layers: of convolutions and linear ones these, of others what is no vector."""
    for name, layer in network.named_modules():
        if ".parametrizations" in name or isinstance(layer, _NORMALISATIONS):
            continue
        keys = ["weight"] if isinstance(layer, nn.Linear | _ConvNd) else []
        keys += _parametrised(layer)
        for key, parameter in layer._parameters.items():
            made = [key.removesuffix(suffix) for suffix in MADE_OF if key.endswith(suffix)]
            made = [whole for whole in made if isinstance(getattr(layer, whole, None), Tensor)]
            if parameter is not None and (made or not _is_vector(parameter)):
                keys.append(made[0] if made else key)
        for key in dict.fromkeys(keys):
            weight = getattr(layer, key)
            if weight.is_floating_point() or weight.is_complex():
                yield _Weight(name.removeprefix("module."), layer, key, weight.detach().clone())


def _parametrised(layer: nn.Module) -> dict[str, nn.Module]:
    """Return the parametrisations of a layer, by what they make."""
    return dict(layer.get_submodule("parametrizations").named_children()) if parametrize.is_parametrized(layer) else {}


def _is_vector(tensor: Tensor) -> bool:
    return sum(size > 1 for size in tensor.shape) < 2


def _draw(weight: _Weight) -> None:
    """Draw the weight of a layer."""
    layer, key, shape = weight.layer, weight.key, list(weight.before.shape)
    while not isinstance(layer, nn.Linear | _ConvNd) and len(shape) > 2 and shape[0] == 1:
        del shape[0]  # such as of a position embedding, (1, positions, width)
    drawn = torch.empty_like(weight.before) if len(shape) == weight.before.ndim else weight.before.new_empty(shape)
    nn.init.kaiming_normal_(drawn, nonlinearity="relu")
    drawn = drawn.view(weight.before.shape)
    own = dict(layer.named_parameters(recurse=False))
    hooks = layer._forward_pre_hooks.values()
    if parametrize.is_parametrized(layer, key):
        try:
            setattr(layer, key, drawn)  # the parametrisation sets what it is made of
        except Exception:  # such as one without an inverse
            raise _unreachable(weight) from None
    elif norms := [hook for hook in hooks if isinstance(hook, WeightNorm) and hook.name == key]:
        own[f"{key}_v"].copy_(drawn)  # the direction, and the length
        own[f"{key}_g"].copy_(torch.norm_except_dim(drawn, 2, norms[0].dim))
    else:
        own.get(f"{key}_orig", weight.now).copy_(drawn)  # the former: pruning, spectral_norm


def _iterate(layer: nn.Module) -> None:
    """Let spectral normalisation find the norm of the drawn weight, which takes power iterations, of training."""
    hooks = [hook for hook in layer._forward_pre_hooks.values() if isinstance(hook, SpectralNorm)]
    parametrised = [
        key
        for key, parts in _parametrised(layer).items()
        if any(isinstance(part, parametrizations._SpectralNorm) for part in parts.children())
    ]
    for _ in range(_ITERATIONS if hooks or parametrised else 0):
        for hook in hooks:
            hook(layer, ())
        for key in parametrised:
            getattr(layer, key)


def _require_drawn(weights: Sequence[_Weight], used: set[int], others: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Check that the weights are the drawn ones, and that the network computes with these.

    Args:
        weights: of the network's layers.
        used: where the tensors are that a pass uses.
        others: the network's tensors that are no parameters, each with a copy from before.

    Raises:
        EpsballError: they are not, or it computes with what it has made of them before.
    """
    fused = {held.shape for held, before in others if storage(held) in used and torch.equal(held, before)}
    for weight in weights:
        if weight.before.any() and torch.equal(weight.now, weight.before) and not weight.made_of:
            raise _unreachable(weight)
        plain = not weight.made_of and not parametrize.is_parametrized(weight.layer, weight.key)
        if plain and storage(weight.now) not in used and weight.before.shape in fused:
            raise EpsballError(
                f"its layer '{weight.name}' has a {weight.key} that is not used: the network computes with another "
                "tensor of the same shape, which was made of it before and stays; build it without fused layers, or "
                "leave out the control random-weights"
            )


def _unreachable(weight: _Weight) -> EpsballError:
    return EpsballError(
        f"the {weight.key} of its layer '{weight.name}' is made in each pass of something that cannot be set; leave "
        "out the control random-weights, or make it a parameter, as torch.nn.utils.parametrize.remove_parametrizations "
        "does"
    )
