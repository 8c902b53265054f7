"""Whether the derivative that PyTorch has of a network is the change of its outputs.

It is not where the network's code keeps values out of the derivative (`detach`, `no_grad`) or replaces it (a
straight-through estimator): forward and backward mode then agree, and both are wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from epsball.errors import EpsballError
from epsball.networks.copying import float64_copy
from epsball.networks.model import Network
from epsball.robustness.differentiation import differentiating

_AGREEMENT = 0.02  # relative
_SMALL = 1e-6  # a derivative, relative to the gradient
_NOISE = 0.01  # on the image: pooling has no derivative where pixels are equal
_SMOOTH = 3  # directions


class _Precision(NamedTuple):
    kind: torch.dtype
    rounding: float  # of outputs, relative, with room for what layers add
    steps: tuple[float, ...]  # L2; the smaller, the fewer rectifiers have their kink within, and the more is rounding


_DOUBLE = _Precision(torch.float64, 1e-12, (1e-5, 1e-7, 1e-3))
_SINGLE = _Precision(torch.float32, 3e-6, (1e-1, 1e-2, 1e-3))


def wrong_derivative(network: Network, image: Tensor) -> str:
    """Say by how much derivatives of a network are off; nothing if they are right.

    Random combinations of the logits, and of the features, are differentiated and compared with central differences
    along both gradients and along smooth directions, to which what is left out of a gradient answers too. In each, the
    difference over one of a few steps has to agree. That is in float64. Of a network that computes in float32 alone,
    steps are above its rounding, and it has to be straight within them; of half precision nothing is said.

    Args:
        network: the network.
        image: (3, height, width) in [0, 1].
    """
    generator = torch.Generator().manual_seed(0)
    place = "cpu" if image.device.type == "mps" else image.device
    at = ((1 - _NOISE) * image.cpu() + _NOISE * torch.rand(image.shape, generator=generator)).to(place)
    coarse = torch.randn(_SMOOTH, 3, 2, 2, generator=generator, dtype=torch.float64)
    smooth = functional.interpolate(coarse, at.shape[1:], mode="bilinear").float().to(place)
    # A user's network can raise anything; the probe will say what PyTorch cannot differentiate.
    with contextlib.suppress(Exception):
        return _compared(float64_copy(network, place), at, smooth, _DOUBLE, generator)
    with contextlib.suppress(Exception):
        return _compared(network, at.to(image.device), smooth.to(image.device), _SINGLE, generator)
    return ""


def _compared(
    module: nn.Module, image: Tensor, smooth: Tensor, precision: _Precision, generator: torch.Generator
) -> str:
    # Channels innermost, as images are when a network is measured: derivatives can depend on it.
    at = image[None].to(precision.kind, memory_format=torch.channels_last)
    leaf, smooth = at.clone().requires_grad_(), smooth.to(precision.kind)
    if precision is _SINGLE:
        with torch.no_grad(), _Kinds() as kinds:
            module(at)
        if kinds.seen & {torch.float16, torch.bfloat16}:
            return ""
    with differentiating():
        outputs = module(leaf)
        if {part.dtype for part in outputs} != {precision.kind}:
            raise EpsballError(f"computes in {outputs[0].dtype}")
        weights = [torch.randn(part.shape[1], generator=generator).to(part) for part in outputs]
        sums = [(part @ weight).sum() for part, weight in zip(outputs, weights, strict=True)]
        gradients = torch.cat([grad(part, leaf, retain_graph=True)[0] for part in sums])
    directions = torch.cat([gradients, smooth])
    directions /= directions.flatten(1).norm(dim=1).clamp_min(1e-30)[:, None, None, None]
    derivatives = torch.einsum("gchw,dchw->gd", gradients, directions)
    small = _SMALL * gradients.flatten(1).norm(dim=1, keepdim=True)
    largest = torch.stack([(part * weight).abs().sum() for part, weight in zip(outputs, weights, strict=True)])
    agreed = torch.zeros_like(derivatives, dtype=torch.bool)
    found: list[Tensor] = []
    for step in precision.steps:
        with torch.no_grad():
            above, below = (module(at + sign * step * directions) for sign in (1, -1))
        pairs = zip(above, below, weights, strict=True)
        changes = torch.stack([(one - other) @ weight for one, other, weight in pairs]) / (2 * step)
        size = torch.maximum(changes.abs(), derivatives.abs())
        within = _AGREEMENT * size + small + precision.rounding / step * largest[:, None]
        agreed |= (changes - derivatives).abs() <= within
        if precision is _SINGLE and found:  # a function that is not straight within its steps says nothing
            agreed |= (changes - found[-1]).abs() > within
        if agreed.all():
            return ""
        found.append(changes)
    off = tuple((~agreed).nonzero()[0].tolist())
    return _SAID.format(derivative=float(derivatives[off]), change=float(changes[off]))


class _Kinds(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the kinds of numbers that operations give while it lasts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """See `torch.utils._python_dispatch`."""
        made = func(*args, **(kwargs or {}))
        self.seen.update(value.dtype for value in tree_leaves(made) if isinstance(value, Tensor))
        return made


_SAID = (
    "PyTorch's derivative of the network is not the change of its outputs: {derivative:.3g}, and {change:.3g}, along "
    "one direction; its code may keep values out of the derivative (detach, no_grad) or give rounding one of its own "
    "(straight-through), or PyTorch's own may be wrong"
)
