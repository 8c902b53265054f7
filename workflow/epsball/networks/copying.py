"""Copies of modules, whatever these hold, with weights of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from epsball.errors import EpsballError


def copy_module(module: nn.Module) -> nn.Module:
    """Copy a module deeply; what cannot be copied, such as a lock or an open file, both share.

    Raises:
        EpsballError: code of the module's own that copies it fails.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor):
                memo[id(value)] = _copied(value)
            elif not isinstance(value, dict | nn.Module):
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


def float64_copy(module: nn.Module, device: torch.device | str) -> nn.Module:
    """Copy a module with weights in float64, complex ones in complex128, on a device and in the plain layout."""

    def wide(held: Tensor) -> Tensor:
        if held.is_complex() or held.is_floating_point():
            held = held.to(device, torch.complex128 if held.is_complex() else torch.float64)
        return held.to(device).contiguous() if held.ndim == 4 else held.to(device)

    copied: nn.Module = copy_module(module)._apply(wide)  # type: ignore[no-untyped-call]
    return copied


def _copied(value: Tensor) -> Tensor:
    """Copy an attribute, such as a weight that weight_norm makes anew in each pass."""
    try:
        return copy.deepcopy(value) if value.is_leaf else value.detach().clone()
    except (RuntimeError, NotImplementedError):  # what a derivative left has no numbers, and no pass needs them
        return torch.zeros(value.shape, dtype=value.dtype, device=value.device)


def require_own(original: nn.Module, copied: nn.Module, run: Callable[[], object]) -> None:
    """Check that a copy does without the module that it was copied from.

    Args:
        original: the module.
        copied: its copy.
        run: passes images through the copy; it may fail.

    Raises:
        EpsballError: a pass of the copy uses the original's weights, or sets its attributes.
    """
    before, noted = list(_attributes(original)), _Touched(Tensor)
    failure: Exception | None = None
    with noted:
        try:
            run()
        except Exception as error:  # a user's network can raise anything
            failure = error
    after = list(_attributes(original))
    own = _storages(copied)
    changed = len(before) != len(after) or any(one is not other for one, other in zip(before, after, strict=True))
    if changed or noted.storages & (_storages(original) - own):
        raise EpsballError(
            "a function that the network holds, such as a hook, a lambda or a patched forward, uses the network that "
            "it was made in, so that a copy, which the noise floor, derivatives and controls take, is not one of its "
            "own; write it as a method of a class"
        ) from failure


def _attributes(module: nn.Module) -> Iterator[object]:
    for part in module.modules():
        yield from (value for value in vars(part).values() if not isinstance(value, dict))


def _storages(module: nn.Module) -> set[int]:
    return {storage(held) for held in (*module.parameters(), *module.buffers())} - {0}


def held_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that a module or its submodules hold and that are no parameters: buffers and attributes."""
    yield from module.buffers()
    yield from (value for value in _attributes(module) if isinstance(value, Tensor))


def storage(tensor: Tensor) -> int:
    """Return where a tensor's numbers are; 0 for one without, such as a sparse one."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return 0


def require_registered(module: nn.Module, run: Callable[[], object]) -> None:
    """Check that all parameters that a pass uses are the module's own.

    Raises:
        EpsballError: some are not, so that nothing that is done to its parameters is done to these.
    """
    if touched(nn.Parameter, run) - _storages(module) - {0}:
        raise EpsballError(
            "the network has weights that are not among its parameters, such as in a list of modules that are not "
            "registered; make them its submodules"
        )


def touched(kind: type[Tensor], run: Callable[[], object]) -> set[int]:
    """Return where the tensors of a kind are, see `storage`, that operations get in a run."""
    noted = _Touched(kind)
    with noted:
        run()
    return noted.storages


class _Touched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes where the tensors of a kind are that operations get while it lasts."""

    def __init__(self, kind: type[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kind = kind
        self.storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """See `torch.utils._python_dispatch`."""
        self.storages.update(storage(value) for value in tree_leaves((args, kwargs)) if isinstance(value, self._kind))
        return func(*args, **(kwargs or {}))
