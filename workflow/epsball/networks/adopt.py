"""Make a module ready to be measured."""

from __future__ import annotations

import contextlib
import sys

import torch
from torch import fx, nn
from torch.nn.parameter import is_lazy

from epsball.errors import EpsballError
from epsball.networks.graphs import FromGraph


def adopt(module: nn.Module) -> nn.Module:
    """Put a module into eval mode and full precision, without gradients, and without a compiler around it.

    Returns:
        The module, changed in place, or the one that `torch.compile` wrapped. Half precision stays what it is.

    Raises:
        EpsballError: its layers cannot be looked into, or have no shape or numbers yet.
    """
    module = _without_compiler(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise EpsballError(
            "the network is TorchScript, whose layers cannot be looked into; give the module that it was made from"
        )
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, tensor in tensors.items():
        if is_lazy(tensor):
            raise EpsballError(
                f"'{name}' of the network has no shape before its first pass; pass an image through the network in its "
                "factory, or give its lazy layers their sizes"
            )
        if tensor.is_meta:
            raise EpsballError(f"'{name}' of the network has no numbers (device meta); load its weights first")
    if all(tensor.dtype == torch.float64 for tensor in tensors.values() if tensor.is_floating_point()):
        module.float()
    with contextlib.suppress(NotImplementedError):  # an exported program has one mode
        module.eval()
    return _with_whole_graphs(module).requires_grad_(False)


def _without_compiler(module: nn.Module) -> nn.Module:
    """Return the module that `torch.compile` wrapped, or the module itself."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")  # what is not imported has compiled nothing
    if dynamo is None or not isinstance(module, dynamo.OptimizedModule):
        return module
    if module._forward_hooks or module._forward_pre_hooks:
        raise EpsballError(
            "the network has hooks on what torch.compile returned; register them on the module before, or leave "
            "torch.compile out"
        )
    inner: nn.Module = module._orig_mod
    return inner


def _with_whole_graphs(module: nn.Module) -> nn.Module:
    """Replace graph modules that have hooks, which copies of theirs would lack."""
    for name, part in list(module.named_modules()):
        if isinstance(part, fx.GraphModule) and (part._forward_hooks or part._forward_pre_hooks):
            if not name:
                return FromGraph(part)
            module.set_submodule(name, FromGraph(part))
    return module
