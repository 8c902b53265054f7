"""How much each operation of a network can lengthen a difference: rules over PyTorch's own operations.

A tensor f(x) with bound L has ``‖f(x) - f(y)‖ ≤ L ‖x - y‖`` for all images x, y. A rule takes the bounds of what enters
an operation to the bound of what leaves it, in Euclidean norms over the whole tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    """A tensor that depends on the image.

    Attributes:
        bound: of its Lipschitz constant.
        shape: of one image's.
    """

    bound: float
    shape: torch.Size


@dataclass(frozen=True)
class Call:
    """One call of an operation.

    Attributes:
        operation: the operation, one of `torch.ops`.
        arguments: all of them by their names in its schema; those that depend on the image as `Varying`.
        shape: of what it gives, the first of them where there are several.
    """

    operation: Any
    arguments: Mapping[str, Any]
    shape: torch.Size

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def entering(self) -> Varying:
        """The first argument."""
        first: Varying = next(iter(self.arguments.values()))
        return first

    def pair(self, name: str) -> tuple[int, int]:
        """An argument for rows and columns."""
        value = self[name]
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
    name = packet.__name__
    if packet in _JOINT:
        return _JOINT[packet](made)
    if packet not in _FACTORS:
        raise UnboundedError(f"no bound is known of the operation '{name}'")
    if not isinstance(made.entering, Varying) or sum(isinstance(x, Varying) for x in made.arguments.values()) > 1:
        raise UnboundedError(f"no bound is known of '{name}' with arguments, other than the first, that vary")
    factor = _FACTORS[packet]
    return made.entering.bound * (factor(made) if callable(factor) else factor)


# One operation of its own for what is else traced as a quotient of two varying tensors, which has no bound.
@torch.library.custom_op(
    "epsball::local_response_norm",
    mutates_args=(),
    schema="(Tensor x, int size, float alpha, float beta, float k) -> Tensor",
)
def _local_response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    return functional.local_response_norm(x, size, alpha, beta, k)


@_local_response_norm.register_fake
def _(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    return torch.empty_like(x)


class Whole(TorchFunctionMode):
    """Inside it, functions that have a rule of their own are traced whole."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function, or what stands for it."""
        kwargs = kwargs or {}
        if func is functional.local_response_norm:
            return _keep_local_response_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _keep_local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    normalised: Tensor = _local_response_norm(input, size, alpha, beta, k)
    return normalised


def scale_of_batch_norm(made: Call) -> Tensor:
    """|γ| / √(σ² + ε) of batch normalisation in eval mode, a channel each."""
    scale: Tensor = (made["running_var"].double() + made["eps"]).rsqrt()
    return scale if made["weight"] is None else scale * made["weight"].double().abs()


def _batch_norm(made: Call) -> float:
    if made.arguments.get("training", False):
        raise UnboundedError("no bound is known of batch normalisation by the batch's own statistics")
    return float(scale_of_batch_norm(made).max())


def _linear(made: Call) -> float:
    return operator_norm.linear(made["weight"])


def _matrix_product(made: Call) -> float:
    matrix = made["mat2" if "mat2" in made.arguments else "other"]
    if matrix.ndim > 2:
        raise UnboundedError("no bound is known of a product with a stack of matrices")
    return operator_norm.linear(matrix.view(len(matrix), -1))


