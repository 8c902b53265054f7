"""Whether the derivative that PyTorch has of a network is the change of its outputs.

It is not where the network's code keeps values out of the derivative (`detach`, `no_grad`) or replaces it (a
straight-through estimator): forward and backward mode then agree, and both are wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional

from epsball.networks.copying import copy_module
from epsball.networks.model import Network
from epsball.robustness.differentiation import differentiating

_AGREEMENT = 0.02  # relative
_ROUNDING = 1e-12  # of outputs, relative, with room for what layers add
_SMALL = 1e-6  # a derivative, relative to the gradient
_STEPS = (1e-5, 1e-7, 1e-3)  # L2; the smaller, the fewer rectifiers have their kink within, and the more is rounding
_NOISE = 0.01  # on the image: pooling has no derivative where pixels are equal
_SMOOTH = 3  # directions


def wrong_derivative(network: Network, image: Tensor) -> str:
    """Say by how much derivatives of a network are off; nothing if they are right, or it does not compute in float64.

    Random combinations of the logits, and of the features, are differentiated in float64 and compared with central
    differences along both gradients and along smooth directions, to which what is left out of a gradient answers too.
    In each, the difference over one of a few steps has to agree.

    Args:
        network: the network.
        image: (3, height, width) in [0, 1].
    """
    generator = torch.Generator().manual_seed(0)
    place = "cpu" if image.device.type == "mps" else image.device
    at = ((1 - _NOISE) * image.cpu() + _NOISE * torch.rand(image.shape, generator=generator)).to(place, torch.float64)
    coarse = torch.randn(_SMOOTH, 3, 2, 2, generator=generator, dtype=torch.float64)
    smooth = functional.interpolate(coarse, at.shape[1:], mode="bilinear").to(place)
    try:
        wide = copy_module(network).to(place, torch.float64).to(memory_format=torch.contiguous_format)
        leaf = at[None].clone().requires_grad_()
        with differentiating():
            outputs = wide(leaf)
            if {part.dtype for part in outputs} != {torch.float64}:
                return ""
            weights = [torch.randn(part.shape[1], generator=generator).to(part) for part in outputs]
            sums = [(part @ weight).sum() for part, weight in zip(outputs, weights, strict=True)]
            gradients = torch.cat([grad(part, leaf, retain_graph=True)[0] for part in sums])
        directions = torch.cat([gradients, smooth])
        directions /= directions.flatten(1).norm(dim=1).clamp_min(1e-300)[:, None, None, None]
        derivatives = torch.einsum("gchw,dchw->gd", gradients, directions)
        small = _SMALL * gradients.flatten(1).norm(dim=1, keepdim=True)
        largest = torch.stack([(part * weight).abs().sum() for part, weight in zip(outputs, weights, strict=True)])
        agreed = torch.zeros_like(derivatives, dtype=torch.bool)
        for step in _STEPS:
            with torch.no_grad():
                above, below = (wide(at + sign * step * directions) for sign in (1, -1))
            pairs = zip(above, below, weights, strict=True)
            changes = torch.stack([(one - other) @ weight for one, other, weight in pairs]) / (2 * step)
            size = torch.maximum(changes.abs(), derivatives.abs())
            agreed |= (changes - derivatives).abs() <= _AGREEMENT * size + small + _ROUNDING / step * largest[:, None]
            if agreed.all():
                return ""
        off = tuple((~agreed).nonzero()[0].tolist())
        return _SAID.format(derivative=float(derivatives[off]), change=float(changes[off]))
    except Exception:  # a user's network can raise anything; the probe will say what PyTorch cannot differentiate
        return ""


_SAID = (
    "PyTorch's derivative of the network is not the change of its outputs: {derivative:.3g}, and {change:.3g}, along "
    "one direction; its code may keep values out of the derivative (detach, no_grad) or give rounding one of its own "
    "(straight-through), or PyTorch's own may be wrong"
)
