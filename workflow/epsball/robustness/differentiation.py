"""How PyTorch differentiates a network: the one place through which all derivatives pass.

Along directions, forward mode is the fastest. Some operations lack it, and of others it is wrong without a word, such
as of layer normalisation if nested. So it is compared with backward mode in one direction, and where the two differ
backward mode is used. Both get attention as plain products, and some operations composed of others that have all
derivatives. Of batch and instance normalisation, backward mode itself is wrong on a CPU (PyTorch 2.14) for one image
whose gradient comes with its channels innermost in memory, as from `x.flatten(2).transpose(1, 2)`. Passes without
derivatives do without any of this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import grad
from torch.func import jvp, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from epsball.errors import EpsballError

Function = Callable[[Tensor], Tensor]  # from images (n, 3, height, width) to outputs (n, units), each by itself
# Of a function, at an image x (3, height, width), along directions v (n, 3, height, width): two tensors (n, units).
Along = Callable[[Function, Tensor, Tensor], tuple[Tensor, Tensor]]

_AGREEMENT = 0.01  # by how much the two modes may differ, relative
_ROUNDING = 1e-4  # of second derivatives, relative to first ones along a direction of norm 1


@contextlib.contextmanager
def differentiating() -> Iterator[None]:
    """Let derivatives be taken while the block lasts, also where PyTorch has no deterministic form of them.

    Raises:
        EpsballError: PyTorch cannot differentiate the network.
    """
    fast, mode = torch.backends.mha.get_fastpath_enabled(), torch.get_deterministic_debug_mode()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.set_deterministic_debug_mode("warn")  # such as of pooling on a GPU
    try:
        with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), _Composed():
            yield
    except EpsballError:
        raise
    except Exception as error:  # a user's network can raise anything
        message = " ".join(str(error).split())[:200]
        raise EpsballError(
            f"PyTorch cannot differentiate the network ({type(error).__name__}: {message}); leave out what needs "
            "derivatives, or build the network from other operations"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.set_deterministic_debug_mode(mode)


def differentiable(image: Tensor) -> Tensor:
    """Copy an image so that derivatives can be taken at it, even if it was made in inference mode."""
    with torch.inference_mode(False):
        return image.clone()


def first_order(function: Function, image: Tensor) -> Along:
    """Choose how values f(x) and changes J v are computed.

    Args:
        function: the function.
        image: float32 (3, height, width) to try at.

    Raises:
        EpsballError: PyTorch cannot differentiate the function.
    """
    direction, leaf = _direction(image), differentiable(image)[None].requires_grad_()
    with differentiating():
        outputs = function(leaf)
        with contextlib.suppress(Exception):
            change = forward_first(function, image, direction)[1]
            # ⟨w, J v⟩ = ⟨Jᵀ w, v⟩, where w is J v unless that is 0.
            along = change if change.any() else torch.ones_like(change)
            (back,) = grad(outputs, leaf, along, retain_graph=True)
            if _close((along * change).sum(), (back * direction).sum()):
                return forward_first
    backward_first(function, image, direction)
    return backward_first


def second_order(function: Function, image: Tensor) -> Along:
    """Choose how first and second derivatives of f(x + t v) at t = 0 are computed; see `first_order`."""
    direction = _direction(image)
    expected = backward_second(function, image, direction)
    with contextlib.suppress(Exception):
        found = forward_second(function, image, direction)
        rounding = _ROUNDING * float(expected[0].norm())
        if all(_close(one, two, rounding) for one, two in zip(found, expected, strict=True)):
            return forward_second
    return backward_second


def forward_first(function: Function, image: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute f(x) and J v by forward mode. Mapped over directions, so that x itself is passed once."""
    at, along = differentiable(image)[None], differentiable(directions)[:, None]
    with differentiating():
        values, changes = vmap(lambda v: jvp(function, (at,), (v,)))(along)  # type: ignore[misc]
    return values[:, 0], changes[:, 0]


