"""How much each operation of a network can lengthen a difference: rules over PyTorch's own operations.

A tensor f(x) with bound L has ``‖f(x) - f(y)‖ ≤ L ‖x - y‖`` for all images x, y. A rule takes the bounds of what enters
an operation to the bound of what leaves it, in Euclidean norms over the whole tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from epsball.errors import EpsballError
from epsball.robustness import operator_norm


class UnboundedError(EpsballError):
    """An operation has no bound, or none that is known here."""


@dataclass(frozen=True)
class Varying:
    """A tensor that depends on the image: a bound of its Lipschitz constant, and its shape for one image."""

    bound: float
    shape: torch.Size

    def repeated(self, shape: torch.Size) -> float:
        """Return the bound of this tensor, repeated to a shape."""
        return self.bound * math.sqrt(shape.numel() / self.shape.numel())


@dataclass(frozen=True)
class Call:
    """One call of an operation, of `torch.ops`."""

    operation: Any
    arguments: Mapping[str, Any]  # all, by their names in its schema; those that depend on the image as `Varying`
    shape: torch.Size  # of what it gives, of the first tensor where there are several

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def entering(self) -> Varying:
        """The first argument."""
        first: Varying = next(iter(self.arguments.values()))
        return first

    @property
    def varying(self) -> list[Varying]:
        """All arguments that depend on the image, those in lists too."""
        parts = [part if isinstance(part, (list, tuple)) else [part] for part in self.arguments.values()]
        return [value for part in parts for value in part if isinstance(value, Varying)]

    def pair(self, name: str) -> tuple[int, int]:
        """Return an argument for rows and columns."""
        value = self[name]
        if value is None or value == []:  # a stride, which is the kernel's size if it is not given
            value = self["kernel_size"]
        rows, columns = (value, value) if isinstance(value, int) else (value[0], value[-1])
        return rows, columns


def call(operation: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], shape: torch.Size) -> Call:
    """Give the arguments of a call their names."""
    schema = operation._schema.arguments
    given = dict(zip((argument.name for argument in schema), args, strict=False)) | dict(kwargs)
    return Call(operation, {entry.name: given.get(entry.name, entry.default_value) for entry in schema}, shape)


def bound(made: Call) -> float:
    """Bound what an operation gives.

    Raises:
        UnboundedError: naming the operation.
    """
    packet = made.operation.overloadpacket
    if packet in _JOINT:
        return _JOINT[packet](made)
    if packet not in _FACTORS:
        raise UnboundedError(f"no bound is known of the operation '{packet.__name__}'")
    if not isinstance(made.entering, Varying) or len(made.varying) > 1:
        name = packet.__name__
        raise UnboundedError(f"no bound is known of '{name}' with arguments, other than the first, that vary")
    factor = _FACTORS[packet]
    return made.entering.bound * (factor(made) if callable(factor) else factor)


# One operation of its own for what is else traced as a quotient of two varying tensors, which has no bound.
@torch.library.custom_op(
    "epsball::local_response_norm",
    mutates_args=(),
    schema="(Tensor input, int size, float alpha=1e-4, float beta=0.75, float k=1.0) -> Tensor",
)
def _local_response_norm(input: Tensor, *settings: Any) -> Tensor:
    return functional.local_response_norm(input, *settings)


@_local_response_norm.register_fake
def _(input: Tensor, *settings: Any) -> Tensor:
    return torch.empty_like(input)


class Whole(TorchFunctionMode):
    """Inside it, functions that have a rule of their own are traced whole."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, or what stands for it."""
        stands_for = _local_response_norm if func is functional.local_response_norm else func
        return stands_for(*args, **(kwargs or {}))


def scale_of_batch_norm(made: Call) -> Tensor:
    """Return |γ| / √(σ² + ε) of batch normalisation in eval mode, for each channel."""
    scale: Tensor = (made["running_var"].double() + made["eps"]).rsqrt()
    return scale if made["weight"] is None else scale * made["weight"].double().abs()


def _batch_norm(made: Call) -> float:
    if made.arguments.get("training", False):
        raise UnboundedError("no bound is known of batch normalisation by the batch's own statistics")
    return float(scale_of_batch_norm(made).max())


def _matrix_product(made: Call) -> float:
    _, matrix = made.arguments.values()
    if matrix.ndim > 2:
        raise UnboundedError("no bound is known of a product with a stack of matrices")
    return operator_norm.linear(matrix.view(len(matrix), -1))


def _convolution(made: Call) -> float:
    weight, stride, dilation = made["weight"], made.pair("stride"), made.pair("dilation")
    if made["padding"] == "valid":
        padding = (0, 0)
    elif made["padding"] == "same":
        padding = (dilation[0] * (weight.shape[2] - 1) + 1) // 2, (dilation[1] * (weight.shape[3] - 1) + 1) // 2
    else:
        padding = made.pair("padding")
    return operator_norm.convolution(weight, stride, padding, dilation, made["groups"], *made.entering.shape[-2:])