def _convolution(made: Call) -> float:
    weight, dilation = made["weight"], made.pair("dilation")
    if made["padding"] == "valid":
        padding = (0, 0)
    elif made["padding"] == "same":
        rows, columns = (-(-step * (taps - 1) // 2) for step, taps in zip(dilation, weight.shape[2:], strict=True))
        padding = (rows, columns)
    else:
        padding = made.pair("padding")
    height, width = made.entering.shape[-2:]
    return operator_norm.convolution(weight, made.pair("stride"), padding, dilation, made["groups"], height, width)


def _max_pool(made: Call) -> float:
    """√(the largest number of windows that an element is in).

    Of two windows' maxima, none differ by more than their elements do the most: the squares of the differences of all
    maxima add up to at most those of the elements, each as often as it is in a window.
    """
    kernel, padding, dilation = (made.pair(name) for name in ("kernel_size", "padding", "dilation"))
    stride = made.pair("stride") if made["stride"] else kernel
    windows = 1
    for axis in (0, 1):
        start = torch.arange(made.shape[axis - 2]) * stride[axis] - padding[axis]
        places = (start[:, None] + torch.arange(kernel[axis]) * dilation[axis]).flatten()
        inside = (places >= 0) & (places < made.entering.shape[axis - 2])
        windows *= int(places[inside].bincount(minlength=1).max())
    return math.sqrt(windows)


def _adaptive_max_pool(made: Call) -> float:
    """As `_max_pool`; the windows' ends are the image's parts, rounded outwards."""
    windows = 1
    for size, count in zip(made.entering.shape[-2:], made.shape[-2:], strict=True):
        spans = [torch.arange(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        windows *= int(torch.cat(spans).bincount().max())
    return math.sqrt(windows)


def _average_pool(made: Call) -> float:
    """The product of the two axes' norms: a window's mean is one over rows and one over columns."""
    kernel, padding = made.pair("kernel_size"), made.pair("padding")
    stride = made.pair("stride") if made["stride"] else kernel
    divisor = made["divisor_override"]
    norm = 1.0 if divisor is None else 1.0 / divisor
    for axis, size in enumerate(made.entering.shape[-2:]):
        pooled = functional.avg_pool2d(
            torch.eye(size, dtype=torch.float64)[:, None, :, None],
            (kernel[axis], 1),
            (stride[axis], 1),
            (padding[axis], 0),
            made["ceil_mode"],
            made["count_include_pad"],
            None if divisor is None else 1,
        )
        norm *= float(torch.linalg.matrix_norm(pooled.flatten(start_dim=1), 2))
    return norm


def _adaptive_average_pool(made: Call) -> float:
    norm = 1.0
    for size, count in zip(made.entering.shape[-2:], made.shape[-2:], strict=True):
        pooled = functional.adaptive_avg_pool1d(torch.eye(size, dtype=torch.float64)[:, None], count)
        norm *= float(torch.linalg.matrix_norm(pooled.flatten(start_dim=1), 2))
    return norm


def _normalised_responses(made: Call) -> float:
    """Local response normalisation, a / s^β with s_i = k + (α/n) Σ a_j² over the window W_i of n channels around i.

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


def _mean(made: Call) -> float:
    return math.sqrt(made.shape.numel() / made.entering.shape.numel())


def _total(made: Call) -> float:
    return math.sqrt(made.entering.shape.numel() / made.shape.numel())


def _copies(made: Call) -> float:
    """Of an operation that moves elements, leaves some out, repeats others: √(how often one occurs at most)."""
    entering = made.entering.shape
    numbers = torch.arange(entering.numel()).double().view(entering)
    rest = {name: value for name, value in made.arguments.items() if value is not made.entering}
    moved = made.operation(numbers, **rest)
    moved = torch.cat([part.flatten() for part in moved]) if isinstance(moved, (list, tuple)) else moved
    return math.sqrt(float(moved.flatten().long().bincount().max())) if moved.numel() else 0.0


def _pad(made: Call) -> float:
    return 1.0 if made["mode"] == "constant" else _copies(made)


def _exponential_linear(made: Call) -> float:
    return float(abs(made["scale"]) * max(1.0, abs(made["alpha"] * made["input_scale"])))


def _clamp(made: Call) -> float:
    """1, or where limits are tensors, √(how often an element is repeated to meet their shape)."""
    return math.sqrt(made.shape.numel() / made.entering.shape.numel())


def _gelu(made: Call) -> float:
    """Φ(x) + x φ(x), largest at √2; of tanh's approximation, 1.1289931 at 1.4185."""
    return 1.1290 if made["approximate"] == "tanh" else (1 + math.erf(1)) / 2 + math.exp(-1) / math.sqrt(math.pi)


def _prelu(made: Call) -> float:
    return max(1.0, float(made["weight"].abs().max()))


def _dropout(made: Call) -> float:
    if made["train"]:
        raise UnboundedError("no bound is known of dropout that is in training mode")
    return 1.0


def _sum(made: Call) -> float:
    """Bounds add up; those of constants are 0."""
    alpha = abs(made.arguments.get("alpha", 1))
    first, second = (1, alpha) if made.operation.overloadpacket is not _aten.rsub else (alpha, 1)
    return first * _repeated(made["self"], made.shape) + second * _repeated(made["other"], made.shape)


def _repeated(value: Any, shape: torch.Size) -> float:
    """The bound of a term once it is repeated to a shape."""
    return value.bound * math.sqrt(shape.numel() / value.shape.numel()) if isinstance(value, Varying) else 0.0


def _product(made: Call) -> float:
    one, other = made["self"], made["other"]
    varying, constant = (one, other) if isinstance(one, Varying) else (other, one)
    if isinstance(constant, Varying):
        raise UnboundedError("no bound holds of the product ('mul') of two tensors that both depend on the image")
    return _repeated(varying, made.shape) * float(torch.as_tensor(constant).double().abs().max())


def _quotient(made: Call) -> float:
    one, other = made["self"], made["other"]
    if isinstance(other, Varying):
        raise UnboundedError("no bound holds of a quotient ('div') by a tensor that depends on the image")
    if made.arguments.get("rounding_mode") is not None:
        raise UnboundedError("no bound holds of a quotient ('div') that is rounded")
    return _repeated(one, made.shape) * float(torch.as_tensor(other).double().reciprocal().abs().max())


def _joined(made: Call) -> float:
    """Squares of bounds add up."""
    return math.hypot(*(part.bound for part in made["tensors"] if isinstance(part, Varying)))


def _replaced(made: Call) -> float:
    """A tensor with a part that another replaces: the elements are of one or of the other."""
    return math.hypot(*(made[name].bound for name in ("self", "src") if isinstance(made[name], Varying)))


_aten = torch.ops.aten

# Of one varying tensor, the first argument: by what its bound is multiplied. Activations have their largest slope.
_FACTORS: Mapping[Any, float | Callable[[Call], float]] = {
    _aten.conv2d: _convolution,
    _aten.linear: _linear,
    _aten.mm: _matrix_product,
    _aten.matmul: _matrix_product,
    _aten._native_batch_norm_legit_no_training: _batch_norm,
    _aten.batch_norm: _batch_norm,
    torch.ops.epsball.local_response_norm: _normalised_responses,
    _aten.max_pool2d: _max_pool,
    _aten.max_pool2d_with_indices: _max_pool,
    _aten.adaptive_max_pool2d: _adaptive_max_pool,
    _aten.avg_pool2d: _average_pool,
    _aten.adaptive_avg_pool2d: _adaptive_average_pool,
    _aten._adaptive_avg_pool2d: _adaptive_average_pool,
    _aten.mean: _mean,
    _aten.sum: _total,
    _aten.dropout: _dropout,
    **dict.fromkeys((_aten.relu, _aten.relu6, _aten.hardtanh, _aten.tanh, _aten.softplus, _aten.celu), 1.0),
    **dict.fromkeys((_aten.log_sigmoid, _aten.abs, _aten.neg, _aten.sin, _aten.cos), 1.0),
    **dict.fromkeys((_aten.clamp, _aten.clamp_min, _aten.clamp_max), _clamp),
    **dict.fromkeys((_aten.clone, _aten.alias, _aten.detach, _aten.contiguous, _aten.to, _aten._to_copy), 1.0),
    _aten.constant_pad_nd: 1.0,
    _aten.pad: _pad,
    _aten.sigmoid: 1 / 4,
    _aten.hardsigmoid: 1 / 6,
    _aten.hardswish: 3 / 2,  # x (x + 3) / 6, at 3
    _aten.gelu: _gelu,
    _aten.silu: 1.09984,  # 1.0998393 at 2.3994
    _aten.mish: 1.0885,  # 1.0884982 at 1.4906
    _aten.selu: 1.0507009873554805 * 1.6732632423543772,  # left of 0
    _aten.elu: _exponential_linear,
    _aten.leaky_relu: lambda made: max(1.0, abs(made["negative_slope"])),
    _aten.prelu: _prelu,
    _aten._prelu_kernel: _prelu,
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

# Of several varying tensors.
_JOINT: Mapping[Any, Callable[[Call], float]] = {
    _aten.add: _sum,
    _aten.sub: _sum,
    _aten.rsub: _sum,
    _aten.mul: _product,
    _aten.div: _quotient,
    _aten.cat: _joined,
    _aten.stack: _joined,
    _aten.slice_scatter: _replaced,
    _aten.select_scatter: _replaced,
}