def backward_first(function: Function, image: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute f(x) and J v by backward mode: the derivative of Jᵀ w by w, along v."""
    with differentiating():
        _, outputs, weights, pulled = _pulled(function, image, directions)
        (changes,) = grad(pulled, weights, differentiable(directions))
    return outputs.detach(), changes


def forward_second(function: Function, image: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute first and second derivatives by nested forward mode: exact, and without a matrix."""
    tangents = differentiable(directions)
    at = differentiable(image.expand_as(tangents))
    with differentiating():
        (_, first), (_, second) = jvp(lambda x: jvp(function, (x,), (tangents,)), (at,), (tangents,))  # type: ignore[misc]
    return first, second


def backward_second(function: Function, image: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute first and second derivatives by backward mode: of wᵀ J v by x along v, and then by w."""
    along = differentiable(directions)
    with differentiating():
        at, _, weights, pulled = _pulled(function, image, directions)
        (first,) = grad(pulled, weights, along, create_graph=True)
        (curved,) = grad((pulled * along).sum(), at, create_graph=True, materialize_grads=True)
        second = torch.zeros_like(first)
        if curved.requires_grad:
            (second,) = grad(curved, weights, along, materialize_grads=True)
    return first.detach(), second.detach()


def _pulled(function: Function, image: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return copies of the image, its outputs, weights w, which are 0, and Jᵀ w as a function of x and w."""
    at = differentiable(image.expand_as(directions)).requires_grad_()
    outputs = function(at)
    weights = torch.zeros_like(outputs).requires_grad_()
    (pulled,) = grad(outputs, at, weights, create_graph=True)
    return at, outputs, weights, pulled


def _direction(image: Tensor) -> Tensor:
    """Return a random direction (1, 3, height, width) of norm 1, always the same one."""
    vector = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    unit: Tensor = (vector / vector.norm()).to(image)
    return unit[None]


def _close(one: Tensor, two: Tensor, rounding: float = 0.0) -> bool:
    return float((one - two).norm()) <= _AGREEMENT * float(torch.maximum(one.norm(), two.norm())) + rounding


class _Composed(TorchFunctionMode):
    """Replaces operations that lack a derivative by equal ones that have it.

    So it does in a backward pass, in which checkpoints of activations compute what they did not keep: that has to be
    the same again.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _BACKWARD:
            with self, _undispatched():
                return _BACKWARD[func](*args, **(kwargs or {}))
        return _COMPOSED.get(func, func)(*args, **(kwargs or {}))


def _backward(
    tensor: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    torch.autograd.backward(tensor, gradient, retain_graph, create_graph, inputs=inputs)


# Each is dispatched to a mode, which PyTorch takes off while it lasts.
_BACKWARD: dict[Any, Callable[..., Any]] = {
    torch.autograd.grad: torch.autograd.grad,
    torch.autograd.backward: torch.autograd.backward,
    Tensor.backward: _backward,
}


@contextlib.contextmanager
def _undispatched() -> Iterator[None]:
    """Let the functions of `torch.autograd` run as they are, whatever mode is on."""
    names = vars(torch.autograd)
    before = names["has_torch_function"]
    names["has_torch_function"] = lambda given: False
    try:
        yield
    finally:
        names["has_torch_function"] = before


def _hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    return (input + 3).clamp(0, 6) / 6


def _layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    dims = tuple(range(-len(normalized_shape), 0))
    normal = _standardised(input, dims, eps)
    scaled = normal if weight is None else normal * weight
    return scaled if bias is None else scaled + bias


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    if training or running_mean is None or running_var is None:
        return _by_channel(_standardised(input, (0, *range(2, input.ndim)), eps), weight, bias)
    return _by_channel(input, *_scale_and_shift(running_mean, running_var, weight, bias, eps))


def _instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    if not use_input_stats and running_mean is not None and running_var is not None:
        return _by_channel(input, *_scale_and_shift(running_mean, running_var, weight, bias, eps))
    return _by_channel(_standardised(input, tuple(range(2, input.ndim)), eps), weight, bias)


def _positional(normalise: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Take arguments in the order of PyTorch's own operations, in which weight and bias come first."""

    def reordered(
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        use_batch: bool,
        momentum: float,
        eps: float,
        cudnn_enabled: bool = True,
    ) -> Tensor:
        return normalise(input, running_mean, running_var, weight, bias, use_batch, momentum, eps)

    return reordered


def _of_constants(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    none = input.new_empty(0)  # what an exported graph makes of the statistics of the batch
    return _by_channel(input, *_scale_and_shift(running_mean, running_var, weight, bias, eps)), none, none


def _standardised(input: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """Make the mean over dimensions 0, and the variance 1."""
    centred = input - input.mean(dim=dims, keepdim=True)
    return centred * (centred.square().mean(dim=dims, keepdim=True) + eps).rsqrt()


def _scale_and_shift(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    scale = (variance + eps).rsqrt() if weight is None else weight * (variance + eps).rsqrt()
    return scale, -mean * scale if bias is None else bias - mean * scale


def _by_channel(input: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    shape = (-1, *[1] * (input.ndim - 2))
    scaled = input if scale is None else input * scale.view(shape)
    return scaled if shift is None else scaled + shift.view(shape)


# With names of `torch.nn.functional`, of PyTorch's own operations and of exported graphs.
_COMPOSED: dict[Any, Callable[..., Any]] = {
    functional.hardsigmoid: _hardsigmoid,
    torch.ops.aten.hardsigmoid.default: _hardsigmoid,
    functional.layer_norm: _layer_norm,
    torch.layer_norm: _layer_norm,
    torch.ops.aten.layer_norm.default: _layer_norm,
    functional.batch_norm: _batch_norm,
    torch.batch_norm: _positional(_batch_norm),
    torch.ops.aten.batch_norm.default: _positional(_batch_norm),
    torch.ops.aten._native_batch_norm_legit_no_training.default: _of_constants,
    functional.instance_norm: _instance_norm,
    torch.instance_norm: _positional(_instance_norm),
    torch.ops.aten.instance_norm.default: _positional(_instance_norm),
}