# What pooling along one axis has for the other.
_ALONE = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_size": 1}


def _pooled(made: Call) -> Iterator[Tensor]:
    """Pool the unit vectors of the image's rows, then of its columns: float64 (pixels, windows) each."""
    _, *arguments = made.arguments
    for axis, size in enumerate(made.entering.shape[-2:]):
        units = torch.eye(size, dtype=torch.float64)[:, None, :, None]
        settings = {name: (made.pair(name)[axis], _ALONE[name]) if name in _ALONE else made[name] for name in arguments}
        pooled = made.operation(units, **settings)
        yield (pooled[0] if isinstance(pooled, tuple) else pooled).flatten(start_dim=1)


def _max_pool(made: Call) -> float:
    """Return √(the largest number of windows that an element is in).

    Two images' maxima of a window differ by no more than its elements do the most: the squares of the differences of
    all maxima add up to at most those of the elements, each as often as it is in a window. A single bright element is
    the maximum of all its windows.
    """
    return math.sqrt(math.prod(int((pooled > 0).sum(dim=1).max()) for pooled in _pooled(made)))


def _average_pool(made: Call) -> float:
    """Return the product of the two axes' norms: a window's mean is one over rows and one over columns."""
    divisor = made.arguments.get("divisor_override")
    if divisor is not None:  # add up along each axis, and divide once
        made = replace(made, arguments={**made.arguments, "divisor_override": 1})
    rows, columns = (float(torch.linalg.matrix_norm(pooled, 2)) for pooled in _pooled(made))
    return 1 / float(divisor or 1) * rows * columns


def _normalised_responses(made: Call) -> float:
    """Bound local response normalisation, a / s^β with s_i = k + (α/n) Σ a_j² over the n channels W_i around i.

    PyTorch's α is divided by n already. The derivative is diag(s^-β) - B, B_ij = 2β (α/n) a_i s_i^(-β-1) a_j for j in
    W_i. The first is k^-β at most. A row of B has the length 2β (α/n) |a_i| √(Σ_W a²) s_i^(-β-1), no more than
    2β (s_i - k) s_i^(-β-1), since i is in W_i; that is largest at s = k (β + 1) / β, say 2βc. As each channel is in n
    windows at most, ‖Bv‖² ≤ (2βc)² Σ_i Σ_W v² ≤ (2βc)² n ‖v‖². Together, k^-β + 2βc √n.
    """
    n, alpha, beta, k = made["size"], made["alpha"], made["beta"], made["k"]
    if alpha < 0 or beta <= 0 or k <= 0:
        raise UnboundedError("no bound is known of local response normalisation unless α ≥ 0, β > 0 and k > 0")
    at = k * (beta + 1) / beta
    c = (at - k) * at ** (-beta - 1)
    return float(k**-beta + 2 * beta * c * math.sqrt(min(n, made.entering.shape[1])))


def _copies(made: Call) -> float:
    """Return √(the most copies of an element), for an operation that moves elements, drops some, repeats others."""
    numbers = torch.arange(made.entering.shape.numel()).double().view(made.entering.shape)
    rest = {name: value for name, value in made.arguments.items() if value is not made.entering}
    moved = made.operation(numbers, **rest)
    moved = torch.cat([part.flatten() for part in (moved if isinstance(moved, (list, tuple)) else [moved])])
    return math.sqrt(float(moved.long().bincount().max())) if moved.numel() else 0.0


def _repetition(made: Call) -> float:
    """Return √(outputs over inputs), for a mean, or an elementwise operation with a larger constant tensor."""
    return math.sqrt(made.shape.numel() / made.entering.shape.numel())


_GELU = {  # Φ(x) + x φ(x), largest at √2; of tanh's approximation, 1.1289931 at 1.4185
    "none": (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi),
    "tanh": 1.1290,
}


def _dropout(made: Call) -> float:
    if made["train"]:
        raise UnboundedError("no bound is known of dropout that is in training mode")
    return 1.0


def _sum(made: Call) -> float:
    """Add up the bounds of the terms; constants have none."""
    one, other = (x.repeated(made.shape) if isinstance(x, Varying) else 0.0 for x in (made["self"], made["other"]))
    alpha = float(abs(made.arguments.get("alpha", 1)))
    return alpha * one + other if made.operation.overloadpacket is _aten.rsub else one + alpha * other


