"""A GPU for machines that have none: tensors that are on another device, and have numbers all the same.

What a GPU refuses, a tensor of the CPU beside one of its own, or NumPy's look at one, is refused here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.__future__ import set_overwrite_module_params_on_conversion
from torch.autograd.grad_mode import inference_mode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = "meta"  # a device of PyTorch's own without numbers: those are beside
_ACROSS = (
    "aten::_to_copy",
    "aten::copy_",
    "aten::index",
    "aten::index_put",
    "aten::index_put_",
)  # take tensors of two devices


class There(Tensor):
    """A tensor on the device, whose numbers are in one on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> There:
        out: There = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(DEVICE),
        )
        out.held = held
        return out

    def tolist(self) -> Any:
        """As lists, which all devices can."""
        return self.held.tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return _run(func, args, kwargs or {})


class Pretended(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it lasts, the device is there. It has no inference mode: there, no gradients are kept instead."""

    def __enter__(self) -> Pretended:
        self._usual = inference_mode.__enter__, inference_mode.__exit__
        inference_mode.__enter__, inference_mode.__exit__ = _enter, _leave  # type: ignore[method-assign]
        set_overwrite_module_params_on_conversion(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        set_overwrite_module_params_on_conversion(False)
        inference_mode.__enter__, inference_mode.__exit__ = self._usual  # type: ignore[method-assign]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = any(isinstance(tensor, There) for tensor in tensors)
    if any(tensor.device.type == DEVICE and type(tensor) is Tensor for tensor in tensors):
        raise AssertionError(f"{func}: a tensor on the device was made where nothing saw it")
    here = any(tensor.ndim > 0 and not isinstance(tensor, There) for tensor in tensors)
    if there and here and name not in _ACROSS:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device")
    if (wanted := kwargs.get("device")) is not None:
        there = torch.device(wanted).type == DEVICE
        kwargs = {**kwargs, "device": torch.device("cpu"), "pin_memory": None}
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
    elif name == "aten::copy_":
        there = isinstance(args[0], There)
    if name == "aten::_efficientzerotensor":  # which has no memory
        func = torch.ops.aten.zeros.default
    out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if not there:
        return out
    known = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, There)}
    return tree_map(lambda leaf: _there(leaf, known), out)


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, There) else leaf


def _there(leaf: Any, known: dict[int, There]) -> Any:
    """A result on the device; where it is one of the arguments, as of what works in place, that one."""
    if not isinstance(leaf, Tensor):
        return leaf
    return known[id(leaf)] if id(leaf) in known else There(leaf)


def _enter(self: Any) -> None:
    self.gradients = torch.set_grad_enabled(not self.mode)
    self.gradients.__enter__()


def _leave(self: Any, *error: object) -> None:
    self.gradients.__exit__(*error)
