"""Make a module ready to be measured, and copy one, whatever it holds."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from epsball.errors import EpsballError
from epsball.networks.graphs import FromGraph


def adopt(module: nn.Module) -> nn.Module:
    """Put a module into eval mode and full precision, without gradients, and without a compiler around it.

    Returns:
        The module, changed in place, or the one that `torch.compile` wrapped. Half precision stays what it is.

    Raises:
        EpsballError: its layers cannot be looked into, or have no shape yet.
    """
    module = getattr(module, "_orig_mod", module)
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
    if any(tensor.dtype == torch.float64 for tensor in tensors.values()):
        module.float()
    with contextlib.suppress(NotImplementedError):  # an exported program has one mode
        module.eval()
    return _with_whole_graphs(module).requires_grad_(False)


def _with_whole_graphs(module: nn.Module) -> nn.Module:
    """Replace graph modules that have hooks, which copies of theirs would lack."""
    for name, part in list(module.named_modules()):
        if isinstance(part, fx.GraphModule) and (part._forward_hooks or part._forward_pre_hooks):
            if not name:
                return FromGraph(part)
            module.set_submodule(name, FromGraph(part))
    return module


def copy_module(module: nn.Module) -> nn.Module:
    """Copy a module deeply; what cannot be copied, such as a lock or an open file, both share.

    Raises:
        EpsballError: code of the module's own that copies it fails.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor) and not value.is_leaf:  # as of weight_norm, made anew in each pass
                memo[id(value)] = value.detach().clone()
            elif not isinstance(value, Tensor | dict | nn.Module):
                try:
                    copy.deepcopy(value)
                except Exception:  # a user's attribute can raise anything
                    memo[id(value)] = value
    try:
        with torch.no_grad():  # TorchScript copies its weights by an operation, and the copy is to be a leaf
            return copy.deepcopy(module, memo)
    except Exception as error:  # a user's __deepcopy__ can raise anything
        raise EpsballError(
            f"the network cannot be copied, which measuring takes ({type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}); mend or remove __deepcopy__ of its modules"
        ) from None