def _product(made: Call) -> float:
    one, other = made["self"], made["other"]
    varying, constant = (one, other) if isinstance(one, Varying) else (other, one)
    if isinstance(constant, Varying):
        raise UnboundedError("no bound holds of the product ('mul') of two tensors that both depend on the image")
    return varying.repeated(made.shape) * float(torch.as_tensor(constant).double().abs().max())


def _quotient(made: Call) -> float:
    one, other = made["self"], made["other"]
    if isinstance(other, Varying):
        raise UnboundedError("no bound holds of a quotient ('div') by a tensor that depends on the image")
    if made.arguments.get("rounding_mode") is not None:
        raise UnboundedError("no bound holds of a quotient ('div') that is rounded")
    factor = float(torch.as_tensor(other).double().reciprocal().abs().max())
    return float(one.repeated(made.shape)) * factor


def _joined(made: Call) -> float:
    """Add up the squares of the bounds: each element is of one tensor or of another."""
    return math.hypot(*(part.bound for part in made.varying))


_aten = torch.ops.aten

# By what the bound of the first argument is multiplied, where it alone varies. Activations have their largest slope.
_FACTORS: Mapping[Any, float | Callable[[Call], float]] = {
    _aten.conv2d: _convolution,
    _aten.linear: lambda made: operator_norm.linear(made["weight"]),
    **dict.fromkeys((_aten.mm, _aten.matmul), _matrix_product),
    **dict.fromkeys((_aten._native_batch_norm_legit_no_training, _aten.batch_norm), _batch_norm),
    torch.ops.epsball.local_response_norm: _normalised_responses,
    **dict.fromkeys((_aten.max_pool2d, _aten.max_pool2d_with_indices, _aten.adaptive_max_pool2d), _max_pool),
    **dict.fromkeys((_aten.avg_pool2d, _aten.adaptive_avg_pool2d, _aten._adaptive_avg_pool2d), _average_pool),
    **dict.fromkeys((_aten.mean, _aten.clamp, _aten.clamp_min, _aten.clamp_max), _repetition),
    _aten.sum: lambda made: math.sqrt(made.entering.shape.numel() / made.shape.numel()),
    _aten.dropout: _dropout,
    **dict.fromkeys((_aten.relu, _aten.relu6, _aten.hardtanh, _aten.tanh, _aten.softplus, _aten.celu), 1.0),
    **dict.fromkeys((_aten.log_sigmoid, _aten.abs, _aten.neg, _aten.sin, _aten.cos, _aten.constant_pad_nd), 1.0),
    **dict.fromkeys((_aten.clone, _aten.alias, _aten.detach, _aten.contiguous, _aten.to, _aten._to_copy), 1.0),
    _aten.pad: lambda made: 1.0 if made["mode"] == "constant" else _copies(made),
    _aten.sigmoid: 1 / 4,
    _aten.hardsigmoid: 1 / 6,
    _aten.hardswish: 3 / 2,  # x (x + 3) / 6, at 3
    _aten.gelu: lambda made: _GELU[made["approximate"]],
    _aten.silu: 1.09984,  # 1.0998393 at 2.3994
    _aten.mish: 1.0885,  # 1.0884982 at 1.4906
    _aten.selu: 1.0507009873554805 * 1.6732632423543772,  # left of 0
    _aten.elu: lambda made: abs(made["scale"]) * max(1.0, abs(made["alpha"] * made["input_scale"])),
    _aten.leaky_relu: lambda made: max(1.0, abs(made["negative_slope"])),
    **dict.fromkeys((_aten.prelu, _aten._prelu_kernel), lambda made: max(1.0, float(made["weight"].abs().max()))),
    **dict.fromkeys(
        (
            *(_aten.view, _aten._unsafe_view, _aten.reshape, _aten.flatten, _aten.unflatten),
            *(_aten.permute, _aten.transpose, _aten.t, _aten.movedim, _aten.squeeze, _aten.unsqueeze),
            *(_aten.slice, _aten.select, _aten.narrow, _aten.index, _aten.index_select),
            *(_aten.split, _aten.split_with_sizes, _aten.chunk, _aten.unbind),
            *(_aten.expand, _aten.repeat, _aten.flip, _aten.roll, _aten.pixel_shuffle, _aten.pixel_unshuffle),
            *(_aten.channel_shuffle, _aten.reflection_pad2d, _aten.replication_pad2d, _aten.upsample_nearest2d),
        ),
        _copies,
    ),
}

# Where several arguments may vary: the bound itself.
_JOINT: Mapping[Any, Callable[[Call], float]] = {
    **dict.fromkeys((_aten.add, _aten.sub, _aten.rsub), _sum),
    _aten.mul: _product,
    _aten.div: _quotient,
    **dict.fromkeys((_aten.cat, _aten.stack, _aten.slice_scatter, _aten.select_scatter), _joined),
}
